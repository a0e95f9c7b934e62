//! Stores: entries with a version and, where asked for, an end of life.

use super::Embedded;
use super::lanes::after;
use super::tables::{EXPIRIES, STORES, Tables};
use crate::engine::{BoxFuture, EngineResult, Entry, Expect, Page, Span, StoreEngine, foreign_cursor, hex, unhex};
use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};
use std::ops::Bound;
use std::time::Duration;
use tokio::task::coop::consume_budget;

/// The end of life of an entry that has none.
const FOREVER: i64 = i64::MAX;

impl StoreEngine for Embedded {
    fn get<'a>(&'a self, store: &'a str, key: &'a [u8]) -> BoxFuture<'a, EngineResult<Option<Entry>>> {
        Box::pin(async move {
            let now = self.now().as_microsecond();
            consume_budget().await;
            self.read(|transaction| {
                let stored = transaction.open_table(STORES)?.get((store, key))?;
                Ok(stored.and_then(|stored| alive(stored.value(), now)))
            })
        })
    }

    fn get_all<'a>(&'a self, store: &'a str, keys: &'a [Vec<u8>]) -> BoxFuture<'a, EngineResult<Vec<Option<Entry>>>> {
        Box::pin(async move {
            let now = self.now().as_microsecond();
            consume_budget().await;
            self.read(|transaction| {
                let table = transaction.open_table(STORES)?;
                let mut entries = Vec::with_capacity(keys.len());
                for key in keys {
                    let stored = table.get((store, &key[..]))?;
                    entries.push(stored.and_then(|stored| alive(stored.value(), now)));
                }
                Ok(entries)
            })
        })
    }

    fn put<'a>(
        &'a self,
        store: &'a str,
        key: &'a [u8],
        value: Bytes,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let (store, key, now) = (store.to_owned(), key.to_vec(), self.now());
            let end = ttl.map_or(FOREVER, |ttl| after(now, ttl));
            self.write(move |tables| write(tables, &store, &key, &value, expect, end, now.as_microsecond())).await
        })
    }

    fn put_all<'a>(
        &'a self,
        store: &'a str,
        entries: Vec<(Vec<u8>, Bytes)>,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            let (store, now) = (store.to_owned(), self.now());
            let end = ttl.map_or(FOREVER, |ttl| after(now, ttl));
            self.write(move |tables| {
                for (key, value) in &entries {
                    write(tables, &store, key, value, Expect::Anything, end, now.as_microsecond())?;
                }
                Ok(())
            })
            .await
        })
    }

    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let (store, key, now) = (store.to_owned(), key.to_vec(), self.now().as_microsecond());
            self.write(move |tables| {
                let (found, end) = found(tables, &store, &key, now)?;
                if found.is_none() || !holds(expect, found) {
                    return Ok(false);
                }
                forget_end(tables, &store, &key, end)?;
                tables.stores.remove((store.as_str(), &key[..]))?;
                Ok(true)
            })
            .await
        })
    }

    fn scan<'a>(
        &'a self,
        store: &'a str,
        prefix: &'a [u8],
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        Box::pin(async move {
            let now = self.now().as_microsecond();
            let start = match &from {
                Some(cursor) => unhex(cursor).ok_or_else(foreign_cursor)?,
                None => prefix.to_vec(),
            };
            consume_budget().await;
            self.read(|transaction| {
                let mut page = Page { items: Vec::new(), next: None };
                for entry in transaction.open_table(STORES)?.range((store, &start[..])..)? {
                    let (key, stored) = entry?;
                    let (of, key) = key.value();
                    if of != store || !key.starts_with(prefix) {
                        break;
                    }
                    let Some(entry) = alive(stored.value(), now) else { continue };
                    if page.items.len() == limit.max(1) {
                        page.next = Some(hex(key));
                        break;
                    }
                    page.items.push((key.to_vec(), entry));
                }
                Ok(page)
            })
        })
    }

    fn scan_ordered<'a>(
        &'a self,
        store: &'a str,
        span: &'a Span,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        Box::pin(async move {
            let now = self.now().as_microsecond();
            let rest = match &from {
                Some(cursor) => span.after(&unhex(cursor).ok_or_else(foreign_cursor)?),
                None => span.clone(),
            };
            let mut page = Page { items: Vec::new(), next: None };
            let Some((from, to)) = rest.keys() else { return Ok(page) };
            let from = from.as_ref().map(|key| (store, &key[..]));
            // Where no key can follow the partition's, the store's own end does.
            let end = format!("{store}\0");
            let to = match &to {
                Bound::Unbounded => Bound::Excluded((&*end, &[][..])),
                to => to.as_ref().map(|key| (store, &key[..])),
            };
            consume_budget().await;
            self.read(|transaction| {
                let table = transaction.open_table(STORES)?;
                let mut range = table.range::<(&str, &[u8])>((from, to))?;
                while let Some(entry) = if span.reversed { range.next_back() } else { range.next() } {
                    let (key, stored) = entry?;
                    let (_, key) = key.value();
                    let Some(entry) = alive(stored.value(), now) else { continue };
                    if page.items.len() == limit.max(1) {
                        page.next = page.items.last().map(|(key, _): &(Vec<u8>, Entry)| hex(key));
                        break;
                    }
                    page.items.push((key.to_vec(), entry));
                }
                Ok(page)
            })
        })
    }
}

