//! UD2006: two handlers that S3 would have to tell of one object.

use super::Subject;
use updraft_model::{Diagnostic, Explain, Handler, ObjectEvent, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2006",
    title: "two handlers for one object's event",
    text: "\
S3 tells one receiver of an event. Two handlers of a bucket and an event must therefore differ in prefix or suffix so that no
key can have both.

```rust
#[object(Uploads, created, prefix = \"in/\")]
async fn scan(object: Object) -> Result<()> { … }

#[object(Uploads, created, suffix = \".png\")]
async fn shrink(object: Object) -> Result<()> { … }     // in/photo.png is both's
```

Let one handler publish to a topic, which has as many subscribers as you like:

```rust
#[object(Uploads, created)]
async fn arrived(object: Object, uploaded: Topic<Uploaded>) -> Result<()> { … }
```
",
};

struct Told<'a> {
    handler: &'a Handler,
    bucket: &'a str,
    event: ObjectEvent,
    prefix: &'a str,
    suffix: &'a str,
}

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let told = subject.app.handlers.iter().filter_map(|handler| match &handler.trigger {
        Trigger::Object { bucket, event, prefix, suffix } => {
            Some(Told { handler, bucket, event: *event, prefix, suffix })
        }
        Trigger::Http { .. }
        | Trigger::Consumer { .. }
        | Trigger::Subscriber { .. }
        | Trigger::Schedule { .. }
        | Trigger::Function { .. }
        | Trigger::Routes { .. }
        | Trigger::Layer { .. }
        | Trigger::Shared { .. } => None,
    });
    let told: Vec<Told<'_>> = told.collect();
    for (at, one) in told.iter().enumerate() {
        for other in &told[at + 1..] {
            let same = one.bucket == other.bucket && one.event == other.event;
            let prefixes = one.prefix.starts_with(other.prefix) || other.prefix.starts_with(one.prefix);
            let suffixes = one.suffix.ends_with(other.suffix) || other.suffix.ends_with(one.suffix);
            if same && prefixes && suffixes {
                let message = format!(
                    "`{}` and `{}` would both be told of some objects of bucket {}, and S3 tells one",
                    one.handler.id, other.handler.id, one.bucket
                );
                sink.push(
                    Diagnostic::error("UD2006", message)
                        .label(&other.handler.place, "is told here")
                        .label(&one.handler.place, "and here")
                        .help("let one handler publish to a topic that both subscribe to, or choose prefixes that exclude each other"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, handler},
    };
    use updraft_model::{ObjectEvent, Trigger};

    #[test]
    fn filters_that_overlap() {
        let object = |prefix: &str, suffix: &str, event| Trigger::Object {
            bucket: "reports".into(),
            event,
            prefix: prefix.into(),
            suffix: suffix.into(),
        };
        let created = ObjectEvent::Created;
        for (one, other, refused) in [
            (object("", "", created), object("", "", created), true),
            (object("in/", "", created), object("", ".png", created), true),
            (object("in/", "", created), object("out/", "", created), false),
            (object("", ".jpg", created), object("", ".png", created), false),
            (object("", "", created), object("", "", ObjectEvent::Removed), false),
        ] {
            let mut plan = fixture::shop();
            handler(&mut plan, "audit::record").trigger = one.clone();
            handler(&mut plan, "shop::mail::email_customer").trigger = other.clone();
            assert_eq!(codes(&plan), if refused { vec!["UD2006"] } else { vec![] }, "{one:?} {other:?}");
        }
    }
}
