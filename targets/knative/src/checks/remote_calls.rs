//! UD1001: a function in another unit than a caller of it.

use super::Subject;
use std::collections::BTreeSet;
use updraft_model::{Diagnostic, Explain, Handler, Kind, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1001",
    title: "a function in a unit of its own",
    text: "\
On Knative a function runs in the process of its caller: calls between units are not made yet. So a unit that holds a
function must hold a route, consumer, subscriber or schedule that calls it too.

```toml
[placement]
groups.pricing = [\"shop::pricing::quote\"]   # a unit with nothing but a function
```

Leave the function to its callers: without a group, it becomes part of every unit that calls it.

```toml
[placement]
default = \"module\"
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for unit in subject.units {
        for caller in subject.handlers(unit) {
            let called = caller.grants.iter().filter(|grant| grant.kind == Kind::Function);
            for callee in called.filter_map(|grant| subject.app.handler(&grant.resource)) {
                if !unit.handlers.contains(&callee.id) && said.insert(&callee.id) {
                    sink.push(refuse(callee, Some(caller)));
                }
            }
        }
    }
    for unit in subject.units {
        let mut handlers = subject.handlers(unit).peekable();
        let nothing_else = handlers.peek().is_some()
            && subject
                .handlers(unit)
                .all(|handler| matches!(handler.trigger, Trigger::Function { .. } | Trigger::Shared { .. }));
        if nothing_else {
            for callee in handlers.filter(|callee| said.insert(&callee.id)) {
                sink.push(refuse(callee, None));
            }
        }
    }
}

fn refuse(callee: &Handler, caller: Option<&Handler>) -> Diagnostic {
    let message = match caller {
        Some(caller) => format!("{} runs in another unit than {}, which calls it", callee.id, caller.id),
        None => format!("the unit of {} holds functions alone, so nothing can reach them", callee.id),
    };
    let diagnostic = Diagnostic::error("UD1001", message).label(&callee.place, "this function");
    let diagnostic = match caller {
        Some(caller) => diagnostic.label(&caller.place, "its caller"),
        None => diagnostic,
    };
    diagnostic.help("calls between units are not made on Knative yet: take the function out of `[placement] groups`, so that it joins its callers")
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};
    use updraft_model::Unit;

    #[test]
    fn a_function_apart_from_its_caller() {
        let mut plan = fixture::shop();
        for unit in &mut plan.units {
            unit.handlers.remove("shop::pricing::quote");
        }
        plan.units.push(Unit { id: "pricing".into(), handlers: ["shop::pricing::quote".to_owned()].into() });
        assert_eq!(codes(&plan), ["UD1001"]);
    }

    #[test]
    fn a_function_alone_that_nobody_calls() {
        let mut plan = fixture::shop();
        for handler in &mut plan.app.handlers {
            handler.grants.retain(|grant| grant.resource != "shop::pricing::quote");
        }
        plan.units.push(Unit { id: "pricing".into(), handlers: ["shop::pricing::quote".to_owned()].into() });
        assert_eq!(codes(&plan), ["UD1001"]);
    }
}
