//! The tables of the state's database, and one transaction over them.
//!
//! A new table is one line below, with a number that none ever had. What a job does to the tables by `insert` and `remove`
//! is journalled as it does it, so a new operation needs nothing but the job.

use super::blobs::Record;
use super::logged::{Change, Log, Logged};
use redb::{TableDefinition, WriteTransaction};

/// The format's version, in [`META`] under `format`. A change that an older updraft would misread raises it.
pub(super) const FORMAT: u64 = 4;
/// Before there were [`KEYED`] and [`SENT`]: the same tables, but an updraft that doesn't know these would leave messages lie.
pub(super) const WITHOUT_KEYS: u64 = 1;
/// Before there was a journal: an updraft that doesn't know it would miss what is in it.
pub(super) const WITHOUT_JOURNAL: u64 = 2;
/// Before there were [`OBJECTS`] and [`FILES`]: blobs were in [`BLOBS`].
pub(super) const WITHOUT_FILES: u64 = 3;

macro_rules! tables {
    ($($(#[$doc:meta])* $number:literal $field:ident = $NAME:ident $name:literal: $key:ty => $value:ty;)*) => {
        $($(#[$doc])* pub(super) const $NAME: TableDefinition<'static, $key, $value> = TableDefinition::new($name);)*

        /// All tables in one write transaction: each is opened once, when a job of the commit first needs it.
        pub(super) struct Tables<'txn> {
            /// The last number given to a message or a store's entry, once one is given; written back at the end.
            counter: Option<u64>,
            $(pub(super) $field: Logged<'txn, $key, $value>,)*
        }

        impl<'txn> Tables<'txn> {
            /// `log` gets what is changed.
            pub(super) fn open(transaction: &'txn WriteTransaction, log: &Log) -> Self {
                Tables { counter: None, $($field: Logged::new(transaction, $NAME, $number, log),)* }
            }

            /// Makes those that aren't there.
            pub(super) fn open_all(&self) -> Result<(), redb::Error> {
                $(self.$field.is_empty()?;)*
                Ok(())
            }

            /// Does again what the journal says was done.
            pub(super) fn apply(&mut self, change: &Change<'_>) -> Result<(), redb::Error> {
                match change.table {
                    $($number => self.$field.apply(change),)*
                    other => Err(redb::Error::Corrupted(format!("the journal speaks of a table {other}"))),
                }
            }
        }
    };
}

tables! {
    /// `format`, `checkpoint`, `sequence` (the journal's, at the checkpoint), and counters that never go back.
    0 meta = META "meta": &'static str => u64;
    /// (lane, visible at, number) of every message that waits; of an ordered queue's messages, each key's first alone.
    1 ready = READY "ready": (&'static str, i64, u64) => ();
    /// (lane, number) → until when, of every message that a handler holds.
    2 leased = LEASED "leased": (&'static str, u64) => i64;
    /// (lane, number) → the message, waiting or held.
    3 messages = MESSAGES "messages": (&'static str, u64) => &'static [u8];
    /// (lane, key, number) of every message of an ordered queue, waiting or held.
    4 keyed = KEYED "keyed": (&'static str, &'static str, u64) => ();
    /// (lane, the sender's id) → until when another message of this id is the same.
    5 sent = SENT "sent": (&'static str, &'static str) => i64;
    /// (until when, lane, the sender's id) of every entry of [`SENT`].
    6 sent_ends = SENT_ENDS "sent-ends": (i64, &'static str, &'static str) => ();
    /// (handler, id) → the dead letter's record as JSON.
    7 dead = DEAD "dead-letters": (&'static str, &'static str) => &'static [u8];
    /// (store, key) → version, end of life, value.
    8 stores = STORES "stores": (&'static str, &'static [u8]) => (u64, i64, &'static [u8]);
    /// (end of life, store, key) of every entry that has one.
    9 expiries = EXPIRIES "expiries": (i64, &'static str, &'static [u8]) => ();
    /// (bucket, key) → content type, contents: what an older format kept, until it is taken over.
    10 blobs = BLOBS "blobs": (&'static str, &'static str) => (Option<&'static str>, &'static [u8]);
    /// (bucket, key) → number, written at, size, content type, file, contents unless they are in the file.
    12 objects = OBJECTS "objects": (&'static str, &'static str) => Record<'static>;
    /// The files that [`OBJECTS`] names.
    13 files = FILES "files": &'static str => ();
    /// Schedule's handler → until when its runs have been looked at.
    11 schedules = SCHEDULES "schedules": &'static str => i64;
}

impl Tables<'_> {
    /// A number that no message or entry ever had.
    pub(super) fn number(&mut self) -> Result<u64, redb::Error> {
        let last = match self.counter {
            Some(last) => last,
            None => self.meta.get("counter")?.map_or(0, |counter| counter.value()),
        };
        self.counter = Some(last + 1);
        Ok(last + 1)
    }

    /// Before the commit.
    pub(super) fn finish(mut self) -> Result<(), redb::Error> {
        if let Some(counter) = self.counter {
            self.meta.insert("counter", counter)?;
        }
        Ok(())
    }
}
