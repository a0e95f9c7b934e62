//! UD1009: an attribute that a Trigger can't filter on.

use super::Subject;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1009",
    title: "an attribute that a Trigger can't filter on",
    text: "\
A topic's attributes travel as extensions of CloudEvents, whose names are lower case letters and digits, a letter first, and
Eventing refuses a filter on any other. The names that CloudEvents itself uses (`id`, `source`, `type`, …) are taken.

```rust
#[subscriber(Shipped, when(ship_to = \"eu\"))]     // an underscore
```

```rust
#[subscriber(Shipped, when(shipto = \"eu\"))]
```
",
};

const TAKEN: [&str; 9] =
    ["id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema", "data"];

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let Trigger::Subscriber { when, .. } = &handler.trigger else { continue };
        for name in when.keys().filter(|name| !is_attribute(name)) {
            sink.push(
                Diagnostic::error("UD1009", format!("a Trigger can't filter on the attribute `{name}`"))
                    .label(&handler.place, "filters on it")
                    .help(
                        "lower case letters and digits, a letter first, at most 20, and none of CloudEvents' own names",
                    ),
            );
        }
    }
}

fn is_attribute(name: &str) -> bool {
    name.len() <= 20
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !TAKEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};
    use updraft_model::Trigger;

    #[test]
    fn an_underscore_and_a_taken_name() {
        for (name, wanted) in [("ship_to", vec!["UD1009"]), ("source", vec!["UD1009"]), ("region", vec![])] {
            let mut plan = fixture::shop();
            for handler in &mut plan.app.handlers {
                if let Trigger::Subscriber { when, .. } = &mut handler.trigger
                    && handler.id == "audit::record"
                {
                    when.insert(name.into(), "eu".into());
                }
            }
            assert_eq!(codes(&plan), wanted, "{name}");
        }
    }
}
