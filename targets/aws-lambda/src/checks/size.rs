//! UD2011, UW2001 and UD2012: an application too large for its stacks, or a unit for its variables.

use super::{Subject, of_unit};
use crate::capabilities::{ENVIRONMENT_BYTES, MANY_RESOURCES, MOST_RESOURCES, TEMPLATE_BYTES};
use crate::default_stack;
use crate::split::{LONGEST_STACK, Stacks};
use crate::template::Template;
use std::collections::BTreeMap;
use updraft_model::settings::DataStacks;
use updraft_model::{Diagnostic, Explain, Handler, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2011",
    title: "more resources than a stack can have",
    text: "\
A CloudFormation stack has 500 resources at most, and its template a megabyte. Functions, with their roles and logs, get stacks of their own where one does
not hold all; what keeps data, and what leads messages and requests to functions, stays in one, since another stack would
make it anew, empty. There a subscriber is seven of them (two queues with their policies, the subscription, and two names that
functions know them by), a consumer of a queue four, a route one or two.

```rust
#[subscriber(Sales)]      // and eighty others
async fn report(sale: Sale) -> Result<()> { … }
```

Where nothing is deployed yet, modules may have stacks of their own for what they declare and their handlers are sent. (Later
it would be made anew there, empty, and `deploy` refuses that.) Topics, buckets, secrets and routes stay together even then.

```toml
[target.aws-lambda]
data = \"module\"
```

(A template is too long with fewer resources where names are very long: it says of each resource what it is there for.)

Else let one handler do what many did, gather routes in a router (`#[routes]`), or make two applications of one: what they share
is declared with `external`.
",
};

pub(crate) const EXPLAIN_MANY: Explain = Explain {
    code: "UW2001",
    title: "almost as many resources as a stack can have",
    text: "\
A CloudFormation stack has 500 resources at most. Functions are in stacks of their own already, and what has to stay together
is over 450: a few queues, topics or routes more, and it can't be deployed.

```rust
#[subscriber(Sales)]      // and sixty-three others
async fn report(sale: Sale) -> Result<()> { … }
```

It is easier to let one handler do what many did, or to make two applications of one, before that than on the day. Where nothing
is deployed yet, `data = \"module\"` in `[target.aws-lambda]` gives modules stacks of their own for what they keep.

```rust
#[subscriber(Sales)]      // for all of them
async fn report(sale: Sale) -> Result<()> { … }
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

pub(crate) fn check(subject: &Subject<'_>, environments: &BTreeMap<&str, usize>, stacks: &Stacks, sink: &mut Sink) {
    stack(subject, stacks, sink);
    templates(subject, stacks, sink);
    for (unit, bytes) in environments {
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

/// Whether an application's stacks hold it.
fn stack(subject: &Subject<'_>, stacks: &Stacks, sink: &mut Sink) {
    let (name, is_one) = (default_stack(subject.app, subject.settings), stacks.parts.is_empty());
    if name.len() > LONGEST_STACK && !is_one {
        let message = format!(
            "the stack's name `{name}` is too long for an application of several stacks: names of functions begin with it"
        );
        let help = format!("`[target.aws-lambda] stack = \"…\"` names it: {LONGEST_STACK} characters at most");
        sink.push(Diagnostic::error("UD2010", message).help(help));
    }
    let count = stacks.all().map(Template::resources).max().unwrap_or_default();
    let message = if is_one {
        format!("the application is {count} resources on AWS that stay in one stack, and a stack has {MOST_RESOURCES}")
    } else {
        format!(
            "the application's queues, topics, stores and routes are {count} resources on AWS, beside its functions, and a stack has {MOST_RESOURCES}"
        )
    };
    // Where functions may still get stacks of their own, there is room.
    let has_room = is_one && stacks.main.resources.values().any(|resource| resource.unit.is_some());
    let help = match subject.settings.aws_lambda.data {
        DataStacks::Main => {
            "`data = \"module\"` in `[target.aws-lambda]` gives modules stacks of their own for what they keep"
        }
        DataStacks::Module => "let one handler do what many did, or make two applications of one",
    };
    if count > MOST_RESOURCES {
        sink.push(most_of_a_kind(subject, Diagnostic::error("UD2011", message)).help(help));
    } else if count > MANY_RESOURCES && !has_room {
        sink.push(most_of_a_kind(subject, Diagnostic::warning("UW2001", message)).help(help));
    }
}

