//! A batch of one queue's messages. Those of a standard queue run side by side; those of a FIFO queue's group one after the
//! other, and what follows one that comes again comes again too. The answer names what does.

mod back;

use super::api::Problem;
use super::object::objects;
use super::record::{Received, url};
use super::settle::{Fate, RETURN_PAUSE, random, verdict};
use super::{Ends, Unit, left};
use crate::ctx::Event;
use crate::dispatch::{self, Failure, FailureKind};
use crate::engine::Message;
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use crate::server::once::Guarded;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use updraft_wire::aws::Known;
use updraft_wire::aws::events::{Asked, BatchAnswer, BatchFailure, Direct, SqsEvent};

/// How many messages of a batch run at once, unless a database has fewer connections.
const AT_ONCE: usize = 16;

/// What a message has for its handler.
enum Told {
    Messages(Vec<Incoming>),
    Tick(Tick),
}

/// When the run was due that a schedule's queue tells of.
fn due(handler: &Handler, body: &[u8]) -> Result<Timestamp, String> {
    let told: Direct = serde_json::from_slice(body).map_err(|error| format!("it tells of no run: {error}"))?;
    match told.updraft {
        Asked::Schedule(due) if due.handler == handler.id => due
            .scheduled
            .parse()
            .map_err(|error| format!("`{}` is no time at which a run was due: {error}", due.scheduled)),
        Asked::Schedule(due) => Err(format!("it tells of a run of `{}`", due.handler)),
        Asked::Call(_) | Asked::Outbox(_) => Err("it asks for something that no queue does".to_owned()),
    }
}

/// What all messages of a batch share.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) handler: &'static Handler,
    pub(super) queue: &'a str,
    pub(super) ends: Ends,
}

impl From<'_> {
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.handler.timeout_millis)
    }

    /// Whether a message may begin. One that has to wait for others needs its handler's own time: cut off by the event's end it
    /// would count as tried. Of a FIFO queue it counts anyway.
    fn begins(&self, received: &Received, at_once: bool) -> bool {
        let left = left(self.ends.work);
        !left.is_zero() && (at_once || received.group.is_some() || left >= self.timeout())
    }
}

