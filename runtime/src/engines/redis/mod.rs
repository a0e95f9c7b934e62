//! Stores on Redis: one hash `{v: value, n: version}` per key, compare-and-swap by script, time to live by Redis.
//!
//! Versions come from one counter per store, which outlives deleted entries, so that a version is never seen twice. Keys
//! are `<prefix>e:<key>`, the counter `<prefix>versions`. A store with partitions has an index for each, the sorted set
//! `<prefix>p:<partition>` of its keys' other parts, all of one score, so that Redis orders them by their bytes; entry and
//! index change in one script.

mod connection;

pub use connection::Connection;

use crate::engine::{
    BoxFuture, EngineError, EngineResult, Entry, Expect, Page, Span, StoreEngine, foreign_cursor, hex, unhex,
};
use crate::registry::Partition;
use bytes::Bytes;
use redis::Script;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::defaults::{STORE_GETS_AT_ONCE, STORE_PUTS_AT_ONCE};

/// Writes entries if what is expected of each holds; how many it wrote. KEYS: counter, then for each the entry and, in an
/// ordered store, its partition's index. ARGV: expectation, milliseconds to live or 0, `1` in an ordered store, then for each
/// the value and there its key within the partition. If the counter was lost (evicted), the entry's own version keeps
/// versions rising.
///
/// An index lives as long as the longest-lived of its entries; what it names beyond its time, scans forget.
const PUT: &str = "
local ordered, written = ARGV[3] == '1', 0
local step = ordered and 2 or 1
for at = 0, (#KEYS - 1) / step - 1 do
    local entry = KEYS[2 + at * step]
    local found = redis.call('HGET', entry, 'n')
    local holds = ARGV[1] == 'anything' or found == ARGV[1]
    if ARGV[1] == 'absent' then holds = not found end
    if holds then
        local version = redis.call('INCR', KEYS[1])
        if found and version <= tonumber(found) then
            version = tonumber(found) + 1
            redis.call('SET', KEYS[1], string.format('%.0f', version))
        end
        redis.call('HSET', entry, 'v', ARGV[4 + at * step], 'n', string.format('%.0f', version))
        if ARGV[2] == '0' then
            redis.call('PERSIST', entry)
        else
            redis.call('PEXPIRE', entry, ARGV[2])
        end
        if ordered then
            local index = KEYS[3 + at * step]
            local left = redis.call('PTTL', index)
            redis.call('ZADD', index, 0, ARGV[5 + at * step])
            if ARGV[2] == '0' then
                redis.call('PERSIST', index)
            elseif left ~= -1 and left < tonumber(ARGV[2]) then
                redis.call('PEXPIRE', index, ARGV[2])
            end
        end
        written = written + 1
    end
end
return written
";

/// Deletes if what is expected holds; 1 if an entry was deleted. KEYS: the entry and, in an ordered store, its index. ARGV:
/// expectation, key within the partition.
const DELETE: &str = "
if ARGV[1] == 'absent' then return 0 end
if ARGV[1] ~= 'anything' and redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then return 0 end
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[2]) end
return redis.call('DEL', KEYS[1])
";

/// Takes what is past its time out of an index. KEYS: the index, entries. ARGV: their keys within the partition.
const FORGET: &str = "
for at = 2, #KEYS do
    if redis.call('EXISTS', KEYS[at]) == 0 then redis.call('ZREM', KEYS[1], ARGV[at - 1]) end
end
return 0
";

/// How many keys the server walks over at a time, at least.
const STRIDE: usize = 256;

/// A store, or several under one prefix's roof.
pub struct RedisStore {
    connection: Arc<Connection>,
    prefix: Option<String>,
    app: String,
    partition: Option<Partition>,
    put: Script,
    delete: Script,
    forget: Script,
}

impl RedisStore {
    /// Stores of `app` on this connection. Every key starts with `prefix`; by default with `<app>:<store>:`.
    pub fn new(connection: Arc<Connection>, app: impl Into<String>, prefix: Option<String>) -> Self {
        let (put, delete, forget) = (Script::new(PUT), Script::new(DELETE), Script::new(FORGET));
        RedisStore { connection, prefix, app: app.into(), partition: None, put, delete, forget }
    }

    /// Whose keys begin with a partition, within which they can be scanned in order. (A store that is given partitions later
    /// finds in its scans what was written since.)
    #[must_use]
    pub fn partitioned(mut self, partition: Partition) -> Self {
        self.partition = Some(partition);
        self
    }

    fn prefix(&self, store: &str) -> String {
        self.prefix.clone().unwrap_or_else(|| format!("{}:{store}:", self.app))
    }

    fn counter(&self, store: &str) -> Vec<u8> {
        format!("{}versions", self.prefix(store)).into_bytes()
    }

    fn entries(&self, store: &str) -> Vec<u8> {
        format!("{}e:", self.prefix(store)).into_bytes()
    }

