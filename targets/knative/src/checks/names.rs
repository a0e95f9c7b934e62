//! UD1005 and UD1006: names that Kubernetes can't carry, and two that become one.

use super::Subject;
use crate::capabilities::LONGEST_SERVICE_NAME;
use crate::names::{DEAD_LETTER_JOB, Names};
use crate::services::{Face, has_events, services};
use std::collections::BTreeMap;
use updraft_kubernetes::names::{is_label, object_name};
use updraft_model::{Diagnostic, Explain, Kind, Place, Sink};

/// A CronJob's name gets a suffix of eleven characters in its jobs' names.
const LONGEST_TRIGGER_NAME: usize = 52;

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1005",
    title: "a name that Kubernetes can't carry",
    text: "\
Objects are named after units, handlers and secrets: lower case letters, digits and `-`, a letter first. A Service's name
has at most 54 characters (its revisions add nine), a Trigger's 52. Names are never cut: two would become one.

```rust
#[subscriber(Shipped)]
async fn tell_the_customer_that_an_order_has_left_the_house(order: Order) -> Result<()> { … }
```

Choose another name, for a unit by a group, or pin a handler's:

```rust
#[subscriber(Shipped, name = \"shop::tell_the_customer\")]
async fn tell_the_customer_that_an_order_has_left_the_house(order: Order) -> Result<()> { … }
```
",
};

pub(crate) const EXPLAIN_COLLISION: Explain = Explain {
    code: "UD1006",
    title: "two names that become one on Kubernetes",
    text: "\
On Kubernetes `_`, `.` and `::` become `-`, so different ids can end in the same name: `shop::a_b` and `shop::a::b`, a unit
called `web-events` beside the events of a unit `web`, a unit called `dead-letter` beside the one that the target adds, or
one called `dead-letters` beside the jobs that look after what it keeps.

```toml
[placement]
groups.dead-letter = [\"shop::mail\"]
```

Rename one of them, or pin it with `name = \"…\"`.

```toml
[placement]
groups.mail = [\"shop::mail\"]
```
",
};

struct Named<'a> {
    kind: &'static str,
    id: String,
    name: String,
    longest: usize,
    place: Option<&'a Place>,
}

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let names = Names::new(subject.app, subject.settings);
    let mut seen: BTreeMap<(&str, &str), &Named<'_>> = BTreeMap::new();
    let all = all(subject, &names);
    let jobs = has_events(subject.app).then(|| names.object(DEAD_LETTER_JOB));
    for named in &all {
        let label = |diagnostic: Diagnostic, text: &str| match named.place {
            Some(place) => diagnostic.label(place, text),
            None => diagnostic,
        };
        if !is_label(&named.name) || named.name.len() > named.longest {
            let message = format!(
                "the {} {} would be named `{}` on Kubernetes, which it does not take",
                named.kind, named.id, named.name
            );
            sink.push(label(Diagnostic::error("UD1005", message), "named here").help(format!(
                "a letter first, then lower case letters, digits and `-`, at most {} characters: rename it, or pin a handler's id with `name = \"…\"`",
                named.longest
            )));
        }
        // A Service has a policy of its name, a schedule may be a CronJob.
        if matches!(named.kind, "Service" | "Trigger") && jobs.as_ref() == Some(&named.name) {
            let message = format!(
                "{} and the jobs that look after dead letters would both be called `{}` on Kubernetes",
                named.id, named.name
            );
            let diagnostic = label(Diagnostic::error("UD1006", message), "one of them");
            sink.push(diagnostic.help("rename it, or pin its id with `name = \"…\"`"));
        }
        if let Some(other) = seen.insert((named.kind, &named.name), named) {
            let message = format!(
                "{} and {} would both be the {} `{}` on Kubernetes",
                other.id, named.id, named.kind, named.name
            );
            let mut diagnostic = label(Diagnostic::error("UD1006", message), "one of them");
            if let Some(place) = other.place {
                diagnostic = diagnostic.label(place, "the other");
            }
            sink.push(diagnostic.help("rename one of them, or pin its id with `name = \"…\"`"));
        }
    }
}

fn all<'a>(subject: &Subject<'a>, names: &Names) -> Vec<Named<'a>> {
    let mut all = Vec::new();
    let fixed = [("namespace", &subject.app.name, &names.namespace), ("broker", &subject.app.name, &names.broker)];
    for (kind, id, name) in fixed {
        all.push(Named { kind, id: id.clone(), name: name.clone(), longest: 63, place: None });
    }
    for service in services(subject.app, subject.units, names) {
        let place = service.handlers.first().map(|handler| &handler.place);
        let (id, name) = (format!("unit {}", service.unit), service.name.clone());
        all.push(Named { kind: "Service", id, name, longest: LONGEST_SERVICE_NAME, place });
    }
    for handler in &subject.app.handlers {
        if Face::of(handler) == Some(Face::Internal) {
            let name = names.object(&handler.id);
            let place = Some(&handler.place);
            all.push(Named { kind: "Trigger", id: handler.id.clone(), name, longest: LONGEST_TRIGGER_NAME, place });
        }
    }
    for (secret, _) in subject.used() {
        if secret.kind == Kind::Secret {
            let name = format!("{}-{}", names.app, object_name(&secret.id));
            all.push(Named {
                kind: "Secret",
                id: secret.id.clone(),
                name,
                longest: 63 - "secret-".len(),
                place: Some(&secret.place),
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn a_unit_that_starts_with_a_digit() {
        let mut plan = fixture::shop();
        plan.units[0].id = "2nd".into();
        assert_eq!(codes(&plan), ["UD1005"]);
    }

    #[test]
    fn a_handler_with_a_long_path() {
        let mut plan = fixture::shop();
        let long = format!("shop::orders::{}", "long_".repeat(12));
        for handler in &mut plan.app.handlers {
            if handler.id == "shop::orders::ship" {
                handler.id = long.clone();
            }
        }
        for unit in &mut plan.units {
            if unit.handlers.remove("shop::orders::ship") {
                unit.handlers.insert(long.clone());
            }
        }
        plan.app.handlers.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(codes(&plan), ["UD1005"]);
    }

    #[test]
    fn a_unit_called_dead_letter() {
        let mut plan = fixture::shop();
        plan.units.iter_mut().find(|unit| unit.id == "audit").unwrap().id = "dead-letter".into();
        assert_eq!(codes(&plan), ["UD1006"]);
    }

    #[test]
    fn a_unit_called_as_the_jobs_of_dead_letters() {
        let mut plan = fixture::shop();
        plan.units.iter_mut().find(|unit| unit.id == "audit").unwrap().id = "dead-letters".into();
        assert_eq!(codes(&plan), ["UD1006"]);
    }
}
