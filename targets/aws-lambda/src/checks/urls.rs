//! UD2018: a function's URL, and routes in several functions.

use super::Subject;
use crate::units::Function;
use std::collections::BTreeSet;
use updraft_model::settings::Entry;
use updraft_model::{Diagnostic, Explain, Handler, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2018",
    title: "routes in several units, and one function's URL",
    text: "\
`http = \"function-url\"` gives the application the URL of a function in the place of an HTTP API. It streams what is answered,
waits for as long as the function may take, and costs nothing by itself. But it leads to one function, so that one unit must
have all routes.

```toml
[target.aws-lambda]
http = \"function-url\"
```

Put them into one unit. What is called by messages or schedules may stay in units of its own:

```toml
[placement]
groups.web = [\"shop::up\", \"shop::orders\"]

[target.aws-lambda]
http = \"function-url\"
```

An HTTP API (`http = \"api\"`, the default) leads to as many functions as there are.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    if subject.settings.aws_lambda.http != Entry::FunctionUrl {
        return;
    }
    let all = subject.units.iter().map(|unit| Function::new(subject.app, unit));
    let public: Vec<Function<'_>> = all.filter(Function::is_public).collect();
    if public.len() < 2 {
        return;
    }
    let message = format!("{} units have routes, and a function's URL leads to one", public.len());
    let mut diagnostic = Diagnostic::error("UD2018", message);
    let mut modules = BTreeSet::new();
    for function in &public {
        let routes: Vec<&Handler> = routes(function).collect();
        if let Some(first) = routes.first() {
            diagnostic = diagnostic.label(&first.place, format!("in unit {}", function.unit));
        }
        modules.extend(routes.into_iter().map(|handler| match handler.module.as_str() {
            "" => format!("\"{}\"", handler.id),
            module => format!("\"{}::{module}\"", handler.krate),
        }));
    }
    let modules: Vec<String> = modules.into_iter().collect();
    let help = format!(
        "put all routes into one unit, `[placement] groups.web = [{}]`, or take an API, which leads to all of them: \
         `[target.aws-lambda] http = \"api\"`",
        modules.join(", ")
    );
    sink.push(diagnostic.help(help));
}

/// Those of its handlers that have routes, in the order in which they stand.
fn routes<'a>(function: &Function<'a>) -> impl Iterator<Item = &'a Handler> {
    let mut routes: Vec<&Handler> =
        function.runs.iter().copied().filter(|handler| handler.trigger.route().is_some()).collect();
    routes.sort_by_key(|handler| (&handler.place.file, handler.place.line));
    routes.into_iter()
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings},
    };
    use updraft_model::Unit;
    use updraft_model::settings::Entry;

    #[test]
    fn each_unit_is_shown_and_what_would_be_one() {
        let mut plan = fixture::shop();
        plan.settings.aws_lambda.http = Entry::FunctionUrl;
        let found = findings(&plan);
        assert_eq!((found.len(), found[0].code, found[0].labels.len()), (1, "UD2018", 3));
        let help = found[0].help.as_deref().unwrap();
        assert!(help.contains("groups.web = [\"shop::orders\", \"shop::pricing\"]"), "{help}");

        // The other units stay.
        let is_route = |id: &String| plan.app.handler(id).unwrap().trigger.route().is_some();
        let routes = plan.units.iter().flat_map(|unit| &unit.handlers).filter(|id| is_route(id)).cloned().collect();
        plan.units.retain(|unit| !unit.handlers.iter().any(is_route));
        plan.units.push(Unit { id: "web".into(), handlers: routes });
        assert_eq!(codes(&plan), Vec::<&str>::new());
    }
}