    fn entry(&self, store: &str, key: &[u8]) -> Vec<u8> {
        [&self.entries(store), key].concat()
    }

    fn index(&self, store: &str, partition: &[u8]) -> Vec<u8> {
        [format!("{}p:", self.prefix(store)).as_bytes(), partition].concat()
    }

    /// In an ordered store: the index that names this key, and by what.
    fn indexed<'a>(&self, store: &str, key: &'a [u8]) -> EngineResult<Option<(Vec<u8>, &'a [u8])>> {
        let Some(partition) = self.partition else { return Ok(None) };
        let (partition, rest) = partition(key).and_then(|length| key.split_at_checked(length)).ok_or_else(|| {
            EngineError::Misconfigured(format!("a key of the store `{store}` does not begin with its partition"))
        })?;
        Ok(Some((self.index(store, partition), rest)))
    }

    /// How many were written.
    async fn write(
        &self,
        store: &str,
        entries: &[(&[u8], &[u8])],
        expect: Expect,
        ttl: Option<Duration>,
    ) -> EngineResult<usize> {
        // A time to live below Redis's millisecond still ends; none at all is written as 0.
        let millis = ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52));
        let ordered: &[u8] = if self.partition.is_some() { b"1" } else { b"0" };
        let mut keys = vec![self.counter(store)];
        let (expect, millis) = (expectation(expect), millis.to_string());
        let mut arguments: Vec<&[u8]> = vec![expect.as_bytes(), millis.as_bytes(), ordered];
        for (key, value) in entries {
            keys.push(self.entry(store, key));
            arguments.push(value);
            if let Some((index, rest)) = self.indexed(store, key)? {
                keys.push(index);
                arguments.push(rest);
            }
        }
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        self.connection.script(&self.put, PUT, &keys, &arguments).await
    }

    /// The entries of these keys.
    async fn fetch(&self, store: &str, keys: &[Vec<u8>]) -> EngineResult<Vec<Option<Entry>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("HMGET").arg(self.entry(store, key)).arg("v").arg("n");
        }
        let found: Vec<Fields> = self.connection.read_all(&pipeline).await?;
        Ok(found.into_iter().map(entry).collect())
    }
}

type Fields = (Option<Vec<u8>>, Option<u64>);

fn entry((value, version): Fields) -> Option<Entry> {
    Some(Entry { value: Bytes::from(value?), version: version? })
}

fn expectation(expect: Expect) -> String {
    match expect {
        Expect::Anything => "anything".to_owned(),
        Expect::Absent => "absent".to_owned(),
        Expect::Version(version) => version.to_string(),
    }
}

