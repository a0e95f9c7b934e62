//! A table whose changes are written down as they are made, so that the journal can say what a commit did: one byte for the
//! table, key's and value's lengths as `u32`, key, value. A removal has no value, and [`REMOVED`] for its length.

use redb::{
    AccessGuard, Key, Range, ReadableTable, ReadableTableMetadata, Table, TableDefinition, Value, WriteTransaction,
};
use std::borrow::Borrow;
use std::cell::{OnceCell, RefCell};
use std::ops::RangeBounds;
use std::rc::Rc;

/// The value's length of a removal.
const REMOVED: u32 = u32::MAX;
/// Before key and value.
const PREFIX: usize = 9;

/// What a commit changes. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Log(Option<Rc<RefCell<Vec<u8>>>>);

impl Log {
    /// One that adds to `begun`.
    pub(super) fn new(begun: Vec<u8>) -> Self {
        Log(Some(Rc::new(RefCell::new(begun))))
    }

    /// One that keeps nothing: the state is in memory alone.
    pub(super) fn none() -> Self {
        Log(None)
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |log| RefCell::borrow(log).len())
    }

    /// What was written down, which it forgets.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.as_ref().map(|log| log.take()).unwrap_or_default()
    }

    fn add(&self, table: u8, key: &[u8], value: Option<&[u8]>) {
        let Some(log) = &self.0 else { return };
        let mut log = RefCell::borrow_mut(log);
        log.push(table);
        // Lengths fit: the database takes no key or value of 4 GiB.
        log.extend_from_slice(&(key.len() as u32).to_le_bytes());
        log.extend_from_slice(&value.map_or(REMOVED, |value| value.len() as u32).to_le_bytes());
        log.extend_from_slice(key);
        log.extend_from_slice(value.unwrap_or_default());
    }
}

/// One change, as it lies in a journal.
pub(super) struct Change<'a> {
    pub(super) table: u8,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// The changes of a commit; `None` in the place of one that is cut short.
pub(super) fn changes(mut bytes: &[u8]) -> impl Iterator<Item = Option<Change<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let change = change(bytes);
        bytes = change.as_ref().map_or(&[], |(_, rest)| rest);
        Some(change.map(|(change, _)| change))
    })
}

fn change(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (prefix, rest) = bytes.split_at_checked(PREFIX)?;
    let length = |at: usize| Some(u32::from_le_bytes(prefix.get(at..at + 4)?.try_into().ok()?));
    let (key, value) = (length(1)?, length(5)?);
    let (key, rest) = rest.split_at_checked(key as usize)?;
    let (value, rest) = match value {
        REMOVED => (None, rest),
        value => rest.split_at_checked(value as usize).map(|(value, rest)| (Some(value), rest))?,
    };
    Some((Change { table: prefix[0], key, value }, rest))
}

/// A table that is opened when it is first needed, and whose changes are written down.
pub(super) struct Logged<'txn, K: Key + 'static, V: Value + 'static> {
    transaction: &'txn WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    table: OnceCell<Table<'txn, K, V>>,
    number: u8,
    log: Log,
}

impl<'txn, K: Key + 'static, V: Value + 'static> Logged<'txn, K, V> {
    pub(super) fn new(
        transaction: &'txn WriteTransaction,
        definition: TableDefinition<'static, K, V>,
        number: u8,
        log: &Log,
    ) -> Self {
        Logged { transaction, definition, table: OnceCell::new(), number, log: log.clone() }
    }

    fn table(&self) -> Result<&Table<'txn, K, V>, redb::Error> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(self.definition)?;
        Ok(self.table.get_or_init(|| table))
    }

    fn table_mut(&mut self) -> Result<&mut Table<'txn, K, V>, redb::Error> {
        self.table()?;
        let closed = || redb::Error::Corrupted("a table that was opened is closed".into());
        self.table.get_mut().ok_or_else(closed)
    }

    pub(super) fn get<'k>(&self, key: impl Borrow<K::SelfType<'k>>) -> Result<Option<AccessGuard<'_, V>>, redb::Error> {
        Ok(self.table()?.get(key)?)
    }

    pub(super) fn range<'k, KR: Borrow<K::SelfType<'k>> + 'k>(
        &self,
        range: impl RangeBounds<KR> + 'k,
    ) -> Result<Range<'_, K, V>, redb::Error> {
        Ok(self.table()?.range(range)?)
    }

    pub(super) fn iter(&self) -> Result<Range<'_, K, V>, redb::Error> {
        Ok(self.table()?.iter()?)
    }

    pub(super) fn first(&self) -> Result<Option<(AccessGuard<'_, K>, AccessGuard<'_, V>)>, redb::Error> {
        Ok(self.table()?.first()?)
    }

    pub(super) fn is_empty(&self) -> Result<bool, redb::Error> {
        Ok(self.table()?.is_empty()?)
    }

    pub(super) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, redb::Error> {
        let (key, value) = (key.borrow(), value.borrow());
        self.log.add(self.number, K::as_bytes(key).as_ref(), Some(V::as_bytes(value).as_ref()));
        Ok(self.table_mut()?.insert(key, value)?)
    }

    pub(super) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, redb::Error> {
        let (key, number, log) = (key.borrow(), self.number, self.log.clone());
        let removed = self.table_mut()?.remove(key)?;
        if removed.is_some() {
            log.add(number, K::as_bytes(key).as_ref(), None);
        }
        Ok(removed)
    }

    pub(super) fn apply(&mut self, change: &Change<'_>) -> Result<(), redb::Error> {
        let key = K::from_bytes(change.key);
        let table = self.table_mut()?;
        match change.value {
            Some(value) => table.insert(&key, V::from_bytes(value)).map(drop)?,
            None => table.remove(&key).map(drop)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_can_be_read_back_and_a_cut_is_noticed() {
        let log = Log::new(Vec::new());
        log.add(3, b"key", Some(b"value"));
        log.add(4, b"", Some(b""));
        log.add(5, b"gone", None);
        let bytes = log.take();
        let read: Vec<_> = changes(&bytes).map(|it| it.map(|it| (it.table, it.key, it.value))).collect();
        assert_eq!(
            read,
            [Some((3, &b"key"[..], Some(&b"value"[..]))), Some((4, &[], Some(&[]))), Some((5, &b"gone"[..], None))]
        );
        assert!(changes(&bytes[..bytes.len() - 1]).last().is_some_and(|last| last.is_none()));
        assert_eq!(log.len(), 0);
    }
}
