//! The relay: hands on what the outbox holds.
//!
//! The relay of one process leads, by a lock on the row of `_updraft_relay`. It publishes the rows in the order of their
//! numbers and deletes those that were taken. Whatever happens between the two, the next leader publishes the same message
//! under the same id: at least once, and never without the commit.
//!
//! A message that is not taken waits for itself: those of its key wait with it, all others go past. One that can't be sent by
//! its nature, or is refused as often as a handler may fail, is a dead letter of each handler that would have got it. Outages
//! and what somebody has to put right (credentials, a binding) refuse nothing.
//!
//! A turn is over in time by itself: one that is dropped takes back what it has done, and the next hands all of it on again.

use super::Postgres;
use super::outbox::{self, CHANNEL, FORMAT, Head, Row};
use crate::ctx::{Ctx, Event};
use crate::deadletter::DeadLetter;
use crate::dispatch::{Failure, FailureKind};
use crate::engine::{Channel, EngineError, Message};
use crate::registry::{Dispatch, HANDLERS, Handler, RESOURCES};
use crate::telemetry::{TraceContext, spans};
use bytes::Bytes;
use jiff::Timestamp;
use sqlx::postgres::PgListener;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft_wire::defaults::{BACKOFF_FIRST_MILLIS, BACKOFF_LONGEST_MILLIS, RETRIES};
use updraft_wire::ids::{queue_event_type, topic_event_type};

/// How often the relay looks without being told.
const POLL: Duration = Duration::from_secs(1);
/// The longest pause while the broker or the server is away, of the relay and of each message.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pause of a process that ends.
const AGAIN: Duration = Duration::from_millis(50);
/// What is due within this time is waited for by a process that ends.
const SOON: Duration = Duration::from_secs(5);
/// New messages that a leader hands on between two commits.
const BATCH: i64 = 100;
/// Of those that were tried before: so that neither kind holds up the other, one comes after four new ones.
const AGAIN_BATCH: i64 = BATCH / 4;
/// How long a leader goes on before it commits what it has.
const TURN: Duration = Duration::from_secs(5);
/// The longest that it takes when a broker does not answer: the server ends what stands still within a transaction.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// What is kept of a turn's time for its commit, or a fourth of a short one; and what has to be left for a message to begin.
const MARGIN: Duration = Duration::from_secs(1);
/// With less than this no turn is begun.
const LEAST: Duration = Duration::from_millis(200);
/// So many messages one after the other that find the broker away say that it is: no more are tried.
const AWAY: usize = 2;

/// What one turn of the relay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This many messages left the outbox; there may be more.
    Moved(usize),
    /// There were none that are due.
    Empty,
    /// Another process leads.
    Following,
    /// The tables are in the format of a newer version, which alone hands on.
    Newer,
    /// The broker is away; this many messages left the outbox before.
    Stuck(usize),
}

/// How a message left the outbox.
enum Left {
    /// The broker took it.
    Sent,
    /// It is a dead letter.
    GivenUp,
}

/// Why a message was not handed on.
enum Refusal {
    /// The broker is away.
    Away(String),
    /// Something else has to come first: another version of the program that knows the resource, somebody who puts credentials
    /// or the binding right, the keeper of its dead letter.
    Waits(String),
    /// This message was refused, which may have reasons beside it: given up after as many attempts as a handler has.
    Counts(String),
    /// It can't be sent.
    Final(String),
}

impl Refusal {
    fn reason(&self) -> &str {
        let (Refusal::Away(reason) | Refusal::Waits(reason) | Refusal::Counts(reason) | Refusal::Final(reason)) = self;
        reason
    }

    /// How long the message waits: twice as long each time.
    fn pause(&self, row: &Row) -> Duration {
        let (times, longest) = match self {
            Refusal::Away(_) | Refusal::Waits(_) => (row.attempts, LONGEST_PAUSE),
            Refusal::Counts(_) | Refusal::Final(_) => (row.refusals, Duration::from_millis(BACKOFF_LONGEST_MILLIS)),
        };
        let doubled = 1u32.checked_shl(times.unsigned_abs()).unwrap_or(u32::MAX);
        Duration::from_millis(BACKOFF_FIRST_MILLIS).saturating_mul(doubled).min(longest)
    }
}

/// The time of one turn.
struct Time {
    /// No message begins then.
    begins: Instant,
    /// What has begun is cut off then.
    cut: Instant,
    /// So much has to be left for a message to begin.
    room: Duration,
}

