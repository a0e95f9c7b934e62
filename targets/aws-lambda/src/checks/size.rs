//! UD2011, UW2001, UD2012 and UD2014: an application too large for a stack or its template, or a unit for its variables.

use super::{Subject, of_unit};
use crate::capabilities::{ENVIRONMENT_BYTES, MANY_RESOURCES, MOST_RESOURCES, TEMPLATE_BYTES};
use crate::lower::Lowered;
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2011",
    title: "more resources than a stack can have",
    text: "\
A CloudFormation stack has 500 resources at most. A unit is five of them (function, role, logs, version, alias), eight if
its alias moves in steps (`rollout`); a consumer adds four, a subscriber six.

```toml
[placement]
default = \"handler\"      # of a hundred functions
```

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

```toml
[placement]
default = \"handler\"      # of ninety-five functions
```

It is easier to put handlers together before that than on the day.

```toml
[placement]
default = \"module\"
```
",
};

pub(crate) const EXPLAIN_ENVIRONMENT: Explain = Explain {
    code: "UD2012",
    title: "a unit with more resources than its function can be told of",
    text: "\
A function's variables have 4096 bytes together, and the names and addresses of all that a unit reaches stand there, since
CloudFormation alone knows them.

```toml
[placement]
default = \"app\"      # of handlers that read thirty secrets
```

Give the handlers of the unit units of their own, each of which reaches less:

```toml
[placement]
default = \"handler\"
```
",
};

pub(crate) const EXPLAIN_TEMPLATE: Explain = Explain {
    code: "UD2014",
    title: "a template larger than CloudFormation reads",
    text: "\
CloudFormation reads a template of 1 MB at most. What makes it large are rights: each unit has a role, and each resource that
it reaches is named there with what may be done to it.

```toml
[placement]
default = \"handler\"      # of seventy functions that each write to fifteen stores
```

Put handlers together that reach the same, so that one role says it once:

```toml
[placement]
default = \"module\"
```
",
};

/// A finding about all, shown where the most units are of one module: there they are put together with the most effect.
fn at_the_largest(subject: &Subject<'_>, diagnostic: Diagnostic) -> Diagnostic {
    let mut units: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for unit in subject.units {
        for handler in of_unit(subject, &unit.id) {
            units.entry((&handler.krate, &handler.module)).or_default().insert(&unit.id);
        }
    }
    let Some((of, units)) = units.into_iter().max_by_key(|(_, units)| units.len()) else { return diagnostic };
    let first = subject.app.handlers.iter().find(|handler| (handler.krate.as_str(), handler.module.as_str()) == of);
    match first {
        Some(first) => {
            diagnostic.label(&first.place, format!("the handlers of its module are in {} units", units.len()))
        }
        None => diagnostic,
    }
}

/// How large the template is.
pub(crate) fn check_template(subject: &Subject<'_>, text: &str, sink: &mut Sink) {
    let bytes = text.len();
    if bytes > TEMPLATE_BYTES {
        let message = format!("the template has {bytes} bytes, and CloudFormation reads {TEMPLATE_BYTES}");
        let help = "put handlers together that reach the same, `[placement] default = \"module\"`";
        sink.push(at_the_largest(subject, Diagnostic::error("UD2014", message)).help(help));
    }
}

pub(crate) fn check(subject: &Subject<'_>, lowered: &Lowered<'_>, sink: &mut Sink) {
    let count = lowered.template.resources();
    let help = "put handlers together, `[placement] default = \"module\"`";
    let message = format!("the application is {count} resources on AWS, and a stack has {MOST_RESOURCES}");
    if count > MOST_RESOURCES {
        sink.push(at_the_largest(subject, Diagnostic::error("UD2011", message)).help(help));
    } else if count > MANY_RESOURCES {
        sink.push(at_the_largest(subject, Diagnostic::warning("UW2001", message)).help(help));
    }
    for (unit, bytes) in &lowered.environments {
        if *bytes > ENVIRONMENT_BYTES {
            let message = format!(
                "unit {unit} reaches so much that its function's variables may have {bytes} bytes, and Lambda allows {ENVIRONMENT_BYTES}"
            );
            let mut diagnostic = Diagnostic::error("UD2012", message);
            if let Some(first) = of_unit(subject, unit).next() {
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
        tests::{codes, findings, handler, reaching},
    };
    use updraft_model::{Access, Kind, Plan, Unit};

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
        let found = findings(&with_units(100));
        assert_eq!(found[0].labels[0].text, "the handlers of its module are in 102 units");
    }

    #[test]
    fn a_unit_that_reaches_everything() {
        let mut plan = fixture::shop();
        reaching(&mut plan, "shop::orders::get_order", (Kind::Secret, "mailer-key"), Access::Read, 20);
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let mut plan = fixture::shop();
        reaching(&mut plan, "shop::orders::get_order", (Kind::Secret, "mailer-key"), Access::Read, 30);
        assert_eq!(codes(&plan), ["UD2012"]);
    }

    #[test]
    fn units_that_reach_much() {
        for (many, expected) in [(5, vec![]), (15, vec!["UD2014"])] {
            let mut plan = with_units(70);
            let before = plan.app.resources.len();
            reaching(&mut plan, "zoo::function000", (Kind::Store, "stock"), Access::ReadWrite, many);
            let grants = plan.app.handler("zoo::function000").unwrap().grants.clone();
            for at in 1..70 {
                handler(&mut plan, &format!("zoo::function{at:03}")).grants.clone_from(&grants);
            }
            assert_eq!(plan.app.resources.len(), before + many);
            assert_eq!(codes(&plan), expected);
        }
    }
}
