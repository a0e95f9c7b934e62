//! Stores on Redis: one hash `{v: value, n: version}` per key, compare-and-swap by script, time to live by Redis.
//!
//! Versions come from one counter per store, which outlives deleted entries, so that a version is never seen twice. Keys
//! are `<prefix>e:<key>`, the counter `<prefix>versions`.

mod connection;

pub use connection::Connection;

use crate::engine::{BoxFuture, EngineResult, Entry, Expect, Page, StoreEngine};
use bytes::Bytes;
use redis::Script;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Writes if what is expected holds; 1 or 0. KEYS: entry, counter. ARGV: value, expectation, milliseconds to live or 0. If
/// the counter was lost (evicted), the entry's own version keeps versions rising.
const PUT: &str = "
local found = redis.call('HGET', KEYS[1], 'n')
if ARGV[2] == 'absent' then
    if found then return 0 end
elseif ARGV[2] ~= 'anything' and found ~= ARGV[2] then
    return 0
end
local version = redis.call('INCR', KEYS[2])
if found and version <= tonumber(found) then
    version = tonumber(found) + 1
    redis.call('SET', KEYS[2], string.format('%.0f', version))
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', string.format('%.0f', version))
if ARGV[3] == '0' then
    redis.call('PERSIST', KEYS[1])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
";

/// Deletes if what is expected holds; 1 if an entry was deleted.
const DELETE: &str = "
if ARGV[1] == 'absent' then return 0 end
if ARGV[1] ~= 'anything' and redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
";

/// How many keys the server walks over at a time, at least.
const STRIDE: usize = 256;

/// A store, or several under one prefix's roof.
pub struct RedisStore {
    connection: Arc<Connection>,
    prefix: Option<String>,
    app: String,
    put: Script,
    delete: Script,
}

impl RedisStore {
    /// Stores of `app` on this connection. Every key starts with `prefix`; by default with `<app>:<store>:`.
    pub fn new(connection: Arc<Connection>, app: impl Into<String>, prefix: Option<String>) -> Self {
        let (put, delete) = (Script::new(PUT), Script::new(DELETE));
        RedisStore { connection, prefix, app: app.into(), put, delete }
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

    fn put<'a>(
        &'a self,
        store: &'a str,
        key: &'a [u8],
        value: Bytes,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            // A time to live below Redis's millisecond still ends; none at all is written as 0.
            let millis = ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52));
            let (entry, counter) = (self.entry(store, key), self.counter(store));
            let (expect, millis) = (expectation(expect), millis.to_string());
            let arguments: [&[u8]; 3] = [&value, expect.as_bytes(), millis.as_bytes()];
            self.connection.script(&self.put, PUT, &[&entry, &counter], &arguments).await
        })
    }

    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let (entry, expect) = (self.entry(store, key), expectation(expect));
            self.connection.script(&self.delete, DELETE, &[&entry], &[expect.as_bytes()]).await
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
                let mut pipeline = redis::pipe();
                for key in &keys {
                    pipeline.cmd("HMGET").arg([&entries[..], key].concat()).arg("v").arg("n");
                }
                let found: Vec<Fields> = self.connection.read_all(&pipeline).await?;
                items.extend(keys.into_iter().zip(found).filter_map(|(key, fields)| Some((key, entry(fields)?))));
            }
            Ok(Page { items, next: place.write() })
        })
    }
}

/// Where a scan goes on: the server's cursor, and keys that it gave beyond a page's limit. (It gives as many as it likes.)
struct Place {
    cursor: Option<u64>,
    keys: BTreeSet<Vec<u8>>,
}

impl Place {
    fn read(text: &str) -> EngineResult<Self> {
        let unreadable = || crate::engine::EngineError::Other("this is no place in a scan".into());
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
            text.extend(key.iter().map(|byte| format!("{byte:02x}")));
        }
        Some(text)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
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
