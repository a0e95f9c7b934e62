//! The relay: hands on what the outbox holds.
//!
//! The relay of one process leads, by a lock on the row of `_updraft_relay`. It publishes the rows in the order of their
//! numbers and deletes those that were taken. Whatever happens between the two, the next leader publishes the same message
//! under the same id: at least once, and never without the commit.
//!
//! A message that is refused waits for itself: those of its key wait with it, all others go past. One that can't be sent by
//! its nature, or is refused as often as a handler may fail, is a dead letter of each handler that would have got it.

use super::Postgres;
use super::outbox::{CHANNEL, FORMAT, Head};
use crate::ctx::{Ctx, Event};
use crate::deadletter::DeadLetter;
use crate::dispatch::{Failure, FailureKind};
use crate::engine::{Channel, EngineError, Message};
use crate::registry::{Dispatch, HANDLERS, Handler, RESOURCES};
use crate::telemetry::{TraceContext, spans};
use bytes::Bytes;
use jiff::Timestamp;
use sqlx::PgConnection;
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
/// Messages that a leader hands on between two commits.
const BATCH: i64 = 100;
/// How long a leader goes on before it commits what it has.
const TURN: Duration = Duration::from_secs(5);
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
    /// The broker is away; this many messages left the outbox before.
    Stuck(usize),
}

/// A message of the outbox.
struct Row {
    number: i64,
    kind: String,
    resource: String,
    key: Option<String>,
    head: String,
    body: Vec<u8>,
    attempts: i32,
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
    /// That passes, whenever: the broker is away, or another version of the program knows the resource.
    Passes(String),
    /// This message was refused, which may have reasons beside it: given up after as many attempts as a handler has.
    Counts(String),
    /// It can't be sent.
    Final(String),
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
        let started = Instant::now();
        let mut transaction = self.relay.begin().await?;
        let lead = sqlx::query_scalar::<_, i32>("SELECT format FROM _updraft_relay FOR UPDATE SKIP LOCKED");
        let Some(format) = lead.fetch_optional(&mut *transaction).await? else { return Ok(Turn::Following) };
        if format > FORMAT {
            return Ok(Turn::Following); // a newer version's
        }
        let rows = due(&mut transaction).await?;
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
            match self.hand_on(ctx, &row).await {
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
                    away += usize::from(matches!(refusal, Refusal::Passes(_)));
                    let (Refusal::Passes(reason) | Refusal::Counts(reason) | Refusal::Final(reason)) = &refusal;
                    let Row { kind, resource, attempts, .. } = &row;
                    tracing::error!(
                        database = self.id(),
                        kind,
                        resource,
                        attempts,
                        reason,
                        "a message of the outbox waits"
                    );
                    wait(&mut transaction, &row, &refusal).await?;
                    held.extend(lane);
                }
            }
            if away >= AWAY {
                // Of those that were refused before it is known: they have their pauses.
                stuck = row.attempts == 0;
                break;
            }
            if started.elapsed() > TURN {
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
        let mut all = 0;
        loop {
            match self.turn(ctx).await? {
                Turn::Moved(moved) => all += moved,
                Turn::Stuck(moved) => return Ok(all + moved),
                Turn::Empty | Turn::Following => return Ok(all),
            }
        }
    }

    /// Hands on all that is there, however often another process leads or the broker is away: whoever ends calls it, and
    /// sets a limit. Its own relay may go on meanwhile.
    pub async fn empty(&self, ctx: &Ctx) {
        loop {
            match self.turn(ctx).await {
                Ok(Turn::Moved(_)) => continue,
                Ok(Turn::Empty) if !self.any_soon().await.unwrap_or(true) => return,
                // A leader that ends at this moment leaves behind what it has not got to.
                Ok(Turn::Empty | Turn::Following | Turn::Stuck(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn any_soon(&self) -> Result<bool, sqlx::Error> {
        let any = "SELECT EXISTS (SELECT FROM _updraft_outbox WHERE due < now() + $1 * interval '1 second')";
        sqlx::query_scalar(any).bind(SOON.as_secs_f64()).fetch_one(&self.relay).await
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
        let unknown = || Refusal::Passes("this version of the program has no such resource".to_owned());
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
            Refusal::Counts(reason) if row.attempts >= RETRIES.cast_signed() => (FailureKind::Error, reason),
            refusal => return Err(refusal),
        };
        let message = message.unwrap_or_else(|_| self.unreadable(row));
        let failure = Failure { kind, reason: format!("the outbox could not send it: {reason}") };
        // It stays until its letter is kept.
        give_up(ctx, channel, &message, &failure, row.attempts).await.map_err(Refusal::Passes)?;
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

/// What is due, those that were not refused yet first. A key's messages wait while one before them does.
async fn due(connection: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    let select = "
        SELECT number, kind, resource, key, head, body, attempts FROM _updraft_outbox AS one
        WHERE due <= now() AND NOT EXISTS (
            SELECT FROM _updraft_outbox AS earlier WHERE attempts > 0 AND earlier.number < one.number
            AND (earlier.kind, earlier.resource, earlier.key) = (one.kind, one.resource, one.key))
        ORDER BY attempts > 0, number LIMIT $1";
    let rows: Vec<(i64, String, String, Option<String>, String, Vec<u8>, i32)> =
        sqlx::query_as(select).bind(BATCH).fetch_all(connection).await?;
    let row =
        |(number, kind, resource, key, head, body, attempts)| Row { number, kind, resource, key, head, body, attempts };
    Ok(rows.into_iter().map(row).collect())
}

/// Has a message wait: twice as long each time.
async fn wait(connection: &mut PgConnection, row: &Row, refusal: &Refusal) -> Result<(), sqlx::Error> {
    let (reason, longest) = match refusal {
        Refusal::Passes(reason) => (reason, LONGEST_PAUSE),
        Refusal::Counts(reason) | Refusal::Final(reason) => (reason, Duration::from_millis(BACKOFF_LONGEST_MILLIS)),
    };
    let doubled = 1u32.checked_shl(row.attempts.unsigned_abs()).unwrap_or(u32::MAX);
    let pause = Duration::from_millis(BACKOFF_FIRST_MILLIS).saturating_mul(doubled).min(longest);
    let update = "
        UPDATE _updraft_outbox
        SET attempts = attempts + 1, problem = $2, due = clock_timestamp() + $3 * interval '1 second' WHERE number = $1";
    let update = sqlx::query(update).bind(row.number).bind(reason).bind(pause.as_secs_f64());
    update.execute(connection).await.map(drop)
}

/// The message as it was sent, or why that can't be told.
fn message(row: &Row) -> Result<Message, String> {
    let head: Head = serde_json::from_str(&row.head).map_err(|error| error.to_string())?;
    let Head { id, source, time, schema, trace, trace_state, attributes } = head;
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
            EngineError::Unavailable(_) => Refusal::Passes(reason),
            EngineError::TooLarge { .. } => Refusal::Final(reason),
            EngineError::Refused(_) | EngineError::Misconfigured(_) | EngineError::Other(_) => Refusal::Counts(reason),
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
    attempts: i32,
) -> Result<(), String> {
    let now = ctx.clock().now();
    let event_type = match channel {
        Channel::Queue(id) => queue_event_type(ctx.app(), id),
        Channel::Topic(id) => topic_event_type(ctx.app(), id),
    };
    let (attempts, times) = (attempts.unsigned_abs() + 1, (message.time, now));
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
