//! Entries as items of a table.

use super::marked;
use crate::engine::{EngineError, EngineResult, Entry};
use crate::engines::aws::Failure;
use crate::registry::Partition;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use updraft_wire::aws::table::{
    EXPIRES, MARK, PARTITION, PARTITION_LIMIT_BYTES, SORT, SORT_LIMIT_BYTES, UNTIL, VALUE, VERSION,
};

/// DynamoDB's limit for an item, its attributes' names included.
const ITEM_LIMIT_BYTES: usize = 400 * 1024;
/// All names, all numbers and both marks, at their longest.
const AROUND_BYTES: usize = 128;
/// The longest time to live: 142,000 years.
const LONGEST_MILLIS: u64 = 1 << 52;

/// A store's table.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) partition: Option<Partition>,
}

impl Table {
    /// A key's partition and what follows it, in a store that has partitions.
    pub(super) fn split<'a>(&self, key: &'a [u8]) -> EngineResult<(&'a [u8], Option<&'a [u8]>)> {
        let Some(partition) = self.partition else { return Ok((key, None)) };
        let split = partition(key).and_then(|length| key.split_at_checked(length));
        let (partition, rest) = split.ok_or_else(|| {
            EngineError::Misconfigured(format!("a key of the table `{}` does not begin with its partition", self.name))
        })?;
        Ok((partition, Some(rest)))
    }

    /// An item's key.
    pub(super) fn key(&self, key: &[u8]) -> EngineResult<Value> {
        let (partition, rest) = self.split(key)?;
        for (part, limit) in [(Some(partition), PARTITION_LIMIT_BYTES), (rest, SORT_LIMIT_BYTES)] {
            if let Some(bytes) = part.map(|part| part.len() + 1).filter(|bytes| *bytes > limit) {
                return Err(EngineError::TooLarge { bytes, limit });
            }
        }
        let mut item = Map::from_iter([(PARTITION.to_owned(), marked(partition))]);
        item.extend(rest.map(|rest| (SORT.to_owned(), marked(rest))));
        Ok(item.into())
    }

    /// The key of an item, or of a place in a scan.
    pub(super) fn key_of(&self, item: &Value) -> EngineResult<Vec<u8>> {
        let part = |name| {
            let bytes = bytes_of(&item[name])?;
            bytes.strip_prefix(&[MARK]).map(<[u8]>::to_vec)
        };
        let rest = match self.partition {
            None => Some(Vec::new()),
            Some(_) => part(SORT),
        };
        let both = part(PARTITION).zip(rest).map(|(partition, rest)| [partition, rest].concat());
        both.ok_or_else(|| strange("a key"))
    }

    pub(super) fn explain(&self, failure: &Failure) -> EngineError {
        failure.explained(&format!("the table `{}`", self.name))
    }
}

/// Now, in milliseconds since 1970.
pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When an entry that is written now ends, in milliseconds since 1970.
pub(super) fn expires(ttl: Option<Duration>) -> Option<u64> {
    let millis = u64::try_from(ttl?.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST_MILLIS);
    Some(now_millis() + millis)
}

/// An item to write.
pub(super) fn write_of(table: &Table, key: &[u8], value: &[u8], until: Option<u64>) -> EngineResult<Value> {
    let bytes = key.len() + value.len() + AROUND_BYTES;
    if bytes > ITEM_LIMIT_BYTES {
        return Err(EngineError::TooLarge { bytes, limit: ITEM_LIMIT_BYTES });
    }
    // Random: of all writes of a key no two have the same, whatever was deleted between them, and nobody has to count.
    let (one, other) = uuid::Uuid::new_v4().as_u64_pair();
    let version = (one ^ other).max(1);
    let mut item = table.key(key)?;
    item[VALUE] = bytes_value(value);
    item[VERSION] = number(version);
    if let Some(until) = until {
        item[UNTIL] = number(until);
        item[EXPIRES] = number(until.div_ceil(1000));
    }
    Ok(item)
}

/// The entry that an item holds, unless it is past its time at `now`.
pub(super) fn entry(item: &Value, now: u64) -> EngineResult<Option<Entry>> {
    if !item[UNTIL].is_null() && number_of(&item[UNTIL]).ok_or_else(|| strange("a time"))? <= now {
        return Ok(None);
    }
    let value = bytes_of(&item[VALUE]).ok_or_else(|| strange("a value"))?;
    let version = number_of(&item[VERSION]).ok_or_else(|| strange("a version"))?;
    Ok(Some(Entry { value: Bytes::from(value), version }))
}

pub(super) fn bytes_value(bytes: &[u8]) -> Value {
    json!({ "B": STANDARD.encode(bytes) })
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(value.get("B")?.as_str()?).ok()
}

pub(super) fn number(number: u64) -> Value {
    json!({ "N": number.to_string() })
}

fn number_of(value: &Value) -> Option<u64> {
    value.get("N")?.as_str()?.parse().ok()
}

/// Of an item that is none of ours.
fn strange(what: &str) -> EngineError {
    EngineError::Misconfigured(format!("the table holds an item that lacks {what} of ours"))
}
