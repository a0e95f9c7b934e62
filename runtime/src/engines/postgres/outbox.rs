//! The outbox: messages that are committed with what a handler wrote. [`super::relay`] hands them on.
//!
//! A message is a row of `_updraft_outbox`, in the schema that the connection creates its tables in; the one row of
//! `_updraft_relay` says in which format that table is, and its lock is the lead among relays.

use crate::engine::{Channel, Message};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;
use std::time::Duration;

/// The format of the outbox's tables: a process leaves a newer one alone.
pub(super) const FORMAT: i32 = 3;
/// What commits notify.
pub(super) const CHANNEL: &str = "updraft_outbox";

/// The outbox and its leader's row, in the first format.
const FIRST: &str = "
CREATE TABLE _updraft_outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    resource text NOT NULL,
    head text NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE _updraft_relay (one boolean PRIMARY KEY CHECK (one), format integer NOT NULL)";

/// What the second format adds: how often a message was refused, when it is tried again, and the key that orders it. What a
/// process of the first version commits has all of it, too.
const SECOND: &str = "
ALTER TABLE _updraft_outbox
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN due timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN problem text,
    ADD COLUMN key text GENERATED ALWAYS AS (head::json -> 'attributes' ->> 'partitionkey') STORED;
CREATE INDEX _updraft_outbox_refused ON _updraft_outbox (kind, resource, key, number) WHERE attempts > 0";

/// What the third format adds: how many of the attempts were refusals, and not outages; and an index of what is new and one of
/// what waits.
const THIRD: &str = "
ALTER TABLE _updraft_outbox ADD COLUMN refusals integer NOT NULL DEFAULT 0;
CREATE INDEX _updraft_outbox_new ON _updraft_outbox (number) WHERE attempts = 0;
CREATE INDEX _updraft_outbox_due ON _updraft_outbox (due, number) WHERE attempts > 0;";

/// All that is run to make the tables.
#[allow(dead_code, reason = "for tests' databases, which a cloud's program has none of")]
pub(crate) const TABLES: [&str; 3] = [FIRST, SECOND, THIRD];

/// Makes the outbox's tables, or brings them to this format. Under the migrations' lock.
pub(super) async fn create(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // Asked first, so that a role that may not create tables can run where they are.
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('_updraft_relay') IS NOT NULL").fetch_one(&mut *connection).await?;
    let format = match there {
        true => sqlx::query_scalar("SELECT format FROM _updraft_relay").fetch_one(&mut *connection).await?,
        false => 0,
    };
    if format >= FORMAT {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    if format == 0 {
        sqlx::raw_sql(FIRST).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO _updraft_relay VALUES (true, $1)").bind(FORMAT).execute(&mut *transaction).await?;
    } else {
        // The lead first, as relays take both.
        sqlx::query("UPDATE _updraft_relay SET format = $1").bind(FORMAT).execute(&mut *transaction).await?;
    }
    if format < 2 {
        sqlx::raw_sql(SECOND).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql(THIRD).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// A message's metadata, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace_state: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    /// The attributes again, as a text of JSON, if one holds a NUL: PostgreSQL can't read that, and there it is replaced above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<String>,
}

impl Head {
    fn of(message: &Message) -> serde_json::Result<Head> {
        let Message { id, source, time, schema, trace, attributes, body: _ } = message.clone();
        let strange = attributes.values().any(|value| value.contains('\0'));
        let exact = strange.then(|| serde_json::to_string(&attributes)).transpose()?;
        let attributes = attributes.into_iter().map(|(name, value)| (name, without_nul(&value))).collect();
        let trace_state = trace.as_ref().and_then(|trace| trace.state.as_deref()).map(str::to_owned);
        let trace = trace.map(|trace| trace.parent());
        Ok(Head { id, source, time: time.to_string(), schema, trace, trace_state, attributes, exact })
    }

    /// As they were sent.
    pub(super) fn attributes(&self) -> serde_json::Result<BTreeMap<String, String>> {
        self.exact.as_ref().map_or_else(|| Ok(self.attributes.clone()), |exact| serde_json::from_str(exact))
    }
}

/// A text of PostgreSQL holds no NUL.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Puts a message into the outbox, within a transaction; its commit wakes the relays. The message's number.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    channel: Channel,
    message: &Message,
) -> Result<i64, sqlx::Error> {
    let head = Head::of(message).and_then(|head| serde_json::to_string(&head));
    let head = head.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let (kind, resource) = match channel {
        Channel::Queue(id) => ("queue", id),
        Channel::Topic(id) => ("topic", id),
    };
    let insert = "WITH held AS (
                      INSERT INTO _updraft_outbox (kind, resource, head, body) VALUES ($1, $2, $3, $4) RETURNING number)
                  SELECT number FROM held, LATERAL pg_notify($5, '')";
    let insert = sqlx::query_scalar(insert).bind(kind).bind(resource).bind(head).bind(&message.body[..]).bind(CHANNEL);
    insert.fetch_one(connection).await
}

