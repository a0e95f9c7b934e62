//! What every engine of stores with partitions must do beside the rest.

use super::Conditions;
use crate::engine::{Expect, Span, StoreEngine};
use crate::key::AsKey;
use bytes::Bytes;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::sync::Arc;
use std::time::Duration;

/// All promises of an ordered scan, on an engine without entries whose stores' partitions are of type `String`.
///
/// # Panics
/// At the first that is not kept.
pub async fn ordered_store(engine: Arc<dyn StoreEngine>, conditions: &Conditions) {
    let suite = Suite { engine };
    suite.gives_a_partition_in_order().await;
    suite.partitions_do_not_meet().await;
    suite.forgets_what_is_deleted_or_past_its_time(conditions).await;
    suite.finds_what_stays_while_others_write().await;
}

struct Suite {
    engine: Arc<dyn StoreEngine>,
}

fn key(partition: &str, number: u32) -> Vec<u8> {
    (partition, number).key_bytes()
}

fn all(partition: &str) -> Span {
    Span { partition: partition.part_bytes(), from: Unbounded, to: Unbounded, reversed: false }
}

impl Suite {
    async fn put(&self, store: &str, partition: &str, number: u32, ttl: Option<Duration>) {
        let value = Bytes::from(number.to_string());
        let put = self.engine.put(store, &key(partition, number), value, Expect::Anything, ttl).await;
        assert!(put.expect("put"));
    }

    /// The numbers in a span, page by page.
    async fn scan(&self, store: &str, span: &Span, limit: usize) -> Vec<u32> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self.engine.scan_ordered(store, span, from, limit).await.expect("scan");
            assert!(page.items.len() <= limit, "{} entries in a page of {limit}", page.items.len());
            for (key, entry) in page.items {
                let number: u32 = std::str::from_utf8(&entry.value).expect("text").parse().expect("a number");
                assert!(key.starts_with(&span.partition) && key.ends_with(&number.to_be_bytes()), "{key:?}: {number}");
                assert_ne!(entry.version, 0);
                found.push(number);
            }
            from = page.next;
            if from.is_none() {
                return found;
            }
        }
    }

    async fn gives_a_partition_in_order(&self) {
        assert!(self.scan("order", &all("room"), 10).await.is_empty());
        let numbers: Vec<u32> = (0..40).map(|number| number * 1_000 + 7).collect();
        // Neither in their order nor all at once.
        for number in numbers.iter().skip(1).step_by(2) {
            self.put("order", "room", *number, None).await;
        }
        let even = numbers.iter().step_by(2).rev();
        let even = even.map(|number| (key("room", *number), Bytes::from(number.to_string()))).collect();
        self.engine.put_all("order", even, None).await.expect("put");
        self.put("order", "room", numbers[3], None).await; // again: still one
        let at = |number: u32| key("room", number);
        let spans: [(Bound<Vec<u8>>, Bound<Vec<u8>>, Vec<u32>); 7] = [
            (Unbounded, Unbounded, numbers.clone()),
            (Included(at(7)), Included(at(39_007)), numbers.clone()),
            (Excluded(at(7)), Excluded(at(39_007)), numbers[1..39].to_vec()),
            (Included(at(5_000)), Excluded(at(9_007)), numbers[5..9].to_vec()),
            (Included(at(30_000)), Unbounded, numbers[30..].to_vec()),
            (Unbounded, Included(at(2_007)), numbers[..3].to_vec()),
            (Included(at(9_000)), Excluded(at(3_000)), Vec::new()),
        ];
        for (from, to, mut expected) in spans {
            let mut span = Span { from, to, ..all("room") };
            for reversed in [false, true] {
                for limit in [1, 7, 40, 1_000] {
                    assert_eq!(self.scan("order", &span, limit).await, expected, "{span:?} in pages of {limit}");
                }
                assert!(!reversed || span.reversed);
                span.reversed = true;
                expected.reverse();
            }
        }
    }

    async fn partitions_do_not_meet(&self) {
        let partitions = ["", "a", "ab", "a\0", "a\0\0", "b*", "[b]", "ü"];
        for (number, partition) in (0..).zip(partitions) {
            self.put("apart", partition, number, None).await;
            self.put("apart-too", partition, number + 100, None).await;
        }
        for (number, partition) in (0..).zip(partitions) {
            assert_eq!(self.scan("apart", &all(partition), 5).await, [number], "{partition:?}");
            assert_eq!(self.scan("apart-too", &all(partition), 5).await, [number + 100], "{partition:?}");
        }
        assert!(self.engine.delete("apart", &key("a", 1), Expect::Anything).await.expect("delete"));
        assert!(self.scan("apart", &all("a"), 5).await.is_empty());
        assert_eq!(self.scan("apart", &all("ab"), 5).await, [2]);
    }

    async fn forgets_what_is_deleted_or_past_its_time(&self, conditions: &Conditions) {
        let short = Some(Duration::from_secs(2));
        for number in 0..30 {
            self.put("times", "mixed", number, if number % 10 == 9 { None } else { short }).await;
            self.put("times", "short", number, short).await;
        }
        self.put("times", "short", 5, Some(Duration::from_secs(3_600))).await;
        self.put("times", "mixed", 4, None).await;
        assert!(self.engine.delete("times", &key("mixed", 19), Expect::Anything).await.expect("delete"));
        let stale = Expect::Version(u64::MAX);
        assert!(!self.engine.delete("times", &key("mixed", 29), stale).await.expect("delete"));
        (conditions.pass)(Duration::from_millis(2_500)).await;
        for _ in 0..2 {
            assert_eq!(self.scan("times", &all("mixed"), 3).await, [4, 9, 29]);
            assert_eq!(self.scan("times", &all("short"), 100).await, [5]);
        }
        self.put("times", "short", 6, short).await;
        assert_eq!(self.scan("times", &Span { reversed: true, ..all("short") }, 1).await, [6, 5]);
    }

    /// An entry that is there from the scan's first page to its last is found once.
    async fn finds_what_stays_while_others_write(&self) {
        for number in 0..100 {
            self.put("busy", "kept", number * 10, None).await;
        }
        let engine = self.engine.clone();
        let writer = tokio::spawn(async move {
            for number in (0..).map(|round| round * 7 % 1_000).filter(|number| number % 10 != 0) {
                let (value, ttl) = (Bytes::from(number.to_string()), Some(Duration::from_secs(60)));
                engine.put("busy", &key("kept", number), value, Expect::Anything, ttl).await.expect("put");
                engine.delete("busy", &key("kept", number), Expect::Anything).await.expect("delete");
            }
        });
        for limit in [3, 50] {
            let found = self.scan("busy", &all("kept"), limit).await;
            assert!(found.is_sorted(), "{found:?}");
            let kept: Vec<u32> = found.into_iter().filter(|number| number % 10 == 0).collect();
            assert_eq!(kept, (0..100).map(|number| number * 10).collect::<Vec<_>>(), "pages of {limit}");
        }
        writer.abort();
    }
}
