//! What follows an attempt at a message: it is done, comes again after a pause, or is given up with its reason.

use super::queue::From;
use super::record::Received;
use super::{Unit, left};
use crate::ctx::{Event, Verdict};
use crate::dispatch::{Failure, FailureKind, backoff};
use crate::engine::{EngineError, EngineResult, Message};
use crate::message::SKEW_UNTIL;
use crate::registry::{Dispatch, Handler};
use crate::server::resource;
use crate::telemetry::spans;
use jiff::Timestamp;
use std::time::Duration;
use updraft_wire::aws::{GivenUp, Known};

/// How long a message that only a newer version can read waits at least until it is looked at again.
pub(super) const RETURN_PAUSE: Duration = Duration::from_secs(2);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// SQS deletes it.
    Done,
    /// SQS hands it out again after so long.
    Again(Duration),
    /// There was no time to begin it.
    Unbegun,
}

/// A message that was tried and shall be given up.
#[derive(Clone, Copy)]
pub(super) struct Attempted<'a> {
    pub(super) handler: &'static Handler,
    pub(super) message: &'a Message,
    pub(super) attempts: Option<u32>,
    pub(super) first: Timestamp,
    /// Until when there is time to give it up.
    pub(super) by: Timestamp,
}

/// Attempts after the first.
fn retries(handler: &Handler) -> u32 {
    match handler.dispatch {
        Dispatch::Consumer { retries, .. }
        | Dispatch::Batch { retries, .. }
        | Dispatch::Subscriber { retries, .. }
        | Dispatch::Object { retries, .. }
        | Dispatch::Schedule { retries, .. } => retries,
        Dispatch::Http { .. }
        | Dispatch::Function { .. }
        | Dispatch::Routes { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => 0,
    }
}

/// What follows a failure. `random` is in 0..1.
pub(super) fn verdict(
    handler: &Handler,
    received: &Received,
    failure: &Failure,
    (now, random): (Timestamp, f64),
) -> Verdict {
    let further = (retries(handler) + 1).saturating_sub(received.attempt);
    match failure.kind {
        FailureKind::Permanent | FailureKind::Skew { until: None } => Verdict::DeadLetter,
        FailureKind::Skew { until: Some(until) } if received.group.is_some() => {
            // Sent again it would lose its place, so it waits where it is, and each look counts. What is left of them is
            // spread over the time that a newer version has to come, from the first look on.
            let patience = until.duration_since(now);
            let until = received.first.saturating_add(patience).unwrap_or(Timestamp::MAX);
            match (Duration::try_from(until.duration_since(now)), further) {
                (Ok(left), 1..) if !left.is_zero() => Verdict::Return((left / further).max(RETURN_PAUSE)),
                _ => Verdict::DeadLetter,
            }
        }
        FailureKind::Skew { until: Some(_) } => Verdict::Return(RETURN_PAUSE),
        FailureKind::Error | FailureKind::Panic | FailureKind::Timeout if further == 0 => Verdict::DeadLetter,
        FailureKind::Error | FailureKind::Panic | FailureKind::Timeout => {
            Verdict::Retry(backoff(received.attempt, random))
        }
    }
}

/// What follows an attempt, while the event has time: past it the process is stopped in the middle.
pub(super) async fn in_time<T>(by: Timestamp, work: impl Future<Output = EngineResult<T>>) -> EngineResult<T> {
    let late = |_| EngineError::Unavailable("the event's time is over".to_owned());
    tokio::time::timeout(left(by), work).await.map_err(late)?
}

/// 0..1.
pub(super) fn random() -> f64 {
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

impl Unit {
    /// Does what the verdict says.
    pub(super) async fn settle(
        &self,
        from: From<'_>,
        received: &Received,
        (failure, verdict): (&Failure, Verdict),
    ) -> Fate {
        let From { handler, queue, ends } = from;
        let (kind, reason) = (failure.kind.as_str(), failure.reason.as_str());
        let (message_id, trace_id) = (received.message.id.as_str(), received.message.trace_id());
        tracing::warn!(handler = handler.id, message_id, trace_id, kind, reason, "a message failed");
        match verdict {
            Verdict::Retry(pause) => Fate::Again(pause),
            Verdict::Return(pause) if received.group.is_some() => Fate::Again(pause),
            Verdict::Return(pause) => {
                // Sent again it counts no attempt, and by then the version that reads it may be there.
                let mut message = received.back();
                let until = failure.kind.returned_until().unwrap_or(Timestamp::MAX);
                message.attributes.insert(SKEW_UNTIL.to_owned(), until.to_string());
                match in_time(ends.all, self.queues.put(queue, vec![message], pause)).await {
                    Ok(()) => Fate::Done,
                    Err(error) => {
                        tracing::error!(handler = handler.id, message_id, %error, "a newer version's message could not be sent again");
                        Fate::Again(pause)
                    }
                }
            }
            Verdict::DeadLetter | Verdict::Answer => {
                let Received { message, attempt, first, .. } = received;
                let attempted = Attempted { handler, message, attempts: Some(*attempt), first: *first, by: ends.all };
                match self.give_up(attempted, failure).await {
                    true => Fate::Done,
                    // Once more; SQS itself gives it up in the end.
                    false => Fate::Again(backoff(received.attempt, random())),
                }
            }
        }
    }

    /// Puts a message among its handler's dead letters, with the reason. Whether it is there.
    pub(super) async fn give_up(&self, attempted: Attempted<'_>, failure: &Failure) -> bool {
        let Attempted { handler, message, attempts, first, by } = attempted;
        let (id, kind) = (message.id.as_str(), failure.kind.as_str());
        let Some(url) = self.resources.get(Known::DeadLetters, handler.id) else {
            tracing::error!(handler = handler.id, message_id = id, "nobody said where its dead letters are kept");
            return false;
        };
        let told = GivenUp {
            reason: failure.reason.clone(),
            kind: kind.to_owned(),
            attempts,
            first: format!("{first:.6}"),
            last: format!("{:.6}", self.ctx.clock().now()),
        };
        spans::dead_letter(&self.ctx, handler.id, resource(handler), message, (kind, &failure.reason));
        match in_time(by, self.queues.keep(url, message.clone(), told)).await {
            Ok(()) => {
                self.ctx.observe(&Event::Buried { handler: handler.id, resource: resource(handler), kind });
                true
            }
            Err(error) => {
                tracing::error!(handler = handler.id, message_id = id, %error, "a dead letter could not be kept");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;
    use serde_json::json;
    use updraft_wire::Grants;

    const HANDLER: Handler = Handler {
        id: "ship",
        descriptor: &[],
        grants: Grants::None,
        timeout_millis: 1,
        dispatch: Dispatch::Consumer { queue: "orders", retries: 2, deliver: |_, _| Box::pin(async { Ok(()) }) },
    };

    fn after(queue: &str, attempt: u32, kind: FailureKind, now: Timestamp) -> Verdict {
        let attributes = json!({ "ApproximateReceiveCount": attempt.to_string(), "MessageGroupId": "g" });
        let received = Received::of(record(queue, "m", "", json!({ "attributes": attributes })), now);
        verdict(&HANDLER, &received, &Failure { kind, reason: String::new() }, (now, 1.0))
    }

    #[test]
    fn failures_are_tried_again_until_retries_are_spent() {
        let now = Timestamp::UNIX_EPOCH;
        for kind in [FailureKind::Error, FailureKind::Panic, FailureKind::Timeout] {
            assert_eq!(after("orders", 1, kind, now), Verdict::Retry(Duration::from_secs(1)));
            assert_eq!(after("orders", 2, kind, now), Verdict::Retry(Duration::from_secs(2)));
            assert_eq!(after("orders", 3, kind, now), Verdict::DeadLetter);
            assert_eq!(after("orders", 9, kind, now), Verdict::DeadLetter);
        }
        for kind in [FailureKind::Permanent, FailureKind::Skew { until: None }] {
            assert_eq!(after("orders", 1, kind, now), Verdict::DeadLetter);
        }
    }

    #[test]
    fn a_newer_versions_message_is_returned_or_where_order_counts_waits() {
        // It was first received at 2 s; a handler waits for 60 s from when it is asked.
        let skew = |now: Timestamp| FailureKind::Skew { until: Some(now + jiff::SignedDuration::from_secs(60)) };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let look = |queue: &str, attempt, seconds| after(queue, attempt, skew(at(seconds)), at(seconds));
        assert_eq!(look("orders", 9, 2), Verdict::Return(RETURN_PAUSE), "no attempt is spent");
        assert_eq!(look("orders.fifo", 1, 2), Verdict::Return(Duration::from_secs(30)));
        assert_eq!(look("orders.fifo", 2, 32), Verdict::Return(Duration::from_secs(30)));
        assert_eq!(look("orders.fifo", 2, 61), Verdict::Return(RETURN_PAUSE));
        assert_eq!(look("orders.fifo", 2, 62), Verdict::DeadLetter, "its time is over");
        assert_eq!(look("orders.fifo", 3, 10), Verdict::DeadLetter, "the queue would give it up");
    }
}