impl StoreEngine for RedisStore {
    fn system(&self) -> &'static str {
        "redis"
    }

    fn get<'a>(&'a self, store: &'a str, key: &'a [u8]) -> BoxFuture<'a, EngineResult<Option<Entry>>> {
        Box::pin(async move {
            let mut get = redis::cmd("HMGET");
            get.arg(self.entry(store, key)).arg("v").arg("n");
            Ok(entry(self.connection.read(&get).await?))
        })
    }

    fn get_all<'a>(&'a self, store: &'a str, keys: &'a [Vec<u8>]) -> BoxFuture<'a, EngineResult<Vec<Option<Entry>>>> {
        Box::pin(async move {
            let mut entries = Vec::with_capacity(keys.len());
            for some in keys.chunks(STORE_GETS_AT_ONCE) {
                entries.extend(self.fetch(store, some).await?);
            }
            Ok(entries)
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
        Box::pin(async move { Ok(self.write(store, &[(key, &value)], expect, ttl).await? == 1) })
    }

    fn put_all<'a>(
        &'a self,
        store: &'a str,
        entries: Vec<(Vec<u8>, Bytes)>,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            let entries: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
            // A script holds up everyone else: so not all in one.
            for some in entries.chunks(STORE_PUTS_AT_ONCE) {
                self.write(store, some, Expect::Anything, ttl).await?;
            }
            Ok(())
        })
    }

    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let (entry, expect) = (self.entry(store, key), expectation(expect));
            let indexed = self.indexed(store, key)?;
            let (mut keys, mut arguments): (Vec<&[u8]>, Vec<&[u8]>) = (vec![&entry], vec![expect.as_bytes()]);
            if let Some((index, rest)) = &indexed {
                keys.push(index);
                arguments.push(rest);
            }
            self.connection.script(&self.delete, DELETE, &keys, &arguments).await
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
            let (entries, limit) = (self.entries(store), limit.max(1));
            let mut place = match &from {
                None => Place { cursor: Some(0), keys: BTreeSet::new() },
                Some(from) => Place::read(from)?,
            };
            let mut items = Vec::new();
            while items.len() < limit {
                if place.keys.is_empty() {
                    let Some(cursor) = place.cursor else { break };
                    // A page is not filled from many strides, nor is an empty one given.
                    if !items.is_empty() {
                        break;
                    }
                    let mut scan = redis::cmd("SCAN");
                    let pattern = [&literal(&entries)[..], &literal(prefix), b"*"].concat();
                    scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(limit.max(STRIDE));
                    let (cursor, keys): (u64, Vec<Vec<u8>>) = self.connection.read(&scan).await?;
                    place.cursor = (cursor != 0).then_some(cursor);
                    place.keys = keys.into_iter().map(|key| key[entries.len()..].to_vec()).collect();
                    continue;
                }
                let room = limit - items.len();
                let keys: Vec<Vec<u8>> = std::iter::from_fn(|| place.keys.pop_first()).take(room).collect();
                let found = self.fetch(store, &keys).await?;
                items.extend(keys.into_iter().zip(found).filter_map(|(key, entry)| Some((key, entry?))));
            }
            Ok(Page { items, next: place.write() })
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
            if self.partition.is_none() {
                return Err(EngineError::Misconfigured(format!("the store `{store}` is declared without a partition")));
            }
            let (index, limit) = (self.index(store, &span.partition), limit.max(1));
            let mut rest = match &from {
                Some(cursor) => span.after(&unhex(cursor).ok_or_else(foreign_cursor)?),
                None => span.clone(),
            };
            loop {
                let command = if span.reversed { "ZREVRANGEBYLEX" } else { "ZRANGEBYLEX" };
                let (low, high) = (edge(&rest.from, &span.partition, b"-")?, edge(&rest.to, &span.partition, b"+")?);
                let (first, last) = if span.reversed { (high, low) } else { (low, high) };
                let mut range = redis::cmd(command);
                range.arg(&index).arg(first).arg(last).arg("LIMIT").arg(0).arg(limit);
                let members: Vec<Vec<u8>> = self.connection.read(&range).await?;
                let keys: Vec<Vec<u8>> = members.iter().map(|rest| [&span.partition[..], rest].concat()).collect();
                let found = self.fetch(store, &keys).await?;
                let full = members.len() == limit;
                let last = keys.last().cloned();
                let (mut items, mut gone) = (Vec::new(), Vec::new());
                for ((key, member), entry) in keys.into_iter().zip(&members).zip(found) {
                    match entry {
                        Some(entry) => items.push((key, entry)),
                        None => gone.push((self.entry(store, &key), member)),
                    }
                }
                if !gone.is_empty() {
                    let mut keys: Vec<&[u8]> = vec![&index];
                    keys.extend(gone.iter().map(|(entry, _)| &entry[..]));
                    let arguments: Vec<&[u8]> = gone.iter().map(|(_, member)| &member[..]).collect();
                    let _: usize = self.connection.script(&self.forget, FORGET, &keys, &arguments).await?;
                }
                match last.filter(|_| full) {
                    Some(last) if items.is_empty() => rest = span.after(&last),
                    last => return Ok(Page { items, next: last.map(|last| hex(&last)) }),
                }
            }
        })
    }
}

/// A bound as `ZRANGEBYLEX` takes it. Bounds begin with the partition, the index's members go on after it.
fn edge(bound: &Bound<Vec<u8>>, partition: &[u8], unbounded: &[u8]) -> EngineResult<Vec<u8>> {
    let (mark, key) = match bound {
        Bound::Unbounded => return Ok(unbounded.to_vec()),
        Bound::Included(key) => (b'[', key),
        Bound::Excluded(key) => (b'(', key),
    };
    let rest = key.strip_prefix(partition).ok_or_else(foreign_cursor)?;
    Ok([&[mark], rest].concat())
}

/// Where a scan goes on: the server's cursor, and keys that it gave beyond a page's limit. (It gives as many as it likes.)
struct Place {
    cursor: Option<u64>,
    keys: BTreeSet<Vec<u8>>,
}

impl Place {
    fn read(text: &str) -> EngineResult<Self> {
        let unreadable = foreign_cursor;
        let mut parts = text.split('.');
        let cursor = match parts.next() {
            Some("-") => None,
            cursor => Some(cursor.and_then(|cursor| cursor.parse().ok()).ok_or_else(unreadable)?),
        };
        let keys = parts.map(unhex).collect::<Option<_>>().ok_or_else(unreadable)?;
        Ok(Place { cursor, keys })
    }

    /// Nothing at the end.
    fn write(&self) -> Option<String> {
        if self.cursor.is_none() && self.keys.is_empty() {
            return None;
        }
        let mut text = self.cursor.map_or_else(|| "-".to_owned(), |cursor| cursor.to_string());
        for key in &self.keys {
            text.push('.');
            text.push_str(&hex(key));
        }
        Some(text)
    }
}

/// A pattern that matches these bytes alone.
fn literal(bytes: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}
