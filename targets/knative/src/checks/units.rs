//! UD1012: settings for a unit that there is not.

use super::Subject;
use crate::names::DEAD_LETTER_UNIT;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1012",
    title: "settings for a unit that there is not",
    text: "\
A table `[target.knative.units.<id>]` is of a unit that the placement makes, or of `dead-letter`; `cargo updraft graph` shows
them. One that fits none would silently do nothing.

```toml
[target.knative.units.shop]
max = 5
```

Public routes are the unit `web`, unless `[placement]` says otherwise:

```toml
[target.knative.units.web]
max = 5
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let units: Vec<&str> = subject.units.iter().map(|unit| unit.id.as_str()).collect();
    let known = |unit: &str| ["*", DEAD_LETTER_UNIT].contains(&unit) || units.contains(&unit);
    for unit in subject.settings.knative.scale.keys().filter(|unit| !known(unit)) {
        let message = format!("`[target.knative.units.{unit}]` speaks of a unit that there is not");
        sink.push(Diagnostic::error("UD1012", message).help(format!("the units are {}", units.join(", "))));
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::findings};
    use updraft_model::settings::Scale;

    #[test]
    fn a_unit_that_is_elsewhere() {
        let mut plan = fixture::shop();
        let few = Scale { max: Some(5), ..Scale::default() };
        for unit in ["*", "web", "dead-letter"] {
            plan.settings.knative.scale.insert(unit.into(), few.clone());
        }
        assert_eq!(findings(&plan), []);
        plan.settings.knative.scale.insert("wbe".into(), few);
        let found = findings(&plan);
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (found.code, found.help.as_deref()),
            ("UD1012", Some("the units are audit, mail, orders, reports, web"))
        );
    }
}
