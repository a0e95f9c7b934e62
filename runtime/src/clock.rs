//! Time: the system's, and one that tests advance.

use crate::engine::{BoxFuture, Clock};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The system's time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A laptop that slept or whose clock was set is noticed within so long.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // Timers count in whole milliseconds: a little late is right, a little early means another round.
            while let Ok(left) = Duration::try_from(until.duration_since(Timestamp::now()))
                && !left.is_zero()
            {
                tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            }
        })
    }
}

/// A clock that stands still until it is told to go on. Clones share it.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug)]
struct Manual {
    now: Mutex<Timestamp>,
    advanced: Notify,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock(Arc::new(Manual { now: Mutex::new(start), advanced: Notify::new() }))
    }

    /// Goes on to `now`; never back.
    pub fn set(&self, now: Timestamp) {
        let mut shown = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = now.max(*shown);
        drop(shown);
        self.0.advanced.notify_waiters();
    }

    /// Goes on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let by = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        self.set(self.now().saturating_add(by).unwrap_or(Timestamp::MAX));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let mut advanced = std::pin::pin!(clock.0.advanced.notified());
                advanced.as_mut().enable();
                if clock.now() >= until {
                    return;
                }
                advanced.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn(clock.sleep_until(Timestamp::from_second(10).unwrap()));
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now().as_second(), 10, "time goes on only");
    }

    #[tokio::test]
    async fn the_systems_clock_never_wakes_early() {
        let until = Timestamp::now() + Duration::from_millis(5);
        SystemClock.sleep_until(until).await;
        assert!(Timestamp::now() >= until);
        SystemClock.sleep_until(Timestamp::UNIX_EPOCH).await;
    }
}