/// Whether CloudFormation reads all of the templates.
fn templates(subject: &Subject<'_>, stacks: &Stacks, sink: &mut Sink) {
    let main = default_stack(subject.app, subject.settings);
    let parts = stacks.parts.iter().map(|(part, template)| (format!("{main}-{part}"), template));
    for (stack, template) in [(main.clone(), &stacks.main)].into_iter().chain(parts) {
        let bytes = template.text().map_or(0, |text| text.len());
        if bytes > TEMPLATE_BYTES {
            let message = format!(
                "the template of the stack {stack} has {bytes} bytes, and CloudFormation takes {TEMPLATE_BYTES} at most"
            );
            let help = "shorter names of handlers, modules and resources make it shorter, and so do smaller units and fewer handlers";
            sink.push(most_of_a_kind(subject, Diagnostic::error("UD2011", message)).help(help));
        }
    }
}

/// A finding about all, shown at the last of the handlers that there are most of.
fn most_of_a_kind(subject: &Subject<'_>, diagnostic: Diagnostic) -> Diagnostic {
    let mut kinds: BTreeMap<&str, Vec<&Handler>> = BTreeMap::new();
    for handler in &subject.app.handlers {
        kinds.entry(handler.trigger.kind()).or_default().push(handler);
    }
    let most = kinds.into_iter().filter(|(kind, _)| *kind != "function").max_by_key(|(_, handlers)| handlers.len());
    match most.and_then(|(kind, handlers)| Some((kind, handlers.len(), *handlers.last()?))) {
        Some((kind, count, last)) => diagnostic.label(&last.place, format!("one of {count} with `#[{kind}]`")),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings, handler, reaching},
    };
    use updraft_model::{Access, Kind, Plan, Sink, Target, Unit};

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

    /// Functions get stacks of their own; what they take messages from does not.
    #[test]
    fn many_units() {
        for units in [60, 79, 200] {
            assert_eq!(codes(&with_units(units)), Vec::<&str>::new());
        }
        let with_subscribers = |many: usize| {
            let mut plan = fixture::shop();
            let subscriber = plan.app.handler("audit::record").unwrap().clone();
            for at in 0..many {
                let mut subscriber = subscriber.clone();
                subscriber.id = format!("zoo::sold{at:03}");
                plan.units.push(Unit { id: format!("zoo-{at}"), handlers: [subscriber.id.clone()].into() });
                plan.app.handlers.push(subscriber);
            }
            plan
        };
        assert_eq!(codes(&with_subscribers(50)), Vec::<&str>::new());
        assert_eq!(codes(&with_subscribers(63)), ["UW2001"]);
        assert_eq!(codes(&with_subscribers(80)), ["UD2011"]);
        let mut apart = with_subscribers(80);
        apart.settings.aws_lambda.data = updraft_model::settings::DataStacks::Module;
        for (at, handler) in apart.app.handlers.iter_mut().filter(|handler| handler.id.starts_with("zoo")).enumerate() {
            (handler.krate, handler.module) = ("shop".into(), format!("zoo{}", at % 4));
        }
        assert_eq!(codes(&apart), Vec::<&str>::new());
        let found = findings(&with_subscribers(80));
        assert_eq!(found[0].labels[0].text, "one of 82 with `#[subscriber]`");
    }

    /// What a template says of its resources' origins are names, which may be of any length.
    #[test]
    fn names_that_fill_a_template() {
        let long = "sold".repeat(750);
        let named = |like: &str| {
            let mut plan = fixture::shop();
            let handler = plan.app.handler(like).unwrap().clone();
            let ids: Vec<String> = (0..200).map(|at| format!("zoo::{long}{at:03}")).collect();
            plan.app.handlers.extend(ids.iter().map(|id| updraft_model::Handler { id: id.clone(), ..handler.clone() }));
            (plan, ids)
        };
        let of_size = |plan: &Plan| {
            let findings = findings(plan).into_iter().filter(|found| ["UD2011", "UW2001"].contains(&found.code));
            findings.map(|found| found.message).collect::<Vec<_>>()
        };
        // Functions get smaller stacks, as long as one holds a unit.
        let (mut plan, ids) = named("shop::pricing::quote");
        plan.units.extend(
            ids.iter().enumerate().map(|(at, id)| Unit { id: format!("zoo-{at}"), handlers: [id.clone()].into() }),
        );
        assert_eq!(of_size(&plan), Vec::<String>::new());
        let (mut plan, ids) = named("shop::pricing::quote");
        plan.units.push(Unit { id: "zoo".into(), handlers: ids.into_iter().collect() });
        let said = of_size(&plan);
        assert!(said.len() == 1 && said[0].contains("the template of the stack shop-"), "{said:?}");
        let (mut plan, ids) = named("audit::record");
        let few = ids.iter().take(50).enumerate();
        plan.units.extend(few.map(|(at, id)| Unit { id: format!("zoo-{at}"), handlers: [id.clone()].into() }));
        plan.app.handlers.retain(|handler| plan.units.iter().any(|unit| unit.handlers.contains(&handler.id)));
        let said = of_size(&plan);
        assert!(said.iter().any(|one| one.contains("the template of the stack shop has")), "{said:?}");
    }

    /// A function with a URL stays where it is, and with it all that is there for it.
    #[test]
    fn one_unit_with_a_url() {
        let with_subscribers = |many: usize| {
            let mut plan = fixture::in_one_unit();
            plan.settings.aws_lambda.http = updraft_model::settings::Entry::FunctionUrl;
            let subscriber = plan.app.handler("audit::record").unwrap().clone();
            for at in 0..many {
                let mut subscriber = subscriber.clone();
                subscriber.id = format!("zoo::sold{at:03}");
                plan.units[0].handlers.insert(subscriber.id.clone());
                plan.app.handlers.push(subscriber);
            }
            plan
        };
        // Such a unit has too much of other things, too.
        let of_size = |code: &&str| ["UD2011", "UW2001"].contains(code);
        let size = |many| codes(&with_subscribers(many)).into_iter().filter(of_size).collect::<Vec<_>>();
        assert_eq!(size(60), Vec::<&str>::new());
        assert_eq!(size(75), ["UW2001"]);
        assert_eq!(size(90), ["UD2011"]);
        let found = findings(&with_subscribers(90)).into_iter().find(|found| found.code == "UD2011").unwrap();
        assert!(found.message.contains("resources on AWS that stay in one stack"), "{}", found.message);
    }

    #[test]
    fn a_name_that_functions_can_begin_with() {
        let mut plan = with_units(100);
        plan.settings.aws_lambda.stack = Some("a".repeat(32));
        assert_eq!(codes(&plan), Vec::<&str>::new());
        plan.settings.aws_lambda.stack = Some("a".repeat(33));
        assert_eq!(codes(&plan), ["UD2010"]);
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
        for many in [5, 15] {
            let mut plan = with_units(70);
            plan.settings.aws_lambda.resources_per_stack = Some(500);
            let before = plan.app.resources.len();
            reaching(&mut plan, "zoo::function000", (Kind::Store, "stock"), Access::ReadWrite, many);
            let grants = plan.app.handler("zoo::function000").unwrap().grants.clone();
            for at in 1..70 {
                handler(&mut plan, &format!("zoo::function{at:03}")).grants.clone_from(&grants);
            }
            assert_eq!(plan.app.resources.len(), before + many);
            assert_eq!(codes(&plan), Vec::<&str>::new());
            let artifacts = crate::AwsLambda.compile(&plan, &mut Sink::default()).unwrap();
            assert_eq!(artifacts.iter().count() > 2, many == 15, "the roles are too long for one template");
            assert!(artifacts.iter().all(|(_, file)| file.bytes.len() < 1_000_000));
        }
    }
}
