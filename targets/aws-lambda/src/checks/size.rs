//! UD2011, UW2001 and UD2012: an application too large for a template, or a unit for its variables.

use super::Subject;
use crate::capabilities::{ENVIRONMENT_BYTES, MANY_RESOURCES, MOST_RESOURCES};
use crate::lower::{Source, lower};
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2011",
    title: "more resources than a stack can have",
    text: "\
A CloudFormation stack has 500 resources at most. A unit is five of them (function, role, logs, version, alias), a consumer
adds four, a subscriber six.

Put handlers together: their function, role and logs are shared, and so are their rights.

```toml
[placement]
default = \"module\"
```
",
};

pub(crate) const EXPLAIN_MANY: Explain = Explain {
    code: "UW2001",
    title: "almost as many resources as a stack can have",
    text: "\
A CloudFormation stack has 500 resources at most, and this one has over 450: a few handlers more, and it can't be deployed.
It is easier to put handlers together before that (`[placement] default = \"module\"`) than on the day.
",
};

pub(crate) const EXPLAIN_ENVIRONMENT: Explain = Explain {
    code: "UD2012",
    title: "a unit with more resources than its function can be told of",
    text: "\
A function's variables have 4096 bytes together, and the names and addresses of all that a unit reaches stand there, since
CloudFormation alone knows them.

Give the handlers of the unit units of their own, each of which reaches less:

```toml
[placement]
default = \"handler\"
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let Some(source) = Source::new(subject.app, subject.units, subject.settings, String::new()) else { return };
    let Ok(lowered) = lower(&source) else { return };
    let count = lowered.template.resources();
    let help = "put handlers together, `[placement] default = \"module\"`";
    if count > MOST_RESOURCES {
        let message = format!("the application is {count} resources on AWS, and a stack has {MOST_RESOURCES}");
        sink.push(Diagnostic::error("UD2011", message).help(help));
    } else if count > MANY_RESOURCES {
        let message = format!("the application is {count} resources on AWS, and a stack has {MOST_RESOURCES}");
        sink.push(Diagnostic::warning("UW2001", message).help(help));
    }
    for (unit, bytes) in lowered.environments {
        if bytes > ENVIRONMENT_BYTES {
            let message = format!(
                "unit {unit} reaches so much that its function's variables may have {bytes} bytes, and Lambda allows {ENVIRONMENT_BYTES}"
            );
            let handlers =
                subject.units.iter().find(|held| held.id == unit).into_iter().flat_map(|held| &held.handlers);
            let first = handlers.filter_map(|id| subject.app.handler(id)).next();
            let mut diagnostic = Diagnostic::error("UD2012", message);
            if let Some(first) = first {
                diagnostic = diagnostic.label(&first.place, "of this unit");
            }
            sink.push(diagnostic.help("split the unit: `[placement] default = \"handler\"`, or smaller groups"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, handler},
    };
    use updraft_model::{Access, Grant, Kind, Plan, Unit};

    fn with_units(many: usize) -> Plan {
        let mut plan = fixture::shop();
        let function = plan.app.handler("shop::pricing::quote").unwrap().clone();
        for at in 0..many {
            let mut function = function.clone();
            function.id = format!("zoo::function{at:03}");
            plan.units.push(Unit { id: format!("zoo-{at}"), handlers: [function.id.clone()].into() });
            plan.app.handlers.push(function);
        }
        plan
    }

    #[test]
    fn many_units() {
        assert_eq!(codes(&with_units(60)), Vec::<&str>::new());
        assert_eq!(codes(&with_units(79)), ["UW2001"]);
        assert_eq!(codes(&with_units(100)), ["UD2011"]);
    }

    #[test]
    fn a_unit_that_reaches_everything() {
        let mut plan = fixture::shop();
        for at in 0..40 {
            let mut store = plan.app.resource(Kind::Store, "stock").unwrap().clone();
            store.id = format!("store-number-{at}");
            let grant = Grant { kind: Kind::Store, resource: store.id.clone(), access: Access::Read };
            plan.app.resources.push(store);
            handler(&mut plan, "shop::orders::get_order").grants.insert(grant);
        }
        assert_eq!(codes(&plan), ["UD2012"]);
    }
}
