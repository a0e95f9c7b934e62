//! The way in for whoever makes things fail, which is the test harness and `dev --chaos`. An application without faults pays a check of an
//! option.
//!
//! An [`Attempt`] is one go at a request, a message or a run. While it is polled, [`Attempt::current`] says so; its
//! operations on engines pass [`Faults::step`] before and after they take effect, and [`Attempt::crash`] ends it as the
//! end of its process would: without an answer.

use crate::engine::{BoxFuture, Channel, EngineResult, Message};
use crate::error::Error;
use jiff::Timestamp;
use std::cell::RefCell;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// What a capability is about to do: for grants, faults and the log.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `queue`, `store`, …
    pub kind: &'static str,
    /// The resource's id.
    pub resource: &'static str,
    /// `read`, `write` or `call`.
    pub access: &'static str,
    /// The method: `send`, `put`, …
    pub method: &'static str,
}

/// One operation on an engine. (An `update` of a store is a `get` and a `put`.)
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Counted from 1 within the attempt.
    pub number: u32,
    /// The engine's method: `get`, `put`, `publish`, …
    pub method: &'static str,
    /// The resource's id.
    pub resource: &'a str,
    /// The key, where there is one.
    pub key: &'a [u8],
}

/// When in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened yet.
    Before,
    /// It has taken effect, and nobody has been told.
    After,
}

/// What an attempt is at.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The handler's id.
    pub handler: &'static str,
    /// The message's or run's id; a request has none.
    pub message: Option<&'a str>,
    /// Counted from 1.
    pub number: u32,
    /// Whether the message is given up if this attempt fails.
    pub last: bool,
}

/// How a message gets to its lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Travel {
    /// So much later than it should.
    pub late: Duration,
    /// And once more, so much later than the first time.
    pub again: Option<Duration>,
}

/// Makes things fail.
pub trait Faults: Send + Sync + 'static {
    /// Before a capability's operation. An error is what the handler sees.
    ///
    /// # Errors
    /// When the operation shall fail.
    fn before(&self, handler: &str, operation: Operation) -> EngineResult<()>;

    /// Before an attempt at a message or run. An error is its outcome.
    ///
    /// # Errors
    /// When the attempt shall fail.
    fn attempt(&self, _handler: &str) -> Result<(), Error> {
        Ok(())
    }

    /// An attempt begins: what stands for it, if its steps are of interest.
    fn begin(&self, _occasion: &Occasion<'_>) -> Option<Arc<Attempt>> {
        None
    }

    /// Before and after each step of such an attempt. May take its time, and may end the attempt.
    ///
    /// # Errors
    /// When the handler shall see the step fail.
    fn step<'a>(&'a self, _: &'a Arc<Attempt>, _: Step<'a>, _: Moment) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(ready(Ok(())))
    }

    /// After an attempt at a message or run, before the engine is told how it ended: whether that gets there. If not, the
    /// message comes again.
    fn told<'a>(&'a self, _: Occasion<'a>) -> BoxFuture<'a, bool> {
        Box::pin(ready(true))
    }

    /// A message is sent. Promises hold: it is never early and never lost.
    fn travel(&self, _: Channel, _: &Message) -> Travel {
        Travel::default()
    }

    /// The id of a new message, where that is not left to chance. UUIDv7.
    fn message_id(&self, _now: Timestamp) -> Option<String> {
        None
    }

    /// Whether deadlines are kept by the application's clock instead of the system's.
    fn simulates(&self) -> bool {
        false
    }
}

/// One go at a request, a message or a run.
#[derive(Debug)]
pub struct Attempt {
    /// For people.
    name: Arc<str>,
    /// What decides its faults.
    key: u64,
    /// Whether the message is given up if it fails.
    last: bool,
    steps: AtomicU32,
    sent: AtomicU32,
    crashed: AtomicBool,
}

thread_local! {
    /// Whose future is being polled.
    static CURRENT: RefCell<Option<Arc<Attempt>>> = const { RefCell::new(None) };
}

impl Attempt {
    /// An attempt of this name. `key` tells it from all others, and the same attempt in another run has the same.
    pub fn new(name: Arc<str>, key: u64, last: bool) -> Arc<Self> {
        let (steps, sent) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Attempt { name, key, last, steps, sent, crashed: AtomicBool::new(false) })
    }

    /// The attempt whose future is being polled on this thread. What a handler spawns is nobody's.
    pub fn current() -> Option<Arc<Attempt>> {
        CURRENT.with_borrow(Option::clone)
    }

    /// For people.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What decides its faults.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Whether the message is given up if it fails.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The number of its next step.
    pub fn next_step(&self) -> u32 {
        self.steps.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the next message that it sends.
    pub fn next_sent(&self) -> u32 {
        self.sent.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Ends it, without an answer, as soon as it next waits.
    pub fn crash(&self) {
        self.crashed.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// Runs `work` as this attempt; `None` if it was ended.
    pub(crate) fn run<F: Future>(self: Arc<Self>, work: F) -> Attempted<F> {
        Attempted { attempt: self, work: Box::pin(work) }
    }
}

/// Work of one attempt.
pub(crate) struct Attempted<F> {
    attempt: Arc<Attempt>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Attempted<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.attempt.crashed() {
            return Poll::Ready(None);
        }
        let _current = Current::set(self.attempt.clone());
        let polled = self.work.as_mut().poll(context);
        // What it says in its last moment is not heard any more.
        if self.attempt.crashed() { Poll::Ready(None) } else { polled.map(Some) }
    }
}

/// Restores whose future was being polled before, even if this one panics.
struct Current(Option<Arc<Attempt>>);

impl Current {
    fn set(attempt: Arc<Attempt>) -> Self {
        Current(CURRENT.replace(Some(attempt)))
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn an_attempt_is_current_while_it_is_polled_and_ends_when_it_crashes() {
        let attempt = Attempt::new("one".into(), 1, false);
        let inner = attempt.clone();
        let outcome = attempt.run(async move {
            let name = Attempt::current().map(|current| current.name().clone());
            tokio::task::yield_now().await;
            (name, inner.next_step(), inner.next_step())
        });
        assert_eq!(outcome.await, Some((Some("one".into()), 1, 2)));
        assert!(Attempt::current().is_none());

        let attempt = Attempt::new("two".into(), 2, false);
        let inner = attempt.clone();
        let outcome = attempt.run(async move {
            inner.crash();
            poll_fn::<(), _>(|_| Poll::Pending).await;
        });
        assert_eq!(outcome.await, None);
    }
}
