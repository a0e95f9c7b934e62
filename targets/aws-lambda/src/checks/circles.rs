//! UD2007: units that call each other, each of which would have to be made before the other.

use super::Subject;
use crate::units::{Function, functions, serving};
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2007",
    title: "units that call each other in a circle",
    text: "\
A unit's function may invoke those of the units that it calls, and is told their names; so those are made first. If two units
call each other, neither can be. No handler calls itself here (that is UD0205): it is the placement that puts caller and callee
of different calls into one unit.

```toml
[placement.groups]
front = [\"shop::orders\", \"shop::pricing::round\"]      # orders calls quote, quote calls round
prices = [\"shop::pricing::quote\"]
```

Put the functions that are called into a unit of their own, or with their only callers:

```toml
[placement.groups]
front = [\"shop::orders\"]
prices = [\"shop::pricing\"]
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let Err(circle) = functions(subject.app, subject.units) else { return };
    let all: Vec<Function<'_>> = subject.units.iter().map(|unit| Function::new(subject.app, unit)).collect();
    let mut diagnostic = Diagnostic::error(
        "UD2007",
        format!("the units {} call each other in a circle, so that no function can be made first", circle.join(", ")),
    );
    for function in all.iter().filter(|function| circle.contains(&function.unit)) {
        for called in function.calls() {
            let inside = serving(&all, called).filter(|serving| circle.contains(&serving.unit));
            if let (Some(serving), Some(handler)) = (inside, subject.app.handler(called)) {
                let text = format!("{} calls this, in {}", function.unit, serving.unit);
                diagnostic = diagnostic.label(&handler.place, text);
            }
        }
    }
    sink.push(
        diagnostic.help("change `[placement]`: put functions into a unit of their own, or with their only callers"),
    );
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings, handler},
    };
    use std::collections::BTreeSet;
    use updraft_model::{Access, Grant, Kind, Trigger, Unit};

    #[test]
    fn two_units() {
        let mut plan = fixture::shop();
        // The mail is a function now, and quotes are mailed; orders and mail share a unit, and orders ask for quotes.
        handler(&mut plan, "shop::mail::email_customer").trigger = Trigger::Function { idempotent: false };
        let call = |id: &str| Grant { kind: Kind::Function, resource: id.into(), access: Access::Call };
        handler(&mut plan, "shop::pricing::quote").grants.insert(call("shop::mail::email_customer"));
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let both = ["shop::mail::email_customer", "shop::pricing::get_quote"];
        plan.units.retain(|unit| !both.iter().any(|id| unit.handlers.contains(*id)));
        let handlers: BTreeSet<String> = both.iter().map(|id| (*id).to_owned()).collect();
        plan.units.push(Unit { id: "front".into(), handlers });
        // A third calls into the circle, and is not told that it is part of it.
        handler(&mut plan, "audit::record").grants.insert(call("shop::mail::email_customer"));
        let found = findings(&plan);
        assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["UD2007"]);
        assert!(found[0].message.contains("the units front, shop-pricing-quote call"), "{}", found[0].message);
    }
}
