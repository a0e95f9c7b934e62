//! UD1008: more retries than are sensible where pauses double without bound.

use super::Subject;
use crate::capabilities::MOST_RETRIES;
use crate::services::Face;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1008",
    title: "more retries than Knative's backoff allows for",
    text: "\
Eventing doubles the pause before each attempt and knows no longest pause: the twelfth comes after more than an hour, the
twentieth after twelve days, while the broker holds the message. Updraft allows twelve.

```rust
#[consumer(Orders, retries = 20)]
async fn ship(order: Order) -> Result<()> { … }
```

Fewer retries, and `cargo updraft dead-letters redrive` for what failed for good.

```rust
#[consumer(Orders, retries = 12)]
async fn ship(order: Order) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        if Face::of(handler) == Some(Face::Internal) && handler.retries > MOST_RETRIES {
            sink.push(
                Diagnostic::error(
                    "UD1008",
                    format!(
                        "{} is retried {} times, and Knative doubles every pause without bound",
                        handler.id, handler.retries
                    ),
                )
                .label(&handler.place, format!("retries = {}", handler.retries))
                .help(format!(
                    "at most {MOST_RETRIES} retries; what failed for good can be redriven from the dead letters"
                )),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn twenty() {
        let mut plan = fixture::shop();
        plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::ship").unwrap().retries = 20;
        assert_eq!(codes(&plan), ["UD1008"]);
    }
}
