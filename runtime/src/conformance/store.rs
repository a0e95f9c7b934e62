//! What every store engine must do.

use super::Conditions;
use crate::engine::{Entry, Expect, StoreEngine};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::defaults::STORE_ENTRY_LIMIT_BYTES;

/// All promises of a store, on an engine without entries.
///
/// # Panics
/// At the first that is not kept.
pub async fn store(engine: Arc<dyn StoreEngine>, conditions: &Conditions) {
    let suite = Suite { engine };
    suite.nothing_is_there_at_first().await;
    suite.gives_back_what_was_put().await;
    suite.keys_are_any_bytes().await;
    suite.stores_do_not_meet().await;
    suite.writes_on_conditions().await;
    suite.deletes_on_conditions().await;
    suite.never_gives_a_version_twice().await;
    suite.scans_in_pages().await;
    suite.scans_while_others_write().await;
    suite.forgets_after_its_time(conditions).await;
    suite.one_of_many_inserts_wins().await;
    suite.no_update_is_lost().await;
    suite.takes_and_gives_many_at_once(conditions).await;
}

struct Suite {
    engine: Arc<dyn StoreEngine>,
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

impl Suite {
    async fn get(&self, store: &str, key: &[u8]) -> Option<Entry> {
        let entry = self.engine.get(store, key).await.expect("get");
        assert!(entry.as_ref().is_none_or(|entry| entry.version != 0), "a version is never 0");
        entry
    }

    async fn value(&self, store: &str, key: &[u8]) -> Option<String> {
        let entry = self.get(store, key).await;
        entry.map(|entry| String::from_utf8(entry.value.to_vec()).expect("text"))
    }

    async fn version(&self, store: &str, key: &[u8]) -> u64 {
        self.get(store, key).await.expect("an entry").version
    }

    async fn put(&self, store: &str, key: &[u8], value: &str, expect: Expect) -> bool {
        self.engine.put(store, key, bytes(value), expect, None).await.expect("put")
    }

    /// Everything under a prefix, page by page.
    async fn scan(&self, store: &str, prefix: &[u8], limit: usize) -> BTreeMap<Vec<u8>, Bytes> {
        let (mut found, mut from) = (BTreeMap::new(), None);
        loop {
            let page = self.engine.scan(store, prefix, from, limit).await.expect("scan");
            assert!(page.items.len() <= limit, "{} entries in a page of {limit}", page.items.len());
            for (key, entry) in page.items {
                assert!(key.starts_with(prefix), "{key:?} does not start with {prefix:?}");
                assert_ne!(entry.version, 0);
                found.insert(key, entry.value);
            }
            from = page.next;
            if from.is_none() {
                return found;
            }
        }
    }

    async fn nothing_is_there_at_first(&self) {
        assert_eq!(self.get("empty", b"a").await, None);
        for expect in [Expect::Anything, Expect::Absent, Expect::Version(1)] {
            assert!(!self.engine.delete("empty", b"a", expect).await.expect("delete"), "{expect:?}");
        }
        assert!(self.scan("empty", b"", 10).await.is_empty());
    }

    async fn gives_back_what_was_put(&self) {
        let large = Bytes::from(vec![b'x'; STORE_ENTRY_LIMIT_BYTES - b"key".len()]);
        let odd = Bytes::from_iter(0..=255u8);
        for value in [Bytes::new(), bytes("\"one\""), bytes("2"), odd, large] {
            assert!(self.engine.put("values", b"key", value.clone(), Expect::Anything, None).await.expect("put"));
            assert_eq!(self.get("values", b"key").await.map(|entry| entry.value), Some(value));
        }
        let before = self.version("values", b"key").await;
        self.put("values", b"key", "same", Expect::Anything).await;
        let between = self.version("values", b"key").await;
        self.put("values", b"key", "same", Expect::Anything).await;
        let after = self.version("values", b"key").await;
        assert!(before != between && between != after && before != after, "every write changes the version");
        assert_eq!(self.version("values", b"key").await, after, "reading does not");
    }

    async fn keys_are_any_bytes(&self) {
        let long = vec![b'k'; 1024];
        let keys: [&[u8]; 14] = [
            b"",
            b"a",
            b"A",
            b"a*",
            b"a?",
            b"[ab]",
            b"\\",
            b"a^-",
            b"\0",
            b"\0\0",
            b"\xff",
            b"\xff\xff",
            b"a:b",
            &long,
        ];
        for (number, key) in keys.iter().enumerate() {
            assert!(self.put("keys", key, &number.to_string(), Expect::Absent).await, "{key:?} is taken");
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(self.value("keys", key).await, Some(number.to_string()), "{key:?}");
        }
        for prefix in [&b""[..], b"a", b"a*", b"a?", b"[", b"[ab]", b"\\", b"a^", b"\0", b"\xff", b"\xff\xff", b"zz"] {
            let expected: BTreeSet<_> = keys.iter().filter(|key| key.starts_with(prefix)).map(|k| k.to_vec()).collect();
            let found: BTreeSet<_> = self.scan("keys", prefix, 3).await.into_keys().collect();
            assert_eq!(found, expected, "prefix {prefix:?}");
        }
    }

