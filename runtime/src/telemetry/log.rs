//! Lines of the log as JSON, with whose work they were written in: `handler`, `message_id`, `trace_id` and `span_id`.

use super::current;
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// tracing-subscriber's own format, and ours at the end of it.
pub(crate) struct Correlated(Format<Json>);

impl Correlated {
    /// Fields stand beside time and level.
    pub(crate) fn new() -> Self {
        Correlated(Format::default().json().flatten_event(true))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for Correlated {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::with_capacity(256);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        if let Some(open) = line.trim_end().strip_suffix('}').map(str::len) {
            line.truncate(open);
            current::members(&mut line)?;
            line.push_str("}\n");
        }
        out.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Page;

        fn make_writer(&'a self) -> Page {
            self.clone()
        }
    }

    #[test]
    fn every_line_is_one_object() {
        let page = Page::default();
        let log = tracing_subscriber::fmt().json().event_format(Correlated::new()).with_writer(page.clone()).finish();
        tracing::subscriber::with_default(log, || {
            tracing::info!(answer = 42, "words \"and\" }} \n more");
            let _span = tracing::info_span!("outer", of = "user").entered();
            tracing::warn!("inside");
        });
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = page.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["answer"], &lines[0]["message"]), (&42.into(), &"words \"and\" } \n more".into()));
        assert_eq!((&lines[1]["span"]["of"], &lines[1]["level"]), (&"user".into(), &"WARN".into()));
    }
}
