//! UD1010: a resource that asks for more than Knative's engines give.

use super::Subject;
use super::engines::engine_of;
use crate::capabilities::CAPABILITIES;
use updraft_model::{Diagnostic, Explain, Guarantee, Handler, Kind, Resource, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1010",
    title: "a guarantee that Knative can't give",
    text: "\
A declaration may ask for more than every engine does, and Knative's broker delivers at least once, in no order and at once:
it can't hold a message back until a time (`delay`), keep the messages of a key in order (`ordered`), or know a message
again that was sent before (`dedup`).

```rust
#[queue(message = Reminder, delay)]
pub struct Reminders;
```

Keep what is due later in a store, and let a schedule send what has become due:

```rust
#[queue(message = Reminder)]
pub struct Reminders;

#[schedule(\"* * * * *\", timeout = \"50s\")]
async fn remind(tick: Tick, due: Store<Due>, reminders: Queue<Reminders>) -> Result<()> { … }
```

In place of order, let messages say which state they follow (a version, a number) and let the consumer write on that
condition. In place of `dedup`, let the sender or the consumer insert the id into a store first: `insert_new` says whether it
was there.

A bucket on an S3 server tells nobody of its objects (`#[object]`): what each server can send, and to whom, is its own
business. Whoever writes the object can say so itself, with a message to a queue:

```rust
uploads.write(&key, None, body).await?;
arrived.send(&Arrived { key }).await?;
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for (resource, user) in subject.used() {
        let Some(engine) = engine_of(subject, resource) else { continue };
        for guarantee in Guarantee::asked_by(resource).filter(|guarantee| !CAPABILITIES.gives(engine, *guarantee)) {
            let (kind, option) = guarantee.option();
            let (user, id) = (needs_it(subject, resource).unwrap_or(user), &resource.id);
            let message =
                format!("`{}` needs {kind} {id} to {}, and Knative's {engine} can't", user.id, guarantee.words());
            sink.push(
                Diagnostic::error("UD1010", message)
                    .label(&resource.place, format!("declared with `{option}`"))
                    .label(&user.place, "relies on it here")
                    .help("`cargo updraft explain UD1010` shows another way"),
            );
        }
    }
    objects(subject, sink);
}

/// What a trigger asks of its bucket.
fn objects(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let Trigger::Object { bucket, .. } = &handler.trigger else { continue };
        let Some(resource) = subject.app.resource(Kind::Bucket, bucket) else { continue };
        let Some(engine) = engine_of(subject, resource) else { continue };
        if !CAPABILITIES.gives(engine, Guarantee::Objects) {
            let words = Guarantee::Objects.words();
            let message = format!("`{}` needs bucket {bucket} to {words}, and Knative's {engine} can't", handler.id);
            sink.push(
                Diagnostic::error("UD1010", message)
                    .label(&handler.place, "runs for its objects")
                    .label(&resource.place, "declared here")
                    .help("`cargo updraft explain UD1010` shows another way"),
            );
        }
    }
}

/// Who relies on it before others: a subscriber that filters, of its topic.
fn needs_it<'a>(subject: &Subject<'a>, resource: &Resource) -> Option<&'a Handler> {
    let source = Some((resource.kind, &*resource.id));
    subject.app.handlers.iter().find(|handler| handler.trigger.filters() && handler.trigger.source() == source)
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings},
    };

    #[test]
    fn what_the_engine_does_not_keep() {
        for (id, option, refused) in [
            ("orders", "delay", true),
            ("orders", "ordered", true),
            ("orders", "dedup", true),
            ("shipped", "attributes", false),
            ("stock", "ttl", false),
            ("stock", "partition", false),
            ("audit-log", "presign", false),
        ] {
            let mut plan = fixture::shop();
            let resource = plan.app.resources.iter_mut().find(|resource| resource.id == id).unwrap();
            resource.options.insert(option.into(), "1".into());
            assert_eq!(codes(&plan), if refused { vec!["UD1010"] } else { vec![] }, "{id} {option}");
        }
    }

    #[test]
    fn nobody_tells_of_objects() {
        let mut plan = fixture::shop();
        let handler = plan.app.handlers.iter_mut().find(|handler| handler.id == "audit::record").unwrap();
        handler.trigger = updraft_model::Trigger::Object {
            bucket: "audit-log".into(),
            event: updraft_model::ObjectEvent::Created,
            prefix: String::new(),
            suffix: String::new(),
        };
        let found = findings(&plan);
        assert_eq!(
            found.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(),
            ["`audit::record` needs bucket audit-log to tell of its objects, and Knative's s3 can't"]
        );
    }

    #[test]
    fn says_who_needs_what_of_which() {
        let mut plan = fixture::shop();
        let resource = plan.app.resources.iter_mut().find(|resource| resource.id == "orders").unwrap();
        resource.options.insert("delay".into(), "true".into());
        let found = findings(&plan);
        assert_eq!(
            found[0].message,
            "`shop::orders::place_order` needs queue orders to hold messages back until their time, and Knative's broker can't"
        );
    }
}