impl Time {
    fn until(by: Instant) -> Time {
        let now = Instant::now();
        let whole = by.saturating_duration_since(now).min(LONGEST_TURN);
        let margin = MARGIN.min(whole / 4);
        Time { begins: now + TURN, cut: now + (whole - margin), room: margin }
    }

    /// How long a message that begins now may take: so long that one that hangs leaves time for another. `None` if none begins.
    fn of_one(&self) -> Option<Duration> {
        let now = Instant::now();
        let left = self.cut.saturating_duration_since(now);
        (now < self.begins && left > self.room).then_some(left / 2)
    }
}

/// Whether there is time for another turn.
pub(super) fn is_time(by: Instant) -> bool {
    by.saturating_duration_since(Instant::now()) >= LEAST
}

/// What is wrong with an outbox that a newer version has changed.
pub(super) fn newer() -> sqlx::Error {
    sqlx::Error::Configuration("its tables are in a newer version's format, and only that version hands on".into())
}

impl Postgres {
    /// Hands messages on as long as the process runs: when a commit says so, and once a second.
    pub async fn relay(self: Arc<Self>, ctx: Ctx) {
        let mut listener = None;
        let mut pause = POLL;
        let mut generation = self.generation.count();
        loop {
            // Of a URL that is no longer the newest.
            if generation != self.generation.count() {
                (listener, generation) = (None, self.generation.count());
            }
            pause = match self.turn(&ctx).await {
                Ok(Turn::Moved(_)) => continue,
                Ok(Turn::Empty | Turn::Following) => POLL,
                Ok(Turn::Stuck(moved)) => longer(if moved == 0 { pause } else { POLL }),
                Ok(Turn::Newer) => {
                    tracing::warn!(database = self.id(), "the outbox is left alone: {}", newer());
                    LONGEST_PAUSE
                }
                Err(error) => {
                    tracing::warn!(
                        database = self.id(),
                        error = error.to_string(),
                        "the outbox can't be read, trying on"
                    );
                    listener = None;
                    longer(pause)
                }
            };
            if pause > POLL {
                tokio::time::sleep(pause).await;
                continue;
            }
            if listener.is_none() {
                listener = self.listen().await.ok();
                if listener.is_some() {
                    continue; // what was committed before it listened
                }
            }
            match &mut listener {
                // Whether woken, or not in time, or cut off: look.
                Some(listener) => {
                    let _ = tokio::time::timeout(pause, listener.recv()).await;
                }
                None => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.relay).await?;
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }

    /// Hands on what is there and due, unless another process does.
    ///
    /// # Errors
    /// If the server is away. What was handed on and not deleted is handed on again, under the same ids.
    pub async fn turn(&self, ctx: &Ctx) -> Result<Turn, sqlx::Error> {
        self.turn_by(ctx, Instant::now() + LONGEST_TURN).await
    }

    /// The same, and what was done is committed by then, unless the server is away: what a broker does not take in time waits as
    /// if it were away.
    ///
    /// # Errors
    /// As [`Postgres::turn`].
    pub async fn turn_by(&self, ctx: &Ctx, by: Instant) -> Result<Turn, sqlx::Error> {
        let time = Time::until(by);
        let mut transaction = self.relay.begin().await?;
        let lead = sqlx::query_scalar::<_, i32>("SELECT format FROM _updraft_relay FOR UPDATE SKIP LOCKED");
        let Some(format) = lead.fetch_optional(&mut *transaction).await? else { return Ok(Turn::Following) };
        if format > FORMAT {
            transaction.rollback().await?;
            return Ok(Turn::Newer);
        }
        let new = outbox::new(&mut transaction, BATCH).await?;
        let rows = mixed(new, outbox::due(&mut transaction, AGAIN_BATCH).await?);
        if rows.is_empty() {
            // Waited for: dropped, it would keep the lead from the next turn for a moment.
            transaction.rollback().await?;
            return Ok(Turn::Empty);
        }
        let (mut taken, mut held, mut away, mut stuck) = (Vec::new(), BTreeSet::new(), 0, false);
        for row in rows {
            let lane = row.key.clone().map(|key| (row.kind.clone(), row.resource.clone(), key));
            if lane.as_ref().is_some_and(|lane| held.contains(lane)) {
                continue;
            }
            let Some(longest) = time.of_one() else { break };
            let handed_on = tokio::time::timeout(longest, self.hand_on(ctx, &row)).await;
            match handed_on.unwrap_or_else(|_| Err(Refusal::Away("no answer in time".to_owned()))) {
                Ok(Left::Sent) => {
                    taken.push(row.number);
                    away = 0;
                }
                Ok(Left::GivenUp) => {
                    taken.push(row.number);
                    // Those of its key wait for the commit: until then it may still be sent after all, and then before them.
                    held.extend(lane);
                }
                Err(refusal) => {
                    away += usize::from(matches!(refusal, Refusal::Away(_)));
                    let (reason, pause) = (refusal.reason(), refusal.pause(&row));
                    let Row { kind, resource, attempts, .. } = &row;
                    tracing::error!(
                        database = self.id(),
                        kind,
                        resource,
                        attempts,
                        reason,
                        "a message of the outbox waits"
                    );
                    let refused = matches!(refusal, Refusal::Counts(_));
                    outbox::wait(&mut transaction, &row, refused, reason, pause).await?;
                    held.extend(lane);
                }
            }
            if away >= AWAY {
                // Of those that were tried before it is known: they have their pauses.
                stuck = row.attempts == 0;
                break;
            }
        }
        let moved = taken.len();
        let delete = sqlx::query("DELETE FROM _updraft_outbox WHERE number = ANY($1)").bind(taken);
        delete.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(if stuck { Turn::Stuck(moved) } else { Turn::Moved(moved) })
    }

    /// Hands on all that is due, until nothing is left or nothing can be done here; how many those were.
    ///
    /// # Errors
    /// As [`Postgres::turn`].
    pub async fn flush(&self, ctx: &Ctx) -> Result<usize, sqlx::Error> {
        self.flush_by(ctx, None).await
    }

    /// The same, until then.
    ///
    /// # Errors
    /// As [`Postgres::turn`].
    pub async fn flush_by(&self, ctx: &Ctx, by: Option<Instant>) -> Result<usize, sqlx::Error> {
        let mut all = 0;
        while by.is_none_or(is_time) {
            match self.turn_by(ctx, by.unwrap_or_else(|| Instant::now() + LONGEST_TURN)).await? {
                Turn::Moved(moved) => all += moved,
                Turn::Stuck(moved) => return Ok(all + moved),
                Turn::Empty | Turn::Following => return Ok(all),
                Turn::Newer => return Err(newer()),
            }
        }
        Ok(all)
    }

    /// Hands on all that is there, however often another process leads or the broker is away, until then: whoever ends calls
    /// it. Its own relay may go on meanwhile.
    pub async fn empty(&self, ctx: &Ctx, by: Instant) {
        while is_time(by) {
            match self.turn_by(ctx, by).await {
                Ok(Turn::Moved(_)) => continue,
                Ok(Turn::Newer) => return,
                Ok(Turn::Empty) if !self.any_soon().await.unwrap_or(true) => return,
                // A leader that ends at this moment leaves behind what it has not got to.
                Ok(Turn::Empty | Turn::Following | Turn::Stuck(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn any_soon(&self) -> Result<bool, sqlx::Error> {
        outbox::any_within(&mut *self.relay.acquire().await?, SOON).await
    }

    /// How many messages wait in the outbox.
    ///
    /// # Errors
    /// If the server is away.
    pub async fn waiting(&self) -> Result<u64, sqlx::Error> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM _updraft_outbox").fetch_one(&self.relay).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Publishes a message, or keeps it as a dead letter if that is what becomes of it.
    async fn hand_on(&self, ctx: &Ctx, row: &Row) -> Result<Left, Refusal> {
        // One that this program does not know is another version's: while it is rolled out, its processes lead in turn.
        let known = RESOURCES.iter().find(|known| known.kind == row.kind && known.id == row.resource);
        let unknown = || Refusal::Waits("this version of the program has no such resource".to_owned());
        let id = known.map(|known| known.id).ok_or_else(unknown)?;
        let channel = if row.kind == "queue" { Channel::Queue(id) } else { Channel::Topic(id) };
        let message = message(row);
        let refusal = match &message {
            Ok(message) => match publish(ctx, channel, message).await {
                Ok(()) => return Ok(Left::Sent),
                Err(refusal) => refusal,
            },
            Err(reason) => Refusal::Final(reason.clone()),
        };
        let (kind, reason) = match refusal {
            Refusal::Final(reason) => (FailureKind::Permanent, reason),
            Refusal::Counts(reason) if row.refusals >= RETRIES.cast_signed() => (FailureKind::Error, reason),
            refusal => return Err(refusal),
        };
        let message = message.unwrap_or_else(|_| self.unreadable(row));
        let failure = Failure { kind, reason: format!("the outbox could not send it: {reason}") };
        // It stays until its letter is kept.
        give_up(ctx, channel, &message, &failure, row.refusals).await.map_err(Refusal::Waits)?;
        Ok(Left::GivenUp)
    }

    /// What can be said of a row whose metadata can't be read.
    fn unreadable(&self, row: &Row) -> Message {
        Message {
            id: format!("{}-{}", self.id(), row.number),
            source: String::new(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: Default::default(),
            body: Bytes::from(row.body.clone()),
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Those that are tried for the first time, and after every fourth of them one that was tried before.
fn mixed(new: Vec<Row>, again: Vec<Row>) -> Vec<Row> {
    let mut again = again.into_iter();
    let mut rows = Vec::with_capacity(new.len() + again.len());
    for (nth, row) in (1..).zip(new) {
        rows.push(row);
        rows.extend((nth % (BATCH / AGAIN_BATCH) == 0).then(|| again.next()).flatten());
    }
    rows.extend(again);
    rows
}

/// The message as it was sent, or why that can't be told.
fn message(row: &Row) -> Result<Message, String> {
    let head: Head = serde_json::from_str(&row.head).map_err(|error| error.to_string())?;
    let attributes = head.attributes().map_err(|error| error.to_string())?;
    let Head { id, source, time, schema, trace, trace_state, .. } = head;
    let trace = trace.and_then(|trace| TraceContext::parse(&trace, trace_state.as_deref()));
    let time = time.parse().map_err(|error| format!("its time: {error}"))?;
    Ok(Message { id, source, time, schema, trace, attributes, body: Bytes::from(row.body.clone()) })
}

fn sender(message: &Message) -> &str {
    message.source.rsplit_once('/').map_or("", |(_, handler)| handler)
}

async fn publish(ctx: &Ctx, channel: Channel, message: &Message) -> Result<(), Refusal> {
    let mut span = spans::hand_on(ctx, channel, message);
    let publishing = ctx.engines().messaging.publish(channel, vec![message.clone()], Duration::ZERO);
    publishing.await.map_err(|error| {
        spans::refused(&mut span, &error);
        let reason = error.to_string();
        match error {
            EngineError::Unavailable(_) => Refusal::Away(reason),
            EngineError::TooLarge { .. } => Refusal::Final(reason),
            // Nothing is wrong with the message: with who sends it, or with where it goes.
            EngineError::Refused(_) | EngineError::Misconfigured(_) => Refusal::Waits(reason),
            EngineError::Other(_) => Refusal::Counts(reason),
        }
    })?;
    ctx.observe(&Event::Sent { handler: sender(message), channel, message });
    Ok(())
}

/// Keeps a letter for each handler that would have got the message; for the sender's if there is none.
async fn give_up(
    ctx: &Ctx,
    channel: Channel,
    message: &Message,
    failure: &Failure,
    refusals: i32,
) -> Result<(), String> {
    let now = ctx.clock().now();
    let event_type = match channel {
        Channel::Queue(id) => queue_event_type(ctx.app(), id),
        Channel::Topic(id) => topic_event_type(ctx.app(), id),
    };
    let (attempts, times) = (refusals.unsigned_abs() + 1, (message.time, now));
    let letter = |handler: &str| {
        let (event_type, handler) = (event_type.clone(), handler.to_owned());
        DeadLetter { handler, ..DeadLetter::unsent(channel.id(), event_type, message, failure, attempts, times) }
    };
    let mut letters: Vec<DeadLetter> =
        HANDLERS.iter().filter(|handler| takes(handler, channel, message)).map(|handler| letter(handler.id)).collect();
    if letters.is_empty() {
        letters.push(letter(sender(message)));
    }
    for letter in letters {
        let (handler, kind) = (letter.handler.clone(), failure.kind.as_str());
        let kept = ctx.engines().messaging.give_up(letter).await;
        let here = kept.map_err(|error| format!("its dead letter can't be kept: {error}"))?;
        if here {
            spans::dead_letter(ctx, &handler, channel.id(), message, (kind, &failure.reason));
            ctx.observe(&Event::Buried { handler: &handler, resource: channel.id(), kind });
        }
    }
    Ok(())
}

/// Whether a handler would have got a message.
fn takes(handler: &Handler, channel: Channel, message: &Message) -> bool {
    match (&handler.dispatch, channel) {
        (Dispatch::Consumer { queue, .. } | Dispatch::Batch { queue, .. }, Channel::Queue(id)) => *queue == id,
        (Dispatch::Subscriber { topic, when, .. }, Channel::Topic(id)) => {
            let has = |(name, value): &(&str, &str)| message.attributes.get(*name).is_some_and(|has| has == value);
            *topic == id && when.iter().all(has)
        }
        _ => false,
    }
}
