//! Counts work in progress, so that whoever stops the process (or waits for it to come to rest) can wait for it: handlers
//! may run on after their client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// The count. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    running: AtomicUsize,
    idle: Notify,
}

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Guard(InFlight);

impl InFlight {
    /// Something begins.
    pub fn enter(&self) -> Guard {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        Guard(self.clone())
    }

    /// How much is in progress.
    pub fn count(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    /// Returns once nothing is.
    pub async fn idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.0.idle.notified());
            idle.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn idle_waits_for_the_last() {
        let in_flight = InFlight::default();
        in_flight.idle().await;
        let (first, second) = (in_flight.enter(), in_flight.enter());
        drop(first);
        let waiting = tokio::time::timeout(Duration::from_millis(20), in_flight.idle());
        assert!(waiting.await.is_err(), "one still runs");
        let both = async { tokio::join!(in_flight.idle(), async { drop(second) }) };
        tokio::time::timeout(Duration::from_secs(5), both).await.expect("idle");
        assert_eq!(in_flight.count(), 0);
    }
}
