//! The outbox: messages that are committed with what a handler wrote, and the relay that hands them on.
//!
//! A message is a row of `_updraft_outbox`, in the schema that the connection creates its tables in. The relay of one process
//! leads, by a lock on the row of `_updraft_relay`; it publishes the rows in the order of their numbers, one after the other,
//! and deletes those that were taken. Whatever happens between the two, the next leader publishes the same message under the
//! same id: at least once, and never without the commit.

use super::Postgres;
use crate::ctx::{Ctx, Event};
use crate::engine::{Channel, Message};
use crate::registry::RESOURCES;
use crate::telemetry::TraceContext;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The format of the outbox's tables: a process leaves a newer one alone.
const FORMAT: i32 = 1;
/// What commits notify.
const CHANNEL: &str = "updraft_outbox";
/// How often the relay looks without being told.
const POLL: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pause of a process that ends.
const AGAIN: Duration = Duration::from_millis(50);
/// Messages that a leader hands on between two commits.
const BATCH: i64 = 100;
/// How long a leader goes on before it commits what it has.
const TURN: Duration = Duration::from_secs(5);

/// The outbox and its leader's row.
pub(crate) const TABLES: &str = "
CREATE TABLE _updraft_outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    resource text NOT NULL,
    head text NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE _updraft_relay (one boolean PRIMARY KEY CHECK (one), format integer NOT NULL)";

/// Makes the outbox's tables. Under the migrations' lock.
pub(super) async fn create(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Asked first, so that a role that may not create tables can run where they are.
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('_updraft_relay') IS NOT NULL").fetch_one(&mut *connection).await?;
    if there {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO _updraft_relay VALUES (true, $1)").bind(FORMAT).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// A message's metadata, as JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    id: String,
    source: String,
    time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

/// Puts a message into the outbox, within a transaction; its commit wakes the relays.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    channel: Channel,
    message: &Message,
) -> Result<(), sqlx::Error> {
    let Message { id, source, time, schema, trace, attributes, body } = message.clone();
    let time = time.to_string();
    let trace_state = trace.as_ref().and_then(|trace| trace.state.as_deref()).map(str::to_owned);
    let trace = trace.map(|trace| trace.parent());
    let head = serde_json::to_string(&Head { id, source, time, schema, trace, trace_state, attributes });
    let head = head.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let (kind, resource) = match channel {
        Channel::Queue(id) => ("queue", id),
        Channel::Topic(id) => ("topic", id),
    };
    let insert = "WITH held AS (INSERT INTO _updraft_outbox (kind, resource, head, body) VALUES ($1, $2, $3, $4))
                  SELECT pg_notify($5, '')";
    let insert = sqlx::query(insert).bind(kind).bind(resource).bind(head).bind(&body[..]).bind(CHANNEL);
    insert.execute(connection).await.map(drop)
}

/// What one turn of the relay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This many messages were handed on; there may be more.
    Moved(usize),
    /// There were none.
    Empty,
    /// Another process leads.
    Following,
    /// The first one can't be handed on now; this many were before it.
    Stuck(usize),
}

impl Postgres {
    /// Hands messages on as long as the process runs: when a commit says so, and once a second.
    pub async fn relay(self: Arc<Self>, ctx: Ctx) {
        let mut listener = None;
        let mut pause = POLL;
        loop {
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

    /// Hands on what is there, in order, unless another process does.
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
        let select = "SELECT number, kind, resource, head, body FROM _updraft_outbox ORDER BY number LIMIT $1";
        let rows: Vec<(i64, String, String, String, Vec<u8>)> =
            sqlx::query_as(select).bind(BATCH).fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            return Ok(Turn::Empty);
        }
        let mut taken = Vec::new();
        let mut stuck = false;
        for (number, kind, resource, head, body) in rows {
            if let Err(reason) = hand_on(ctx, &kind, &resource, &head, body).await {
                tracing::error!(database = self.id(), kind, resource, reason, "a message of the outbox waits");
                stuck = true;
                break;
            }
            taken.push(number);
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

    /// Hands on all that is there, until nothing is left or nothing can be done here; how many those were.
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
                Ok(Turn::Moved(_)) => {}
                Ok(Turn::Empty) => return,
                // A leader that ends at this moment leaves behind what it has not got to.
                Ok(Turn::Following | Turn::Stuck(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// How many messages wait in the outbox.
    ///
    /// # Errors
    /// If the server is away.
    pub async fn waiting(&self) -> Result<u64, sqlx::Error> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM _updraft_outbox").fetch_one(&self.relay).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

async fn hand_on(ctx: &Ctx, kind: &str, resource: &str, head: &str, body: Vec<u8>) -> Result<(), String> {
    // One that this program does not know is another version's: while it is rolled out, its processes lead in turn.
    let known = RESOURCES.iter().find(|known| known.kind == kind && known.id == resource);
    let id = known.map(|known| known.id).ok_or("this version of the program has no such resource")?;
    let channel = if kind == "queue" { Channel::Queue(id) } else { Channel::Topic(id) };
    let head: Head = serde_json::from_str(head).map_err(|error| error.to_string())?;
    let Head { id, source, time, schema, trace, trace_state, attributes } = head;
    let trace = trace.and_then(|trace| TraceContext::parse(&trace, trace_state.as_deref()));
    let time = time.parse().map_err(|error| format!("its time: {error}"))?;
    let message = Message { id, source, time, schema, trace, attributes, body: Bytes::from(body) };
    let handler = message.source.rsplit_once('/').map_or("", |(_, handler)| handler).to_owned();
    let publishing = ctx.engines().messaging.publish(channel, vec![message.clone()], Duration::ZERO);
    publishing.await.map_err(|error| error.to_string())?;
    ctx.observe(&Event::Sent { handler: &handler, channel, message: &message });
    Ok(())
}
