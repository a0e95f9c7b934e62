//! UD1002: several units with public routes.

use super::Subject;
use updraft_model::{Diagnostic, Explain, Handler, Sink, Unit};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1002",
    title: "several units with public routes",
    text: "\
Each Knative Service has a host of its own, and nothing of Knative's splits one origin by path. Routes in several units
would therefore be several origins, which a browser and every client would notice.

```toml
[placement]
default = \"handler\"       # every route a unit of its own
```

Keep the routes together; everything else may be placed as finely as you like.

```toml
[placement]
default = \"handler\"
groups.web = [\"shop::orders::place_order\", \"shop::orders::get_order\"]
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let is_route = |handler: &&Handler| handler.trigger.route().is_some();
    let public: Vec<(&Unit, &Handler)> =
        subject.units.iter().filter_map(|unit| Some((unit, subject.handlers(unit).find(is_route)?))).collect();
    if public.len() < 2 {
        return;
    }
    let units: Vec<&str> = public.iter().map(|(unit, _)| unit.id.as_str()).collect();
    let mut diagnostic =
        Diagnostic::error("UD1002", format!("routes stand in {} units: {}", units.len(), units.join(", ")));
    for (unit, handler) in &public {
        diagnostic = diagnostic.label(&handler.place, format!("a route of the unit {}", unit.id));
    }
    sink.push(diagnostic.help(
        "one origin is one Service on Knative: put all routes into one group, `groups.web = [\"…\"]` under `[placement]`, or use `default = \"module\"`",
    ));
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};
    use updraft_model::Unit;

    #[test]
    fn a_route_in_another_unit() {
        let mut plan = fixture::shop();
        plan.units[0].handlers.remove("shop::orders::get_order");
        plan.units.retain(|unit| unit.id != "web" || !unit.handlers.is_empty());
        for unit in &mut plan.units {
            unit.handlers.remove("shop::orders::get_order");
        }
        plan.units.push(Unit { id: "read".into(), handlers: ["shop::orders::get_order".to_owned()].into() });
        assert_eq!(codes(&plan), ["UD1002"]);
    }
}
