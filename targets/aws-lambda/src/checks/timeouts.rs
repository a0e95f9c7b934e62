//! UD2003: a timeout beyond what Lambda and its API allow.

use super::Subject;
use crate::capabilities::CAPABILITIES;
use updraft_model::settings::Entry;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2003",
    title: "a timeout beyond what AWS allows",
    text: "\
An HTTP API waits 30 seconds for a function and then answers 503, whatever the function goes on to do. (A function's URL,
`http = \"function-url\"`, waits for the function: there a route has as long as a message.) Lambda ends a function
after 15 minutes; Updraft keeps five seconds of those, so that it is the handler's own deadline that ends a message's, a
schedule's or a call's work, and 895 s remain for it.

```rust
#[http(post, \"/imports\", timeout = \"2m\")]
async fn import(body: String) -> Result<StatusCode> { … }
```

Take the request, and let a consumer do the work:

```rust
#[http(post, \"/imports\")]
async fn import(imports: Queue<Imports>, body: String) -> Result<StatusCode> {
    imports.send(&Import { body }).await?;
    Ok(StatusCode::ACCEPTED)
}
```

A message's or a schedule's work that takes longer is split: one message per piece.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let limits = &CAPABILITIES.limits;
    let of_routes = match subject.settings.aws_lambda.http {
        Entry::Api => limits.http_timeout_seconds,
        // It waits for the function.
        Entry::FunctionUrl => limits.event_timeout_seconds,
    };
    for handler in &subject.app.handlers {
        let (limit, help) = match handler.trigger {
            Trigger::Http { .. } | Trigger::Routes { .. } => {
                (of_routes, "take the request, send a message to a queue, and let a consumer do the work")
            }
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. } => (
                limits.event_timeout_seconds,
                "split the work: send one message per piece to a queue, whose consumer does a piece",
            ),
            Trigger::Layer { .. } | Trigger::Shared { .. } => continue,
        };
        if handler.timeout > limit {
            let message =
                format!("{} may take {} s, more than the {limit} s that AWS allows", handler.id, handler.timeout);
            sink.push(
                Diagnostic::error("UD2003", message)
                    .label(&handler.place, format!("timeout = \"{}s\"", handler.timeout))
                    .help(help),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, handler},
    };
    use updraft_model::settings::Entry;

    #[test]
    fn the_longest_and_a_second_more() {
        for (id, limit) in
            [("shop::orders::place_order", 30), ("shop::orders::ship", 895), ("shop::pricing::quote", 895)]
        {
            let mut plan = fixture::shop();
            handler(&mut plan, id).timeout = limit;
            assert_eq!(codes(&plan), Vec::<&str>::new(), "{id}");
            handler(&mut plan, id).timeout = limit + 1;
            assert_eq!(codes(&plan), ["UD2003"], "{id}");
        }
    }

    #[test]
    fn a_functions_url_waits_for_the_function() {
        let mut plan = fixture::in_one_unit();
        plan.settings.aws_lambda.http = Entry::FunctionUrl;
        handler(&mut plan, "shop::orders::place_order").timeout = 895;
        assert_eq!(codes(&plan), Vec::<&str>::new());
        handler(&mut plan, "shop::orders::place_order").timeout = 896;
        assert_eq!(codes(&plan), ["UD2003"]);
    }
}
