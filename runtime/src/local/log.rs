//! The live log of `dev`: a line for each request, message, run and call, in columns, for a person who watches.

use crate::ctx::{Event, Observer, Verdict};
use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, tz::TimeZone};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Writes what happens, line by line.
pub struct LiveLog {
    out: Mutex<Box<dyn Write + Send>>,
    colours: bool,
    zone: TimeZone,
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GREEN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const YELLOW: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const RED: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))).bold();
const MAGENTA: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Magenta)));
const CYAN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// One line's columns.
struct Line<'a> {
    /// `request`, `sent`, `consumer`, …
    what: &'a str,
    /// A request's method and path, else the handler or resource.
    subject: String,
    /// How it ended.
    outcome: (Style, String),
    elapsed: Option<Duration>,
    detail: String,
}

impl LiveLog {
    /// To standard output, in colours as `UPDRAFT_COLOR` (`always`, `never`) says, else if that is a terminal and
    /// `NO_COLOR` is not set.
    pub fn stdout() -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let colours = match std::env::var("UPDRAFT_COLOR").as_deref() {
            Ok("always") => true,
            Ok("never") => false,
            _ => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        LiveLog::new(Box::new(std::io::stdout()), colours, TimeZone::system())
    }

    /// To `out`, with times of `zone`.
    pub fn new(out: Box<dyn Write + Send>, colours: bool, zone: TimeZone) -> Self {
        LiveLog { out: Mutex::new(out), colours, zone }
    }

    /// A line of words: a start, a rebuild, an end.
    pub fn say(&self, words: &str) {
        let style = if self.colours { BOLD } else { Style::new() };
        self.write(&format!("{style}{words}{style:#}\n"));
    }

    fn line(&self, now: Timestamp, line: &Line<'_>) {
        let paint = |style: Style| if self.colours { style } else { Style::new() };
        let (dim, (outcome_style, outcome)) = (paint(DIM), (&line.outcome.0, &line.outcome.1));
        let outcome_style = paint(*outcome_style);
        let time = now.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string();
        let elapsed = line.elapsed.map(human).unwrap_or_default();
        let text = format!(
            "{dim}{time}{dim:#}  {:<10}  {:<34}  {outcome_style}{outcome:<11}{outcome_style:#}  {elapsed:>8}  {dim}{}{dim:#}",
            line.what, line.subject, line.detail
        );
        self.write(&format!("{}\n", text.trim_end()));
    }

    /// A log that can't be written is no reason to stop.
    fn write(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Observer for LiveLog {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::Answered { handler, method, path, status, elapsed } => Line {
                what: "request",
                subject: format!("{method} {path}"),
                outcome: (of_status(*status), status.to_string()),
                elapsed: Some(*elapsed),
                detail: (*handler).to_owned(),
            },
            Event::Sent { handler, channel, message } => Line {
                what: "sent",
                subject: channel.id().to_owned(),
                outcome: (CYAN, short(&message.id).to_owned()),
                elapsed: None,
                detail: match &message.trace {
                    Some(trace) => format!("by {handler}, trace {}", trace.short()),
                    None => format!("by {handler}"),
                },
            },
            Event::Finished { handler, trigger, message, attempt, elapsed, failure } => {
                let mut details = Vec::new();
                details.extend(message.map(|id| format!("message {}", short(id))));
                if *attempt > 1 || failure.is_some_and(|(_, verdict)| verdict != Verdict::Answer) {
                    details.push(format!("attempt {attempt}"));
                }
                let outcome = match failure {
                    None => (GREEN, "done".to_owned()),
                    Some((failure, verdict)) => {
                        details.push(format!("{}: {}", failure.kind.as_str(), failure.reason.replace('\n', " ")));
                        match verdict {
                            Verdict::Retry(pause) => (YELLOW, format!("again {}", human(*pause))),
                            Verdict::Return(pause) => (YELLOW, format!("again {}", human(*pause))),
                            Verdict::DeadLetter => (RED, "dead letter".to_owned()),
                            Verdict::Answer => (YELLOW, "failed".to_owned()),
                        }
                    }
                };
                let detail = details.join(", ");
                Line { what: trigger, subject: (*handler).to_owned(), outcome, elapsed: Some(*elapsed), detail }
            }
            // Each has a line of its own when it is finished, or has none because there would be too many.
            Event::Began { .. } | Event::Operated { .. } | Event::Buried { .. } => return,
            Event::Injected { who, fault, detail } => Line {
                what: "chaos",
                subject: (*who).to_owned(),
                outcome: (MAGENTA, (*fault).to_owned()),
                elapsed: None,
                detail: (*detail).to_owned(),
            },
            Event::StoodIn { external, method, path } => Line {
                what: "outside",
                subject: format!("{method} {path}"),
                outcome: (GREEN, "202".to_owned()),
                elapsed: None,
                detail: format!("a stand-in for `{external}`"),
            },
        };
        self.line(Timestamp::now(), &line);
    }
}

fn of_status(status: u16) -> Style {
    match status {
        0..400 => GREEN,
        400..500 => YELLOW,
        _ => RED,
    }
}

/// The end of an id: a UUIDv7 begins with the time, so its end tells messages apart.
pub(super) fn short(id: &str) -> &str {
    id.char_indices().rev().nth(7).map_or(id, |(at, _)| &id[at..])
}

/// `340 µs`, `12.4 ms`, `1.3 s`, `4 min`.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        0.0..0.001 => format!("{} µs", duration.as_micros()),
        0.001..1.0 => format!("{:.1} ms", seconds * 1e3),
        1.0..120.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Failure, FailureKind};
    use crate::engine::{Channel, Message};
    use std::sync::Arc;

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

    #[test]
    fn reads_in_columns() {
        let page = Page::default();
        let log = LiveLog::new(Box::new(page.clone()), false, TimeZone::UTC);
        let elapsed = Duration::from_micros(3_140);
        let message = Message {
            id: "0192f3a4-0000-7000-8000-0123456789ab".into(),
            source: "//shop/shop::orders::place_order".into(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: std::collections::BTreeMap::new(),
            body: bytes::Bytes::new(),
        };
        let handler = "shop::orders::place_order";
        log.observe(&Event::Answered { handler, method: "POST", path: "/orders", status: 202, elapsed });
        log.observe(&Event::Sent { handler, channel: Channel::Queue("orders"), message: &message });
        let failure = Failure { kind: FailureKind::Error, reason: "no answer".into() };
        for verdict in [Verdict::Retry(Duration::from_millis(1_300)), Verdict::DeadLetter] {
            log.observe(&Event::Finished {
                handler: "shop::mail::email_customer",
                trigger: "subscriber",
                message: Some(&message.id),
                attempt: 1,
                elapsed,
                failure: Some((&failure, verdict)),
            });
        }
        let detail = "message 456789ab: comes again 2.130 s later";
        log.observe(&Event::Injected { who: "orders", fault: "duplicated", detail });
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = page.lines().map(|line| &line[14..]).collect();
        assert_eq!(
            lines,
            [
                "request     POST /orders                        202            3.1 ms  shop::orders::place_order",
                "sent        orders                              456789ab               by shop::orders::place_order",
                "subscriber  shop::mail::email_customer          again 1.3 s    3.1 ms  message 456789ab, attempt 1, error: no answer",
                "subscriber  shop::mail::email_customer          dead letter    3.1 ms  message 456789ab, attempt 1, error: no answer",
                "chaos       orders                              duplicated             message 456789ab: comes again 2.130 s later",
            ]
        );
    }
}
