//! UD2015: more shared with others than a stack tells of.

use super::Subject;
use crate::capabilities::MOST_OUTPUTS;
use serde_json::Value;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2015",
    title: "more resources shared with others than a stack can tell of",
    text: "\
A stack tells what others need to know of it in outputs, 200 at most: where the API is, and each resource that is declared with
`external`.

```rust
#[queue(message = Order, external = \"read\")]      // and 199 others
pub struct Orders;
```

Take `external` away where nobody outside needs the resource's name, or let one queue or topic carry what several did:

```rust
#[queue(message = Order)]
pub struct Orders;
```
",
};

pub(crate) fn check(subject: &Subject<'_>, template: &Value, sink: &mut Sink) {
    let count = template["Outputs"].as_object().map_or(0, serde_json::Map::len);
    if count <= MOST_OUTPUTS {
        return;
    }
    let message = format!("the application shares {count} things with others, and a stack tells of {MOST_OUTPUTS}");
    let mut diagnostic = Diagnostic::error("UD2015", message);
    let shared = subject.app.resources.iter().filter(|resource| resource.external.is_some());
    if let Some(last) = shared.max_by_key(|resource| (&resource.place.file, resource.place.line)) {
        diagnostic = diagnostic.label(&last.place, "one of them");
    }
    sink.push(diagnostic.help("take `external` away where nobody outside needs the resource's name"));
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, reaching},
    };
    use updraft_model::{Access, Kind};

    #[test]
    fn two_hundred_and_one() {
        for (many, expected) in [(199, vec![]), (200, vec!["UD2015"])] {
            let mut plan = fixture::shop();
            // Queues that somebody else takes from; thirty handlers send to them.
            let sender = plan.app.handler("shop::orders::get_order").unwrap().clone();
            for at in 0..25 {
                let mut function = plan.app.handler("shop::pricing::quote").unwrap().clone();
                function.id = format!("zoo::sender{at:02}");
                function.place = sender.place.clone();
                plan.units.push(updraft_model::Unit { id: format!("z{at}"), handlers: [function.id.clone()].into() });
                plan.app.handlers.push(function);
            }
            for at in 0..many {
                reaching(&mut plan, &format!("zoo::sender{:02}", at % 25), (Kind::Queue, "orders"), Access::Write, 1);
            }
            for queue in plan.app.resources.iter_mut().filter(|resource| resource.id.starts_with("orders-number")) {
                queue.external = Some(Access::Read);
            }
            assert_eq!(codes(&plan), expected);
        }
    }
}
