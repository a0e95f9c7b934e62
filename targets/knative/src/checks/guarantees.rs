//! UD1010: a resource that asks for more than Knative's engines give.

use super::Subject;
use crate::capabilities::CAPABILITIES;
use updraft_model::{Diagnostic, Explain, Guarantee, Kind, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1010",
    title: "a guarantee that Knative can't give",
    text: "\
A declaration may ask for more than every engine does, and Knative's broker delivers at least once, in no order and at once:
it can't hold a message back until a time.

```rust
#[queue(message = Reminder, delay)]
pub struct Reminders;
```

Keep what is due later in a store, and let a schedule send what has become due:

```rust
#[queue(message = Reminder)]
pub struct Reminders;

#[schedule(\"* * * * *\")]
async fn remind(tick: Tick, due: Store<Due>, reminders: Queue<Reminders>) -> Result<()> { … }
```
",
};

/// What a declaration's option asks for.
const OPTIONS: [(Kind, &str, Guarantee); 3] = [
    (Kind::Queue, "delay", Guarantee::Delay),
    (Kind::Topic, "attributes", Guarantee::Filter),
    (Kind::Store, "ttl", Guarantee::Ttl),
];

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for (resource, _) in subject.used() {
        for (kind, option, guarantee) in OPTIONS {
            let asked = resource.kind == kind && resource.options.get(option).is_some_and(|value| value != "false");
            if asked && !CAPABILITIES.guarantees.contains(&guarantee) {
                let message = format!("{kind} {} asks for `{option}`, which Knative can't give", resource.id);
                sink.push(
                    Diagnostic::error("UD1010", message)
                        .label(&resource.place, format!("declared with `{option}`"))
                        .help("`cargo updraft explain UD1010` shows another way"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn a_queue_with_delay() {
        for (id, option, wanted) in [("orders", "delay", vec!["UD1010"]), ("stock", "ttl", vec![])] {
            let mut plan = fixture::shop();
            let resource = plan.app.resources.iter_mut().find(|resource| resource.id == id).unwrap();
            resource.options.insert(option.into(), "true".into());
            assert_eq!(codes(&plan), wanted, "{id}");
        }
    }
}