/// Writes an entry if `expect` holds; whether it did.
fn write(
    tables: &mut Tables<'_>,
    store: &str,
    key: &[u8],
    value: &[u8],
    expect: Expect,
    end: i64,
    now: i64,
) -> Result<bool, redb::Error> {
    let (found, old_end) = found(tables, store, key, now)?;
    if !holds(expect, found) {
        return Ok(false);
    }
    forget_end(tables, store, key, old_end)?;
    let version = tables.number()?;
    tables.stores.insert((store, key), (version, end, value))?;
    if end != FOREVER {
        tables.expiries.insert((end, store, key), ())?;
    }
    Ok(true)
}

impl Embedded {
    /// Removes entries past their end of life (they are invisible already); how many.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn sweep_stores(&self) -> EngineResult<usize> {
        let now = self.now().as_microsecond();
        let any = self.read(|transaction| {
            let first = transaction.open_table(EXPIRIES)?.first()?.map(|(key, _)| key.value().0);
            Ok(first.is_some_and(|end| end <= now))
        })?;
        if !any {
            return Ok(0);
        }
        self.write_soon(move |tables| {
            let mut over = Vec::new();
            for entry in tables.expiries.range(..=(now, "\u{10ffff}", &[][..]))?.take(1000) {
                let key = entry?.0;
                let (end, store, key) = key.value();
                over.push((end, store.to_owned(), key.to_vec()));
            }
            for (end, store, key) in &over {
                tables.expiries.remove((*end, store.as_str(), &key[..]))?;
                tables.stores.remove((store.as_str(), &key[..]))?;
            }
            Ok(over.len())
        })
        .await
    }
}

fn alive((version, end, value): (u64, i64, &[u8]), now: i64) -> Option<Entry> {
    (end > now).then(|| Entry { value: Bytes::copy_from_slice(value), version })
}

/// The version of the live entry, and the end of life of whatever lies there.
fn found(tables: &Tables<'_>, store: &str, key: &[u8], now: i64) -> Result<(Option<u64>, i64), redb::Error> {
    let stored = tables.stores.get((store, key))?;
    Ok(stored.map_or((None, FOREVER), |stored| {
        let (version, end, _) = stored.value();
        ((end > now).then_some(version), end)
    }))
}

fn holds(expect: Expect, found: Option<u64>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::Version(version) => found == Some(version),
    }
}

/// Notes in a store until `end`, whatever is there.
pub(super) fn note(tables: &mut Tables<'_>, store: &str, key: &[u8], end: i64) -> Result<(), redb::Error> {
    write(tables, store, key, b"", Expect::Anything, end, i64::MIN).map(|_| ())
}

/// Whether there is a note.
pub(super) fn noted(transaction: &ReadTransaction, store: &str, key: &[u8], now: i64) -> Result<bool, redb::Error> {
    let stored = transaction.open_table(STORES)?.get((store, key))?;
    Ok(stored.is_some_and(|stored| stored.value().1 > now))
}

fn forget_end(tables: &mut Tables<'_>, store: &str, key: &[u8], end: i64) -> Result<(), redb::Error> {
    if end != FOREVER {
        tables.expiries.remove((end, store, key))?;
    }
    Ok(())
}
