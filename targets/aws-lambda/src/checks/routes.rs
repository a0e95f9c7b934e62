//! UD2008: more routes than an HTTP API has.

use super::Subject;
use crate::capabilities::MOST_ROUTES;
use crate::lower::http::{is_all_taken, routes};
use updraft_model::settings::Entry;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2008",
    title: "more routes than an HTTP API can have",
    text: "\
An HTTP API has 300 routes at most, and each handler with `#[http]` is one (two with `get`, which answers who asks for the
head, too). One is for what no handler is for, unless a router is (`#[routes(\"/\")]`).

```rust
#[http(post, \"/catalogue/books\")]      // the 300th
async fn add(items: Store<Items>) -> Result<StatusCode> { … }
```

An adopted router is one route, or two, however many it has inside (and a function's URL, `http = \"function-url\"`, knows of
none):

```rust
#[routes(\"/catalogue\")]
fn catalogue(items: Store<Items>) -> axum::Router { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    // A function's URL knows of no routes.
    if subject.settings.aws_lambda.http != Entry::Api {
        return;
    }
    let all: Vec<_> = subject
        .app
        .handlers
        .iter()
        .flat_map(|handler| routes(subject.app, handler).into_iter().map(move |_| handler))
        .collect();
    let most = MOST_ROUTES - usize::from(!is_all_taken(subject.app));
    let Some(first) = all.get(most) else { return };
    sink.push(
        Diagnostic::error(
            "UD2008",
            format!("the application has {} routes, and an HTTP API has room for {most}", all.len()),
        )
        .label(&first.place, "one too many")
        .help("gather routes in a router: `#[routes(\"/catalogue\")]`"),
    );
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};
    use updraft_model::settings::Entry;
    use updraft_model::{Trigger, Unit};

    #[test]
    fn three_hundred_and_one() {
        let mut plan = fixture::shop();
        let route = plan.app.handler("shop::orders::place_order").unwrap().clone();
        // Three routes are there besides: two with `get`, which are two each; and that of all others.
        for at in 0..294 {
            let mut route = route.clone();
            route.id = format!("zoo::route{at:03}");
            route.trigger = Trigger::Http { method: "post".into(), path: format!("/zoo/{at}") };
            plan.app.handlers.push(route);
        }
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let mut last = route;
        last.id = "zoo::route999".into();
        plan.app.handlers.push(last);
        assert_eq!(codes(&plan), ["UD2008"]);
        plan.settings.aws_lambda.http = Entry::FunctionUrl;
        let handlers = plan.app.handlers.iter().map(|handler| handler.id.clone()).collect();
        plan.units = vec![Unit { id: "app".into(), handlers }];
        assert_eq!(codes(&plan), Vec::<&str>::new());
    }
}
