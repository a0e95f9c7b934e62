//! What is in lanes, for whoever looks and changes nothing.

use crate::embedded::Embedded;
use crate::embedded::record::Record;
use crate::embedded::tables::{KEYED, LEASED, MESSAGES, READY};
use crate::engine::{EngineError, EngineResult, Message};
use jiff::Timestamp;
use redb::ReadableTable;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What waits in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Due now.
    pub due: usize,
    /// Held back: by a delay, by a retry's pause, or by an earlier message of the same key.
    pub later: usize,
    /// In a handler's hands.
    pub held: usize,
}

impl Depth {
    /// All of them.
    pub fn total(self) -> usize {
        self.due + self.later + self.held
    }
}

impl Embedded {
    /// How many messages wait in a lane.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn depth(&self, lane: &str) -> EngineResult<Depth> {
        let now = self.now().as_microsecond();
        self.read(|transaction| {
            let mut depth = Depth::default();
            for entry in transaction.open_table(READY)?.range((lane, i64::MIN, 0)..=(lane, i64::MAX, u64::MAX))? {
                let due = entry?.0.value().1 <= now;
                *(if due { &mut depth.due } else { &mut depth.later }) += 1;
            }
            depth.held = transaction.open_table(LEASED)?.range((lane, 0)..=(lane, u64::MAX))?.count();
            let mut before: Option<String> = None;
            for entry in transaction.open_table(KEYED)?.range((lane, "", 0)..)? {
                let entry = entry?.0;
                match entry.value() {
                    (other, ..) if other != lane => break,
                    (_, key, _) if before.as_deref() == Some(key) => depth.later += 1,
                    (_, key, _) => before = Some(key.to_owned()),
                }
            }
            Ok(depth)
        })
    }

    /// Whether a lane holds nothing, waiting or held. Looks at one message, however many there are.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn is_empty(&self, lane: &str) -> EngineResult<bool> {
        self.read(|transaction| {
            let messages = transaction.open_table(MESSAGES)?;
            Ok(messages.range((lane, 0)..=(lane, u64::MAX))?.next().transpose()?.is_none())
        })
    }

    /// The messages that wait in a lane, all of them, in the order in which they came.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn waiting(&self, lane: &str) -> EngineResult<Vec<Message>> {
        let records = self.read(|transaction| {
            let mut records = Vec::new();
            for entry in transaction.open_table(MESSAGES)?.range((lane, 0)..=(lane, u64::MAX))? {
                records.push(Record::from_bytes(entry?.1.value()));
            }
            Ok(records)
        })?;
        let message = |record: Record| record.message().map_err(|source| EngineError::Other(Box::new(source)));
        records.into_iter().map(message).collect()
    }

    /// How many messages of a lane are due, counted to `most`, and since when the first of them is.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn due(&self, lane: &str, most: usize) -> EngineResult<Option<(usize, Timestamp)>> {
        let now = self.now().as_microsecond();
        self.read(|transaction| {
            let ready = transaction.open_table(READY)?;
            let mut due = ready.range((lane, i64::MIN, 0)..=(lane, now, u64::MAX))?;
            let Some(first) = due.next().transpose()? else { return Ok(None) };
            let since = Timestamp::from_microsecond(first.0.value().1).unwrap_or(Timestamp::MIN);
            Ok(Some((1 + due.take(most.saturating_sub(1)).count(), since)))
        })
    }

    /// When the first message of a lane is or was due.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn next_due(&self, lane: &str) -> EngineResult<Option<Timestamp>> {
        let first = self.read(|transaction| {
            let ready = transaction.open_table(READY)?;
            let first = ready.range((lane, i64::MIN, 0)..=(lane, i64::MAX, u64::MAX))?.next();
            Ok(first.transpose()?.map(|(key, _)| key.value().1))
        })?;
        Ok(first.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    }

    /// Lanes that hold messages though no handler of this program works them, with how many: a handler was renamed or
    /// removed.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn orphans(&self) -> EngineResult<BTreeMap<String, usize>> {
        self.read(|transaction| {
            let mut orphans = BTreeMap::new();
            let messages = transaction.open_table(MESSAGES)?;
            // From lane to lane, so that those that are worked cost one look each, however long they are.
            let mut next = messages.first()?.map(|(key, _)| key.value().0.to_owned());
            while let Some(lane) = next {
                if self.topology().lane(&lane).is_none() {
                    orphans.insert(lane.clone(), messages.range((&*lane, 0)..=(&*lane, u64::MAX))?.count());
                }
                let behind = (Bound::Excluded((&*lane, u64::MAX)), Bound::Unbounded);
                let entry = messages.range::<(&str, u64)>(behind)?.next().transpose()?;
                next = entry.map(|(key, _)| key.value().0.to_owned());
            }
            Ok(orphans)
        })
    }
}
