//! UD1007: a timeout beyond what Serving allows.

use super::Subject;
use crate::capabilities::CAPABILITIES;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1007",
    title: "a timeout beyond what Knative allows",
    text: "\
Knative Serving ends a request after ten minutes (`max-revision-timeout-seconds: 600`), and an event is delivered as a
request. Updraft keeps five seconds of that, so that it is the handler's own deadline that ends it: 595 s remain.

```rust
#[schedule(\"0 3 * * *\", timeout = \"30m\")]
async fn report() -> Result<()> { … }
```

Split the work: a schedule or consumer that sends one message per piece to a queue, and a consumer that does a piece.

```rust
#[schedule(\"0 3 * * *\")]
async fn report(parts: Queue<Parts>) -> Result<()> { … }

#[consumer(Parts, timeout = \"9m\")]
async fn part(part: Part) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let limit = match handler.trigger {
            Trigger::Http { .. } | Trigger::Routes { .. } => CAPABILITIES.limits.http_timeout_seconds,
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. } => CAPABILITIES.limits.event_timeout_seconds,
            // A function's callers' timeouts count; the others are no requests.
            Trigger::Function { .. } | Trigger::Layer { .. } | Trigger::Shared { .. } => continue,
        };
        if handler.timeout > limit {
            sink.push(
                Diagnostic::error(
                    "UD1007",
                    format!(
                        "{} may take {} s, more than the {limit} s that Knative allows",
                        handler.id, handler.timeout
                    ),
                )
                .label(&handler.place, format!("timeout = \"{}s\"", handler.timeout))
                .help("split the work: send one message per piece to a queue, whose consumer does a piece"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn half_an_hour() {
        let mut plan = fixture::shop();
        plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::ship").unwrap().timeout = 1_800;
        assert_eq!(codes(&plan), ["UD1007"]);
    }
}