    async fn stores_do_not_meet(&self) {
        self.put("one", b"key", "1", Expect::Anything).await;
        assert_eq!(self.get("one-more", b"key").await, None);
        assert!(self.scan("one-more", b"", 10).await.is_empty());
        assert!(self.put("one-more", b"key", "2", Expect::Absent).await);
        assert!(self.engine.delete("one-more", b"key", Expect::Anything).await.expect("delete"));
        assert_eq!(self.value("one", b"key").await.as_deref(), Some("1"));
        assert_eq!(self.scan("one", b"", 10).await.len(), 1);
    }

    async fn writes_on_conditions(&self) {
        assert!(!self.put("put", b"k", "0", Expect::Version(1)).await, "there is no version 1");
        assert!(self.put("put", b"k", "1", Expect::Absent).await);
        assert!(!self.put("put", b"k", "2", Expect::Absent).await, "it is there already");
        let first = self.version("put", b"k").await;
        assert!(self.put("put", b"k", "3", Expect::Version(first)).await);
        assert!(!self.put("put", b"k", "4", Expect::Version(first)).await, "it has changed since");
        assert_eq!(self.value("put", b"k").await.as_deref(), Some("3"));
        assert!(self.put("put", b"k", "5", Expect::Anything).await);
        assert_eq!(self.value("put", b"k").await.as_deref(), Some("5"));
    }

    async fn deletes_on_conditions(&self) {
        self.put("delete", b"k", "1", Expect::Anything).await;
        let version = self.version("delete", b"k").await;
        let delete = |expect| async move { self.engine.delete("delete", b"k", expect).await.expect("delete") };
        assert!(!delete(Expect::Absent).await);
        assert!(!delete(Expect::Version(version + 1)).await);
        assert!(self.get("delete", b"k").await.is_some(), "nothing was deleted so far");
        assert!(delete(Expect::Version(version)).await);
        assert_eq!(self.get("delete", b"k").await, None);
        assert!(!delete(Expect::Anything).await, "it is gone already");
    }

    /// Else a writer who read before a deletion would take the new entry for the one it read.
    async fn never_gives_a_version_twice(&self) {
        let mut seen = BTreeSet::new();
        for round in 0..5 {
            assert!(self.put("again", b"k", "same", Expect::Absent).await);
            let version = self.version("again", b"k").await;
            assert!(seen.insert(version), "version {version} came again in round {round}");
            for old in seen.iter().filter(|old| **old != version) {
                assert!(!self.put("again", b"k", "stale", Expect::Version(*old)).await);
            }
            assert!(self.engine.delete("again", b"k", Expect::Anything).await.expect("delete"));
        }
    }

    async fn scans_in_pages(&self) {
        let key = |number: usize| format!("{}/{number:04}", if number.is_multiple_of(2) { "even" } else { "odd" });
        for number in 0..700 {
            self.put("pages", key(number).as_bytes(), &number.to_string(), Expect::Anything).await;
        }
        for (prefix, limit, expected) in
            [("", 1000, 700), ("", 7, 700), ("even/", 100, 350), ("odd/000", 1, 5), ("odd/0001", 1, 1), ("none", 5, 0)]
        {
            let found = self.scan("pages", prefix.as_bytes(), limit).await;
            assert_eq!(found.len(), expected, "{prefix:?} in pages of {limit}");
        }
        let found = self.scan("pages", b"", 64).await;
        for number in 0..700 {
            assert_eq!(found[key(number).as_bytes()], number.to_string(), "{}", key(number));
        }
    }

    /// An entry that is there from the scan's first page to its last is found.
    async fn scans_while_others_write(&self) {
        for number in 0..200 {
            self.put("busy", format!("kept/{number}").as_bytes(), "1", Expect::Anything).await;
        }
        let engine = self.engine.clone();
        let writer = tokio::spawn(async move {
            for number in 0.. {
                let key = format!("passing/{}", number % 300).into_bytes();
                engine.put("busy", &key, bytes("2"), Expect::Anything, None).await.expect("put");
                let gone = format!("passing/{}", (number + 150) % 300).into_bytes();
                engine.delete("busy", &gone, Expect::Anything).await.expect("delete");
            }
        });
        for limit in [3, 50] {
            let found = self.scan("busy", b"", limit).await;
            assert_eq!(found.keys().filter(|key| key.starts_with(b"kept/")).count(), 200, "pages of {limit}");
        }
        writer.abort();
    }

