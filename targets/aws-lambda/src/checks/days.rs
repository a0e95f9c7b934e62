//! UD2005: a schedule that EventBridge can't say.

use super::Subject;
use crate::resources::scheduler::cron;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2005",
    title: "a schedule that EventBridge can't express",
    text: "\
If an expression restricts both the day of the month and the day of the week, either of them fires, as everywhere. EventBridge
Scheduler takes one of the two alone.

```rust
#[schedule(\"0 9 1 * 1\")]                 // on the 1st, and every Monday
async fn remind(tick: Tick) -> Result<()> { … }
```

Two schedules say it, and on a day that is both each runs:

```rust
#[schedule(\"0 9 1 * *\")]
async fn remind_monthly(tick: Tick) -> Result<()> { … }

#[schedule(\"0 9 * * 1\")]
async fn remind_weekly(tick: Tick) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let Trigger::Schedule { cron: expression, .. } = &handler.trigger else { continue };
        if cron(expression).is_none() {
            let message = format!(
                "`{}` is due by the day of the month or of the week, and EventBridge takes one of them",
                handler.id
            );
            sink.push(
                Diagnostic::error("UD2005", message)
                    .label(&handler.place, format!("`{expression}`"))
                    .help("make it two handlers, each with one of the days"),
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
    fn on_the_first_or_on_mondays() {
        let mut plan = fixture::shop();
        let Trigger::Schedule { cron, .. } = &mut handler(&mut plan, "shop::reports::nightly_report").trigger else {
            panic!()
        };
        *cron = "0 9 1 * 1".into();
        assert_eq!(codes(&plan), ["UD2005"]);
    }
}
