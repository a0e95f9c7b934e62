//! Dead letters of runs that nobody sent: a schedule's. (Those of messages are the conformance suite's, those of objects
//! `storage.rs`'.)

use std::time::Duration;
use updraft::prelude::*;
use updraft::test;

/// Attempts at each run, by its time.
#[store(key = String, value = u32)]
struct Attempts;

#[schedule("0 3 * * *", retries = 1)]
async fn nightly(tick: Tick, attempts: Store<Attempts>) -> Result<()> {
    let scheduled = tick.scheduled.to_string();
    match attempts.update(&scheduled, |count| count.unwrap_or_default() + 1).await? {
        ..4 => Err(Error::new(format!("attempt {:?}", tick.attempt))),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_schedules_run_is_redriven_as_the_run_that_it_was() {
    let app = test::app!().at("2026-01-01T00:00:00Z").start().await;
    app.advance(Duration::from_secs(4 * 3_600)).await;
    let [letter] = app.dead_letters().try_into().expect("one letter");
    assert_eq!((&*letter.resource, &*letter.handler), ("letters::nightly", "letters::nightly"));
    assert_eq!((&*letter.reason, letter.attempts), ("attempt Some(2)", Some(2)));
    app.redrive(&letter).await;
    app.advance(Duration::from_secs(60)).await;
    assert_eq!(app.dead_letters(), [], "its attempts began anew, and the second ended well");
    let attempts = app.store::<Attempts>();
    assert_eq!(attempts.get("2026-01-01T03:00:00Z").await.expect("read"), Some(4), "of the time that it was due");
    assert_eq!(attempts.scan(()).all().await.expect("read").len(), 1);
}
