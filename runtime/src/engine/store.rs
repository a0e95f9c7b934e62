//! What keeps stores: entries by key, each with a version.

use super::{BoxFuture, EngineResult, Page};
use bytes::Bytes;
use std::ops::Bound;
use std::time::Duration;

/// A value and the version that a conditional write compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// JSON.
    pub value: Bytes,
    /// Changes with every write of the key; never 0, and never again that of another write of the key.
    pub version: u64,
}

/// What a conditional write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Anything,
    /// No entry.
    Absent,
    /// An entry of this version.
    Version(u64),
}

/// A part of one partition, in the order of its keys. Bounds are whole keys, which begin with the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What every key of the partition begins with, and no key of another does.
    pub partition: Vec<u8>,
    /// Where it begins.
    pub from: Bound<Vec<u8>>,
    /// Where it ends.
    pub to: Bound<Vec<u8>>,
    /// Whether the last comes first.
    pub reversed: bool,
}

impl Span {
    /// What is left of it after the entry at `key`.
    #[must_use]
    pub fn after(&self, key: &[u8]) -> Span {
        let mut rest = self.clone();
        *(if self.reversed { &mut rest.to } else { &mut rest.from }) = Bound::Excluded(key.to_vec());
        rest
    }

    /// Both bounds as a range of keys: of the partition's alone. `None` if no key can lie in it.
    pub fn keys(&self) -> Option<(Bound<Vec<u8>>, Bound<Vec<u8>>)> {
        let (first, last) = key_range(&self.partition);
        let from = if self.from == Bound::Unbounded { first } else { self.from.clone() };
        let to = if self.to == Bound::Unbounded { last } else { self.to.clone() };
        let empty = match (&from, &to) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        };
        (!empty).then_some((from, to))
    }
}

/// The range of all keys that begin with `prefix`.
pub(crate) fn key_range(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    // The next text of that length: the last byte that can be raised is, and what follows it is cut.
    let end = prefix.iter().rposition(|byte| *byte < u8::MAX).map(|at| {
        let mut end = prefix[..=at].to_vec();
        end[at] += 1;
        end
    });
    (Bound::Included(prefix.to_vec()), end.map_or(Bound::Unbounded, Bound::Excluded))
}

/// A key–value store. `store` is the resource's id.
pub trait StoreEngine: Send + Sync + 'static {
    /// What it is, for traces: OpenTelemetry's `db.system.name` (`redis`), or `updraft` for an own one.
    fn system(&self) -> &'static str {
        "updraft"
    }

    /// The entry, unless it is absent or past its time.
    fn get<'a>(&'a self, store: &'a str, key: &'a [u8]) -> BoxFuture<'a, EngineResult<Option<Entry>>>;

    /// [`StoreEngine::get`] of several different keys, in their order. Each is read by itself: not all at one moment.
    fn get_all<'a>(&'a self, store: &'a str, keys: &'a [Vec<u8>]) -> BoxFuture<'a, EngineResult<Vec<Option<Entry>>>>;

    /// Writes if `expect` holds; whether it did. `ttl` is how long the entry lives.
    fn put<'a>(
        &'a self,
        store: &'a str,
        key: &'a [u8],
        value: Bytes,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<bool>>;

    /// Writes entries of several different keys, whatever was there. Each is written whole or not at all; on an error some
    /// may have been written.
    fn put_all<'a>(
        &'a self,
        store: &'a str,
        entries: Vec<(Vec<u8>, Bytes)>,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<()>>;

    /// Deletes if `expect` holds; whether an entry was deleted.
    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>>;

    /// Entries whose key starts with `prefix`, in pages.
    fn scan<'a>(
        &'a self,
        store: &'a str,
        prefix: &'a [u8],
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>>;

    /// Entries of one partition in the order of their keys, in pages. Only for stores that are declared with a partition,
    /// which the engine was told when it was made.
    fn scan_ordered<'a>(
        &'a self,
        store: &'a str,
        span: &'a Span,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>>;
}

/// Bytes as a page's cursor.
#[allow(dead_code, reason = "a program without a store has no engine that asks")]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a cursor; `None` if it is none.
#[allow(dead_code, reason = "a program without a store has no engine that asks")]
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: char| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.chars().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// What to say of a cursor that is none.
#[allow(dead_code, reason = "a program without a store has no engine that asks")]
pub(crate) fn foreign_cursor() -> super::EngineError {
    super::EngineError::Misconfigured("a page's cursor comes from another scan".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_keys() {
        let end = |prefix: &[u8]| key_range(prefix).1;
        assert_eq!(end(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(end(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!((end(b"\xff"), end(b"")), (Bound::Unbounded, Bound::Unbounded));
    }

    #[test]
    fn a_cursor_comes_back_or_is_refused() {
        assert_eq!(unhex(&hex(b"\0a\xff")).as_deref(), Some(&b"\0a\xff"[..]));
        assert!(unhex("0").is_none() && unhex("zz").is_none() && unhex("ää").is_none());
    }
}
