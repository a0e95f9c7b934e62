//! UW1002: a schedule whose runs may overlap although they must not.

use super::Subject;
use std::collections::BTreeSet;
use updraft_model::{Diagnostic, Explain, Sink, Trigger};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UW1002",
    title: "a schedule's runs may overlap on Knative",
    text: "\
A schedule does not overlap unless it says so: on one machine a run waits for the last. On Knative ticks are events, delivered
to whichever pod is free, so the only thing that keeps runs apart is that one ends before the next begins. Here the timeout is
longer than the pause between two ticks.

```rust
#[schedule(\"*/5 * * * *\", timeout = \"8m\")]
async fn collect(tick: Tick) -> Result<()> { … }
```

A timeout below the pause, or `overlap` where runs do no harm to each other:

```rust
#[schedule(\"*/5 * * * *\", timeout = \"4m\")]
async fn collect(tick: Tick) -> Result<()> { … }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for handler in &subject.app.handlers {
        let Trigger::Schedule { cron, overlap: false, .. } = &handler.trigger else { continue };
        let Some(pause) = shortest_pause(cron).filter(|minutes| minutes * 60 < handler.timeout) else { continue };
        let message = format!(
            "{} may take {} s but is due every {pause} min, so its runs may overlap on Knative",
            handler.id, handler.timeout
        );
        sink.push(
            Diagnostic::warning("UW1002", message)
                .label(&handler.place, format!("`{cron}`, timeout = \"{}s\"", handler.timeout))
                .help("make the timeout shorter than the pause, or say `overlap` if runs do no harm to each other"),
        );
    }
}

/// The shortest pause in minutes between two ticks, as far as minutes and hours tell; `None` if an expression is not of five
/// fields (which is another stage's to say).
fn shortest_pause(cron: &str) -> Option<u32> {
    let mut fields = cron.split_whitespace();
    let (minutes, hours) = (members(fields.next()?, 59)?, members(fields.next()?, 23)?);
    let due: Vec<u32> = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
    let (first, last) = (*due.first()?, *due.last()?);
    let next_day = 24 * 60 + first - last;
    due.windows(2).map(|pair| pair[1] - pair[0]).chain([next_day]).min()
}

/// What a field of cron stands for: `*`, `3`, `1-5`, `*/15`, and lists of them.
fn members(field: &str, most: u32) -> Option<BTreeSet<u32>> {
    let mut members = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, "1"), |(range, step)| (range, step));
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (0, most),
            Some((low, high)) => (low.parse().ok()?, high.parse().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        members.extend((low..=high.min(most)).step_by(step.parse::<usize>().ok().filter(|step| *step > 0)?));
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::shortest_pause;
    use crate::checks::{fixture, tests::codes};
    use updraft_model::Trigger;

    #[test]
    fn pauses() {
        for (cron, minutes) in [
            ("0 3 * * *", Some(24 * 60)),
            ("*/5 * * * *", Some(5)),
            ("0,50 * * * *", Some(10)),
            ("0,50 3 * * *", Some(50)),
            ("30 8-18/2 * * 1-5", Some(120)),
            ("* * * * *", Some(1)),
            ("x * * * *", None),
            ("*/0 * * * *", None),
        ] {
            assert_eq!(shortest_pause(cron), minutes, "{cron}");
        }
    }

    #[test]
    fn every_minute() {
        let mut plan = fixture::shop();
        for handler in &mut plan.app.handlers {
            if let Trigger::Schedule { cron, .. } = &mut handler.trigger {
                *cron = "* * * * *".into();
            }
        }
        assert_eq!(codes(&plan), ["UW1002"]);
    }
}
