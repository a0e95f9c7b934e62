//! One attempt at one message or run, whatever engine brought it: deadline, panics, and what follows a failure.

use crate::batch::Report;
use crate::ctx::{Ctx, Event, Invocation};
use crate::error::Error;
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use crate::telemetry::current::within;
use crate::telemetry::{Span, TraceContext, spans};
use futures_util::FutureExt;
use jiff::Timestamp;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use updraft_wire::defaults::{BACKOFF_FIRST_MILLIS, BACKOFF_LONGEST_MILLIS};

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// For people: the error and its sources.
    pub reason: String,
}

impl Failure {
    /// What a handler's error means.
    pub fn of(error: &Error) -> Self {
        let kind = match error.skew() {
            Some(skew) => FailureKind::Skew { until: skew.until },
            None if error.is_permanent() => FailureKind::Permanent,
            None => FailureKind::Error,
        };
        Failure { kind, reason: error.chain() }
    }
}

/// Kinds of failure, as dead letters record them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The handler returned an error.
    Error,
    /// The handler returned an error that trying again won't cure.
    Permanent,
    /// The handler panicked.
    Panic,
    /// The handler took too long.
    Timeout,
    /// The message is of a version that this program can't read.
    Skew {
        /// Until when it is returned, for a newer program to read; `None` if that was long enough.
        until: Option<Timestamp>,
    },
}

impl FailureKind {
    /// `error`, `permanent`, `panic`, `timeout` or `skew`.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Error => "error",
            FailureKind::Permanent => "permanent",
            FailureKind::Panic => "panic",
            FailureKind::Timeout => "timeout",
            FailureKind::Skew { .. } => "skew",
        }
    }

    /// Until when a message that only a newer version of the program can read is returned.
    pub fn returned_until(self) -> Option<Timestamp> {
        match self {
            FailureKind::Skew { until } => until,
            FailureKind::Error | FailureKind::Permanent | FailureKind::Panic | FailureKind::Timeout => None,
        }
    }
}

/// Hands a message to a consumer, a subscriber or an object's handler, once.
///
/// # Errors
/// What went wrong. A handler of another kind is a permanent failure.
pub async fn deliver(ctx: &Ctx, handler: &'static Handler, incoming: Incoming) -> Result<(), Failure> {
    deliver_by(ctx, handler, incoming, Timestamp::MAX).await
}