impl Unit {
    /// # Errors
    /// If nobody takes them: then all come again.
    pub(super) async fn batch(&self, event: SqsEvent, ends: Ends) -> Result<BatchAnswer, Problem> {
        let Some(arn) = event.records.first().map(|record| record.event_source_arn.clone()) else {
            return Ok(BatchAnswer::default());
        };
        if event.records.iter().any(|record| record.event_source_arn != arn) {
            return Err(Problem::new("unknown-event", "the batch's messages are of several queues"));
        }
        let untaken = || Problem::new("unknown-handler", format!("no handler of this unit takes from {arn}"));
        let id = self.resources.get(Known::Consumes, &arn).ok_or_else(untaken)?;
        let handler = self.handlers.get(id).copied().ok_or_else(untaken)?;
        let queue = url(&arn).ok_or_else(untaken)?;
        let from = From { handler, queue: &queue, ends };

        let now = self.ctx.clock().now();
        let received: Vec<Received> = event.records.into_iter().map(|record| Received::of(record, now)).collect();
        let lanes = lanes(&received);
        let mut fates = match handler.dispatch {
            Dispatch::Batch { most, .. } => self.together(from, &received, lanes, most.max(1) as usize).await,
            _ => self.side_by_side(from, &received, lanes).await,
        };
        self.put_back(from, &received, &mut fates).await;
        self.hide(from, &received, &fates).await;
        let again = received.iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Done);
        let failures = again.map(|(received, _)| BatchFailure { item_identifier: received.item.clone() });
        Ok(BatchAnswer { batch_item_failures: failures.collect() })
    }

    /// How many of a handler's calls run at once: more than there are connections would wait for those that have one, and fail.
    fn at_once(&self, handler: &Handler) -> usize {
        let connections = self.ctx.engines().databases.connections(&handler.grants);
        connections.unwrap_or(AT_ONCE).clamp(1, AT_ONCE)
    }

    /// Each message by itself, lane by lane.
    async fn side_by_side(&self, from: From<'_>, received: &[Received], lanes: Vec<Vec<usize>>) -> Vec<Fate> {
        let most = self.at_once(from.handler);
        let run = |(number, lane): (usize, Vec<usize>)| async move {
            let mut fates = Vec::with_capacity(lane.len());
            let mut held = None;
            for (turn, place) in lane.into_iter().enumerate() {
                let at_once = number < most && turn == 0;
                let fate = match held {
                    Some(fate) => fate,
                    None if from.begins(&received[place], at_once) => self.one(from, &received[place]).await,
                    None => Fate::Unbegun,
                };
                held = Some(fate).filter(|fate| *fate != Fate::Done);
                fates.push((place, fate));
            }
            fates
        };
        let done: Vec<Vec<_>> =
            stream::iter(lanes.into_iter().enumerate()).map(run).buffer_unordered(most).collect().await;
        in_place(received.len(), done.into_iter().flatten())
    }

    /// Several messages in one call, of each lane one: the first ones, then those that follow. One that was tried before
    /// comes alone, so that one that ends its handler each time does not spend its neighbours' attempts.
    async fn together(
        &self,
        from: From<'_>,
        received: &[Received],
        mut lanes: Vec<Vec<usize>>,
        most: usize,
    ) -> Vec<Fate> {
        let mut fates = BTreeMap::new();
        let at_once = self.at_once(from.handler);
        lanes.iter_mut().for_each(|lane| lane.reverse());
        let mut waves = 0;
        while !lanes.is_empty() {
            let heads: Vec<usize> = lanes.iter_mut().filter_map(Vec::pop).collect();
            let (fresh, tried): (Vec<usize>, Vec<_>) =
                heads.into_iter().partition(|place| received[*place].attempt == 1);
            let calls = fresh.chunks(most).map(<[usize]>::to_vec).chain(tried.into_iter().map(|place| vec![place]));
            let calls: Vec<(usize, Vec<usize>)> = calls.enumerate().collect();
            let call = |(number, places): (usize, Vec<usize>)| async move {
                let all: Vec<&Received> = places.iter().map(|place| &received[*place]).collect();
                let begins = all.first().is_some_and(|first| from.begins(first, waves == 0 && number < at_once));
                let fates = if begins { self.several(from, &all).await } else { vec![Fate::Unbegun; all.len()] };
                places.into_iter().zip(fates).collect::<Vec<_>>()
            };
            let done: Vec<Vec<_>> = stream::iter(calls).map(call).buffer_unordered(at_once).collect().await;
            waves += 1;
            for (place, fate) in done.into_iter().flatten() {
                fates.insert(place, fate);
                if fate != Fate::Done && received[place].group.is_some() {
                    let group = |lane: &&mut Vec<usize>| lane.first().map(|at| &received[*at].group);
                    let held = lanes.iter_mut().find(|lane| group(lane) == Some(&received[place].group));
                    fates.extend(held.into_iter().flat_map(|lane| lane.drain(..)).map(|held| (held, fate)));
                }
            }
            lanes.retain(|lane| !lane.is_empty());
        }
        in_place(received.len(), fates)
    }

    /// One attempt at one message.
    async fn one(&self, from: From<'_>, received: &Received) -> Fate {
        let From { handler, ends: Ends { work: by, .. }, .. } = from;
        let told = match self.read(handler, received) {
            Ok(told) => told,
            Err(failure) => return self.failed(from, received, &failure).await,
        };
        let started = Instant::now();
        let completions = self.once.as_ref().zip(handler.once());
        let work = async {
            match told {
                Told::Tick(tick) => {
                    dispatch::run_by(&self.ctx, handler, tick, received.message.trace.clone(), by).await?;
                }
                Told::Messages(all) => {
                    for incoming in all {
                        dispatch::deliver_by(&self.ctx, handler, incoming, by).await?;
                    }
                }
            }
            Ok(())
        };
        let timeout = from.timeout().min(left(by));
        let outcome = match Guarded::run(completions, (handler.id, &received.message.id), timeout, work).await {
            Guarded::Ran(outcome) => outcome,
            Guarded::Done => {
                tracing::info!(handler = handler.id, message = received.message.id, "came again, and was done");
                return Fate::Done;
            }
            Guarded::Busy => {
                tracing::info!(
                    handler = handler.id,
                    message = received.message.id,
                    "another delivery of it still runs"
                );
                return Fate::Again(RETURN_PAUSE);
            }
            Guarded::Unknown(error) => {
                let id = &received.message.id;
                tracing::error!(handler = handler.id, message = id, %error, "can't tell whether it is done");
                return Fate::Again(dispatch::backoff(received.attempt, random()));
            }
        };
        let verdict = |failure| verdict(handler, received, failure, (self.ctx.clock().now(), random()));
        let failure = outcome.as_ref().err().map(|failure| (failure, verdict(failure)));
        self.finished(handler, received, started.elapsed(), failure);
        match failure {
            None => Fate::Done,
            Some(failure) => self.settle(from, received, failure).await,
        }
    }

    /// One attempt at several messages of a batch's consumer.
    async fn several(&self, from: From<'_>, all: &[&Received]) -> Vec<Fate> {
        let From { handler, ends, .. } = from;
        let readable: Vec<&Received> = all.iter().filter(|received| received.unreadable.is_none()).copied().collect();
        let incoming = readable
            .iter()
            .map(|received| Incoming { message: received.message.clone(), attempt: Some(received.attempt) });
        let started = Instant::now();
        let outcomes = match readable.is_empty() {
            true => Vec::new(),
            false => dispatch::deliver_batch_by(&self.ctx, handler, incoming.collect(), ends.work).await,
        };
        let (mut outcomes, elapsed) = (outcomes.into_iter(), started.elapsed());
        let outcome = |received: &&Received| match unreadable(received) {
            Some(failure) => Err(failure),
            None => outcomes.next().unwrap_or_else(|| {
                Err(Failure { kind: FailureKind::Error, reason: "the handler ended without an outcome".to_owned() })
            }),
        };
        let outcomes: Vec<Result<(), Failure>> = all.iter().map(outcome).collect();
        let settle = |(place, outcome): (usize, Result<(), Failure>)| async move {
            let received = all[place];
            let verdict = |failure| verdict(handler, received, failure, (self.ctx.clock().now(), random()));
            let failure = outcome.as_ref().err().map(|failure| (failure, verdict(failure)));
            self.finished(handler, received, elapsed, failure);
            match failure {
                None => Fate::Done,
                Some(failure) => self.settle(from, received, failure).await,
            }
        };
        stream::iter(outcomes.into_iter().enumerate()).map(settle).buffered(AT_ONCE).collect().await
    }

    /// What the handler is handed: the message, one for each thing that a bucket tells in it, or that its schedule is due.
    fn read(&self, handler: &'static Handler, received: &Received) -> Result<Told, Failure> {
        if let Some(failure) = unreadable(received) {
            return Err(failure);
        }
        let permanent = |reason: String| Failure { kind: FailureKind::Permanent, reason };
        let (message, attempt) = (&received.message, Some(received.attempt));
        match handler.dispatch {
            Dispatch::Object { .. } => {
                let bodies = objects(handler, &message.body).map_err(permanent)?.into_iter();
                let of = |body| Incoming { message: Message { body, ..message.clone() }, attempt };
                Ok(Told::Messages(bodies.map(of).collect()))
            }
            Dispatch::Schedule { .. } => {
                let scheduled = due(handler, &message.body).map_err(permanent)?;
                Ok(Told::Tick(Tick { scheduled, attempt }))
            }
            _ => Ok(Told::Messages(vec![Incoming { message: message.clone(), attempt }])),
        }
    }

    /// A message that no handler saw.
    async fn failed(&self, from: From<'_>, received: &Received, failure: &Failure) -> Fate {
        let verdict = verdict(from.handler, received, failure, (self.ctx.clock().now(), random()));
        self.finished(from.handler, received, Duration::ZERO, Some((failure, verdict)));
        self.settle(from, received, (failure, verdict)).await
    }

    fn finished(
        &self,
        handler: &'static Handler,
        received: &Received,
        elapsed: Duration,
        failure: Option<(&Failure, crate::ctx::Verdict)>,
    ) {
        self.ctx.observe(&Event::Finished {
            handler: handler.id,
            trigger: match handler.dispatch {
                Dispatch::Subscriber { .. } => "subscriber",
                Dispatch::Object { .. } => "object",
                Dispatch::Schedule { .. } => "schedule",
                _ => "consumer",
            },
            message: Some(&received.message.id),
            attempt: received.attempt,
            elapsed,
            failure,
        });
    }
}

/// What can't be read now can't be read at the next attempt.
fn unreadable(received: &Received) -> Option<Failure> {
    let reason = received.unreadable.clone()?;
    Some(Failure { kind: FailureKind::Permanent, reason })
}

/// Places of messages that run one after the other: a FIFO queue's groups; of other queues each by itself.
fn lanes(received: &[Received]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    for (place, one) in received.iter().enumerate() {
        let known = one.group.as_deref().map(|group| *groups.entry(group).or_insert(lanes.len()));
        match known.and_then(|lane| lanes.get_mut(lane)) {
            Some(lane) => lane.push(place),
            None => lanes.push(vec![place]),
        }
    }
    lanes
}

/// Fates by the messages' places. One that is missing would be lost; there is none, but it would come again.
fn in_place(messages: usize, fates: impl IntoIterator<Item = (usize, Fate)>) -> Vec<Fate> {
    let mut all = vec![Fate::Again(Duration::ZERO); messages];
    for (place, fate) in fates {
        all[place] = fate;
    }
    all
}

#[cfg(test)]
mod tests;
