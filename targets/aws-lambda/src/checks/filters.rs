//! UD2016: a subscriber that looks at more than a filter can.

use super::Subject;
use crate::capabilities::MOST_FILTERED;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2016",
    title: "more conditions than a filter of SNS has",
    text: "\
SNS looks at five attributes of a message at most before it hands it to a subscriber.

```rust
#[subscriber(Sales, when(a = \"1\", b = \"1\", c = \"1\", d = \"1\", e = \"1\", f = \"1\"))]
async fn rare(sale: Sale) -> Result<()> { … }
```

Ask for the five that leave out most, and for the others in the handler:

```rust
#[subscriber(Sales, when(a = \"1\", b = \"1\", c = \"1\", d = \"1\", e = \"1\"))]
async fn rare(sale: Sale) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let Trigger::Subscriber { when, .. } = &handler.trigger else { continue };
        if when.len() > MOST_FILTERED {
            let message =
                format!("{} asks for {} attributes, and a filter of SNS for {MOST_FILTERED}", handler.id, when.len());
            sink.push(
                Diagnostic::error("UD2016", message)
                    .label(&handler.place, "subscribes here")
                    .help("ask for those that leave out most, and for the others in the handler"),
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
    use updraft_model::Trigger;

    #[test]
    fn five_and_six() {
        for (many, expected) in [(5, vec![]), (6, vec!["UD2016"])] {
            let mut plan = fixture::shop();
            let Trigger::Subscriber { when, .. } = &mut handler(&mut plan, "audit::record").trigger else { panic!() };
            when.extend((0..many).map(|at| (format!("a{at}"), "1".to_owned())));
            assert_eq!(codes(&plan), expected);
        }
    }
}