/// The same, by then: whoever runs it has no more time.
pub(crate) async fn deliver_by(
    ctx: &Ctx,
    handler: &'static Handler,
    incoming: Incoming,
    by: Timestamp,
) -> Result<(), Failure> {
    let deliver = match &handler.dispatch {
        Dispatch::Consumer { deliver, .. }
        | Dispatch::Subscriber { deliver, .. }
        | Dispatch::Object { deliver, .. } => deliver,
        Dispatch::Batch { .. } => {
            let outcome = deliver_batch_by(ctx, handler, vec![incoming], by).await.pop();
            return outcome.unwrap_or(Ok(()));
        }
        Dispatch::Http { .. }
        | Dispatch::Schedule { .. }
        | Dispatch::Function { .. }
        | Dispatch::Routes { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => {
            return Err(takes_no_messages(handler));
        }
    };
    let begun = spans::delivery(ctx, handler, [&incoming.message].into_iter(), incoming.attempt);
    let since = incoming.message.time;
    let id = incoming.message.id.clone();
    attempt(ctx, handler, begun, (since, Some(id), by), |scope| deliver(scope, incoming)).await
}

fn takes_no_messages(handler: &Handler) -> Failure {
    Failure { kind: FailureKind::Permanent, reason: format!("`{}` takes no messages", handler.id) }
}

/// Hands messages to a batch's consumer, once: an outcome for each, in their order. What it reported stands, however it ended.
/// A handler of another kind is a permanent failure of each.
pub async fn deliver_batch(ctx: &Ctx, handler: &'static Handler, incoming: Vec<Incoming>) -> Vec<Result<(), Failure>> {
    deliver_batch_by(ctx, handler, incoming, Timestamp::MAX).await
}

/// The same, by then.
pub(crate) async fn deliver_batch_by(
    ctx: &Ctx,
    handler: &'static Handler,
    incoming: Vec<Incoming>,
    by: Timestamp,
) -> Vec<Result<(), Failure>> {
    let Dispatch::Batch { deliver, .. } = &handler.dispatch else {
        return incoming.iter().map(|_| Err(takes_no_messages(handler))).collect();
    };
    let report = Report::of(incoming.len());
    let first = incoming.first();
    let (attempts, since) =
        (first.and_then(|it| it.attempt), first.map_or(Timestamp::UNIX_EPOCH, |it| it.message.time));
    let begun = spans::delivery(ctx, handler, incoming.iter().map(|it| &it.message), attempts);
    let single = if incoming.len() == 1 { first.map(|it| it.message.id.clone()) } else { None };
    let whole = attempt(ctx, handler, begun, (since, single, by), |scope| deliver(scope, incoming, report.clone()));
    let whole = whole.await;
    let unreported = whole.err().unwrap_or_else(|| Failure {
        kind: FailureKind::Error,
        reason: "the handler ended without reporting it done".to_owned(),
    });
    let outcome = |reported| match reported {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(Failure::of(&error)),
        None => Err(unreported.clone()),
    };
    report.take().into_iter().map(outcome).collect()
}

/// Runs a schedule, once. `cause` is the trace of what fired it.
///
/// # Errors
/// What went wrong. A handler of another kind is a permanent failure.
pub async fn run(ctx: &Ctx, handler: &'static Handler, tick: Tick, cause: Option<TraceContext>) -> Result<(), Failure> {
    run_by(ctx, handler, tick, cause, Timestamp::MAX).await
}

/// The same, by then.
pub(crate) async fn run_by(
    ctx: &Ctx,
    handler: &'static Handler,
    tick: Tick,
    cause: Option<TraceContext>,
    by: Timestamp,
) -> Result<(), Failure> {
    let Dispatch::Schedule { run, .. } = &handler.dispatch else {
        return Err(Failure { kind: FailureKind::Permanent, reason: format!("`{}` is no schedule", handler.id) });
    };
    let begun = spans::run(ctx, handler, &tick, cause);
    let since = tick.scheduled;
    attempt(ctx, handler, begun, (since, None, by), |scope| run(scope, tick)).await
}

/// One attempt in the span that was begun for it, at what waited since then; of one message with its id. It ends when the
/// handler's own time is over, or by then.
async fn attempt<F>(
    ctx: &Ctx,
    handler: &'static Handler,
    (trace, mut span): (Option<TraceContext>, Span),
    (since, message, by): (Timestamp, Option<String>, Timestamp),
    start: impl FnOnce(crate::ctx::Scope) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Error>>,
{
    let now = ctx.clock().now();
    let left = Duration::try_from(now.duration_until(by)).unwrap_or_default();
    let timeout = Duration::from_millis(handler.timeout_millis).min(left);
    let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    ctx.observe(&Event::Began { handler: handler.id, age });
    let deadline = now.saturating_add(timeout).unwrap_or(Timestamp::MAX);
    let scope = ctx.scope(handler, Invocation { deadline, trace });
    let work = within(scope.clone(), message, async move {
        ctx.fault(handler)?;
        start(scope).await
    });
    let work = AssertUnwindSafe(work).catch_unwind();
    let outcome = match ctx.within((timeout, deadline), work).await {
        Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(Failure::of(&error)),
        Some(Err(panic)) => Err(Failure { kind: FailureKind::Panic, reason: panic_message(&*panic) }),
        None => {
            Err(Failure { kind: FailureKind::Timeout, reason: format!("took longer than {}s", timeout.as_secs_f64()) })
        }
    };
    outcome.inspect_err(|failure| spans::failed(&mut span, failure))
}

/// What a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// The pause before the attempt after `attempt` (counted from 1): exponential with full jitter. `random` is in 0..1.
pub fn backoff(attempt: u32, random: f64) -> Duration {
    let ceiling =
        BACKOFF_FIRST_MILLIS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(BACKOFF_LONGEST_MILLIS);
    Duration::from_millis((ceiling as f64 * random.clamp(0.0, 1.0)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_ceiling() {
        let longest = |attempt| backoff(attempt, 1.0).as_millis();
        assert_eq!((longest(1), longest(2), longest(5), longest(60)), (1_000, 2_000, 16_000, 300_000));
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
    }
}
