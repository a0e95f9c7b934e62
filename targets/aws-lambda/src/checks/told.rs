//! UD2017: more handlers of one bucket's objects than S3 tells.

use super::Subject;
use crate::capabilities::{KEY_FILTER_BYTES, MOST_NOTIFICATIONS};
use std::collections::BTreeMap;
use updraft_model::{Diagnostic, Explain, Handler, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2017",
    title: "more handlers than a bucket can tell",
    text: "\
A bucket tells a hundred receivers of its objects at most, and each handler is one. A prefix or a suffix has 1,024 bytes.

```rust
#[object(Uploads, created, prefix = \"in/0/\")]      // and 99 others
async fn arrived(object: Object) -> Result<()> { … }
```

Let one handler look at the key, or publish to a topic, which has as many subscribers as you like:

```rust
#[object(Uploads, created, prefix = \"in/\")]
async fn arrived(object: Object, uploaded: Topic<Uploaded>) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let mut told: BTreeMap<&str, Vec<&Handler>> = BTreeMap::new();
    for handler in &subject.app.handlers {
        let Trigger::Object { bucket, prefix, suffix, .. } = &handler.trigger else { continue };
        told.entry(bucket).or_default().push(handler);
        for (what, text) in [("prefix", prefix), ("suffix", suffix)] {
            if text.len() > KEY_FILTER_BYTES {
                let message =
                    format!("the {what} of {} has {} bytes, and S3 reads {KEY_FILTER_BYTES}", handler.id, text.len());
                sink.push(
                    Diagnostic::error("UD2017", message)
                        .label(&handler.place, "is told here")
                        .help("no key is longer; look for a shorter part of it"),
                );
            }
        }
    }
    for (bucket, handlers) in told {
        if let Some(first) = handlers.get(MOST_NOTIFICATIONS) {
            let message = format!(
                "bucket {bucket} would tell {} handlers of its objects, and S3 tells {MOST_NOTIFICATIONS}",
                handlers.len()
            );
            sink.push(
                Diagnostic::error("UD2017", message)
                    .label(&first.place, "one too many")
                    .help("let one handler publish to a topic that the others subscribe to"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};
    use updraft_model::{ObjectEvent, Plan, Trigger};

    fn told(plan: &mut Plan, at: usize, prefix: String) {
        let mut handler = plan.app.handler("audit::record").unwrap().clone();
        handler.id = format!("zoo::arrived{at:03}");
        let (bucket, event, suffix) = ("reports".into(), ObjectEvent::Created, String::new());
        handler.trigger = Trigger::Object { bucket, event, prefix, suffix };
        plan.units[0].handlers.insert(handler.id.clone());
        plan.app.handlers.push(handler);
    }

    #[test]
    fn a_hundred_and_one() {
        let mut plan = fixture::shop();
        for at in 0..101 {
            told(&mut plan, at, format!("in/{at:03}/"));
        }
        let codes = codes(&plan);
        assert_eq!(codes, ["UD2017"]);
    }

    #[test]
    fn a_prefix_longer_than_any_key() {
        for (bytes, expected) in [(1_024, vec![]), (1_025, vec!["UD2017"])] {
            let mut plan = fixture::shop();
            told(&mut plan, 0, "x".repeat(bytes));
            assert_eq!(codes(&plan), expected);
        }
    }
}
