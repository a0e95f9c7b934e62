//! Stores: entries with a version and, where asked for, an end of life.

use super::Embedded;
use super::lanes::after;
use super::tables::{EXPIRIES, STORES, Tables};
use crate::engine::{BoxFuture, EngineResult, Entry, Expect, Page, StoreEngine};
use bytes::Bytes;
use redb::ReadableTable;
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
            self.write(move |tables| {
                let (found, old_end) = found(tables, &store, &key, now.as_microsecond())?;
                if !holds(expect, found) {
                    return Ok(false);
                }
                forget_end(tables, &store, &key, old_end)?;
                let version = tables.number();
                tables.stores.insert((store.as_str(), &key[..]), (version, end, &value[..]))?;
                if end != FOREVER {
                    tables.expiries.insert((end, store.as_str(), &key[..]), ())?;
                }
                Ok(true)
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
                Some(cursor) => unhex(cursor).ok_or_else(|| {
                    crate::engine::EngineError::Misconfigured("a page's cursor comes from another scan".into())
                })?,
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
        self.write(move |tables| {
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

fn forget_end(tables: &mut Tables<'_>, store: &str, key: &[u8], end: i64) -> Result<(), redb::Error> {
    if end != FOREVER {
        tables.expiries.remove((end, store, key))?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