/// A message of the outbox.
pub(super) struct Row {
    pub(super) number: i64,
    pub(super) kind: String,
    pub(super) resource: String,
    /// What orders it.
    pub(super) key: Option<String>,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// How often it was not taken, for whatever reason.
    pub(super) attempts: i32,
    /// How often of these it was refused.
    pub(super) refusals: i32,
}

/// The condition that no message before this one and of its key waits.
macro_rules! unheld {
    () => {
        "NOT EXISTS (
            SELECT FROM _updraft_outbox AS earlier WHERE earlier.attempts > 0 AND earlier.number < one.number
            AND (earlier.kind, earlier.resource, earlier.key) = (one.kind, one.resource, one.key))"
    };
}

/// A list of rows.
macro_rules! rows {
    ($which:literal) => {
        concat!(
            "SELECT number, kind, resource, key, head, body, attempts, refusals FROM _updraft_outbox AS one WHERE ",
            unheld!(),
            $which
        )
    };
}

/// Those that nobody tried yet, in their order.
pub(super) async fn new(connection: &mut PgConnection, most: i64) -> Result<Vec<Row>, sqlx::Error> {
    read(connection, rows!(" AND attempts = 0 ORDER BY number LIMIT $1"), most).await
}

/// Those that were tried before and are due.
pub(super) async fn due(connection: &mut PgConnection, most: i64) -> Result<Vec<Row>, sqlx::Error> {
    read(connection, rows!(" AND attempts > 0 AND due <= now() ORDER BY due, number LIMIT $1"), most).await
}

async fn read(connection: &mut PgConnection, select: &'static str, most: i64) -> Result<Vec<Row>, sqlx::Error> {
    type Columns = (i64, String, String, Option<String>, String, Vec<u8>, i32, i32);
    let rows: Vec<Columns> = sqlx::query_as(select).bind(most).fetch_all(connection).await?;
    let row = |(number, kind, resource, key, head, body, attempts, refusals)| Row {
        number,
        kind,
        resource,
        key,
        head,
        body,
        attempts,
        refusals,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Whether any can be tried now or within this time.
pub(super) async fn any_within(connection: &mut PgConnection, time: Duration) -> Result<bool, sqlx::Error> {
    let any = concat!(
        "SELECT EXISTS (SELECT FROM _updraft_outbox AS one WHERE attempts = 0 AND ",
        unheld!(),
        ") OR EXISTS (SELECT FROM _updraft_outbox WHERE attempts > 0 AND due < now() + $1 * interval '1 second')"
    );
    sqlx::query_scalar(any).bind(time.as_secs_f64()).fetch_one(connection).await
}

/// Whether one of these has not been tried, and does not wait for another of its key.
#[allow(dead_code, reason = "only a function of AWS Lambda asks")]
pub(super) async fn any_of(connection: &mut PgConnection, numbers: &[i64]) -> Result<bool, sqlx::Error> {
    let any = concat!(
        "SELECT EXISTS (SELECT FROM _updraft_outbox AS one WHERE number = ANY($1) AND attempts = 0 AND ",
        unheld!(),
        ")"
    );
    sqlx::query_scalar(any).bind(numbers).fetch_one(connection).await
}

/// Has a message wait, since it was not taken.
pub(super) async fn wait(
    connection: &mut PgConnection,
    row: &Row,
    refused: bool,
    problem: &str,
    pause: Duration,
) -> Result<(), sqlx::Error> {
    let update = "
        UPDATE _updraft_outbox SET attempts = attempts + 1, refusals = refusals + $2, problem = $3,
            due = clock_timestamp() + $4 * interval '1 second' WHERE number = $1";
    let update = sqlx::query(update).bind(row.number).bind(i32::from(refused));
    let update = update.bind(without_nul(problem)).bind(pause.as_secs_f64());
    update.execute(connection).await.map(drop)
}
