//! The outbox: messages that are committed with what a handler wrote. [`super::relay`] hands them on.
//!
//! A message is a row of `_updraft_outbox`, in the schema that the connection creates its tables in; the one row of
//! `_updraft_relay` says in which format that table is, and its lock is the lead among relays.

use crate::engine::{Channel, Message};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;

/// The format of the outbox's tables: a process leaves a newer one alone.
pub(super) const FORMAT: i32 = 2;
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

/// All that is run to make the tables.
#[allow(dead_code, reason = "for tests' databases, which a cloud's program has none of")]
pub(crate) const TABLES: [&str; 2] = [FIRST, SECOND];

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
    sqlx::raw_sql(SECOND).execute(&mut *transaction).await?;
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
    pub(super) attributes: BTreeMap<String, String>,
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
