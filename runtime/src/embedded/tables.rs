//! The tables of the state's database, and one transaction over them.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// The format's version, in [`META`] under `format`. A change that an older updraft would misread raises it.
pub(super) const FORMAT: u64 = 2;
/// Before there were [`KEYED`] and [`SENT`]: the same tables, but an updraft that doesn't know these would leave messages lie.
pub(super) const WITHOUT_KEYS: u64 = 1;

/// `format`, and counters that never go back.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// (lane, visible at, number) of every message that waits; of an ordered queue's messages, each key's first alone.
pub(super) const READY: TableDefinition<'_, (&str, i64, u64), ()> = TableDefinition::new("ready");
/// (lane, number) → until when, of every message that a handler holds.
pub(super) const LEASED: TableDefinition<'_, (&str, u64), i64> = TableDefinition::new("leased");
/// (lane, number) → the message, waiting or held.
pub(super) const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");
/// (lane, key, number) of every message of an ordered queue, waiting or held.
pub(super) const KEYED: TableDefinition<'_, (&str, &str, u64), ()> = TableDefinition::new("keyed");
/// (lane, the sender's id) → until when another message of this id is the same.
pub(super) const SENT: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("sent");
/// (until when, lane, the sender's id) of every entry of [`SENT`].
pub(super) const SENT_ENDS: TableDefinition<'_, (i64, &str, &str), ()> = TableDefinition::new("sent-ends");
/// (handler, id) → the dead letter's record as JSON.
pub(super) const DEAD: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("dead-letters");
/// (store, key) → version, end of life, value.
pub(super) const STORES: TableDefinition<'_, (&str, &[u8]), (u64, i64, &[u8])> = TableDefinition::new("stores");
/// (end of life, store, key) of every entry that has one.
pub(super) const EXPIRIES: TableDefinition<'_, (i64, &str, &[u8]), ()> = TableDefinition::new("expiries");
/// (bucket, key) → content type, contents.
pub(super) const BLOBS: TableDefinition<'_, (&str, &str), (Option<&str>, &[u8])> = TableDefinition::new("blobs");
/// Schedule's handler → until when its runs have been looked at.
pub(super) const SCHEDULES: TableDefinition<'_, &str, i64> = TableDefinition::new("schedules");

/// All tables in one write transaction: opened once for all jobs of a commit.
pub(super) struct Tables<'txn> {
    meta: Table<'txn, &'static str, u64>,
    /// The last number given to a message or a store's entry; written back at the end.
    counter: u64,
    pub(super) ready: Table<'txn, (&'static str, i64, u64), ()>,
    pub(super) leased: Table<'txn, (&'static str, u64), i64>,
    pub(super) messages: Table<'txn, (&'static str, u64), &'static [u8]>,
    pub(super) keyed: Table<'txn, (&'static str, &'static str, u64), ()>,
    pub(super) sent: Table<'txn, (&'static str, &'static str), i64>,
    pub(super) sent_ends: Table<'txn, (i64, &'static str, &'static str), ()>,
    pub(super) dead: Table<'txn, (&'static str, &'static str), &'static [u8]>,
    pub(super) stores: Table<'txn, (&'static str, &'static [u8]), (u64, i64, &'static [u8])>,
    pub(super) expiries: Table<'txn, (i64, &'static str, &'static [u8]), ()>,
    pub(super) blobs: Table<'txn, (&'static str, &'static str), (Option<&'static str>, &'static [u8])>,
    pub(super) schedules: Table<'txn, &'static str, i64>,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        let meta = transaction.open_table(META)?;
        let counter = meta.get("counter")?.map_or(0, |counter| counter.value());
        Ok(Tables {
            meta,
            counter,
            ready: transaction.open_table(READY)?,
            leased: transaction.open_table(LEASED)?,
            messages: transaction.open_table(MESSAGES)?,
            keyed: transaction.open_table(KEYED)?,
            sent: transaction.open_table(SENT)?,
            sent_ends: transaction.open_table(SENT_ENDS)?,
            dead: transaction.open_table(DEAD)?,
            stores: transaction.open_table(STORES)?,
            expiries: transaction.open_table(EXPIRIES)?,
            blobs: transaction.open_table(BLOBS)?,
            schedules: transaction.open_table(SCHEDULES)?,
        })
    }

    /// A number that no message or entry ever had.
    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn format(&self) -> Result<Option<u64>, redb::Error> {
        Ok(self.meta.get("format")?.map(|format| format.value()))
    }

    pub(super) fn set_format(&mut self) -> Result<(), redb::Error> {
        self.meta.insert("format", FORMAT)?;
        Ok(())
    }

    /// Before the commit.
    pub(super) fn finish(mut self) -> Result<(), redb::Error> {
        self.meta.insert("counter", self.counter)?;
        Ok(())
    }
}