    async fn forgets_after_its_time(&self, conditions: &Conditions) {
        let put = |key: &'static [u8], ttl| async move {
            let ttl = Option::map(ttl, Duration::from_millis);
            assert!(self.engine.put("times", key, bytes("1"), Expect::Anything, ttl).await.expect("put"));
        };
        put(b"short", Some(2_000)).await;
        put(b"long", Some(3_600_000)).await;
        put(b"cleared", Some(2_000)).await;
        put(b"cleared", None).await;
        put(b"renewed", Some(2_000)).await;
        put(b"renewed", Some(3_600_000)).await;
        put(b"shortened", None).await;
        put(b"shortened", Some(2_000)).await;
        put(b"huge", Some(u64::MAX)).await;
        assert_eq!(self.scan("times", b"", 10).await.len(), 6);
        let stale = self.version("times", b"short").await;
        (conditions.pass)(Duration::from_millis(2_500)).await;
        let left: Vec<_> = self.scan("times", b"", 10).await.into_keys().collect();
        let left: Vec<_> = left.iter().map(|key| String::from_utf8_lossy(key)).collect();
        assert_eq!(left, ["cleared", "huge", "long", "renewed"]);
        assert_eq!(self.get("times", b"short").await, None);
        assert!(!self.engine.delete("times", b"short", Expect::Anything).await.expect("delete"), "it is gone already");
        assert!(!self.put("times", b"short", "2", Expect::Version(stale)).await, "its version is gone too");
        assert!(self.put("times", b"short", "2", Expect::Absent).await);
    }

    async fn one_of_many_inserts_wins(&self) {
        let insert = |number: u32| {
            let engine = self.engine.clone();
            let value = bytes(&number.to_string());
            tokio::spawn(async move { engine.put("race", b"k", value, Expect::Absent, None).await.expect("put") })
        };
        let racers: Vec<_> = (0..64).map(insert).collect();
        let mut winners = Vec::new();
        for (number, racer) in racers.into_iter().enumerate() {
            if racer.await.expect("a racer") {
                winners.push(number.to_string());
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?} all won");
        assert_eq!(self.value("race", b"k").await.as_ref(), winners.first());
    }

    async fn no_update_is_lost(&self) {
        self.put("count", b"k", "0", Expect::Anything).await;
        let add = |_| {
            let engine = self.engine.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    loop {
                        let entry = engine.get("count", b"k").await.expect("get").expect("an entry");
                        let count: u32 = std::str::from_utf8(&entry.value).expect("text").parse().expect("a number");
                        let (next, expect) = (bytes(&(count + 1).to_string()), Expect::Version(entry.version));
                        if engine.put("count", b"k", next, expect, None).await.expect("put") {
                            break;
                        }
                    }
                }
            })
        };
        let racers: Vec<_> = (0..16).map(add).collect();
        for racer in racers {
            racer.await.expect("a racer");
        }
        assert_eq!(self.value("count", b"k").await.as_deref(), Some("160"));
    }

    async fn takes_and_gives_many_at_once(&self, conditions: &Conditions) {
        let key = |number: usize| format!("many/{number}").into_bytes();
        let entries = |ends: usize| (0..ends).map(|number| (key(number), bytes(&number.to_string()))).collect();
        self.put("many", &key(3), "old", Expect::Anything).await;
        let before = self.version("many", &key(3)).await;
        self.engine.put_all("many", Vec::new(), None).await.expect("nothing to put");
        self.engine.put_all("many", entries(260), None).await.expect("put");
        assert_ne!(self.version("many", &key(3)).await, before, "every write changes the version");
        let keys: Vec<_> = (0..300).rev().map(key).collect();
        let found = self.engine.get_all("many", &keys).await.expect("get");
        assert_eq!(found.len(), keys.len());
        for (number, entry) in (0..300).rev().zip(found) {
            let value = entry.map(|entry| entry.value);
            assert_eq!(value, (number < 260).then(|| bytes(&number.to_string())), "{number}");
        }
        assert!(self.engine.get_all("many", &[]).await.expect("get").is_empty());

        self.engine.put_all("many", entries(2), Some(Duration::from_secs(2))).await.expect("put");
        (conditions.pass)(Duration::from_millis(2_500)).await;
        let found = self.engine.get_all("many", &[key(0), key(1), key(2)]).await.expect("get");
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
    }
}
