//! What every bucket engine must do.

use super::Conditions;
use crate::engine::{Blob, BucketEngine, ByteStream, EngineError, ExpectBlob, collect};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::ops::Range;
use std::sync::Arc;

/// All promises of a bucket, on one without blobs.
///
/// # Panics
/// At the first that is not kept.
pub async fn bucket(engine: Arc<dyn BucketEngine>, id: &str, conditions: &Conditions) {
    let suite = Suite { engine, id: id.to_owned() };
    suite.nothing_is_there_at_first().await;
    suite.gives_back_what_was_put().await;
    suite.keys_are_paths(conditions.blobs_are_files).await;
    suite.refuses_what_is_no_key().await;
    suite.lists_sorted_in_pages().await;
    suite.a_blob_is_whole().await;
    suite.tells_what_it_knows().await;
    suite.gives_parts().await;
    suite.takes_and_gives_streams().await;
    suite.a_stream_that_fails_changes_nothing().await;
    suite.who_reads_is_not_disturbed().await;
    suite.writes_on_conditions(conditions.conditions_are_atomic).await;
}

/// A blob of one bucket is not in another.
///
/// # Panics
/// If it is.
pub async fn buckets_do_not_meet(one: (&dyn BucketEngine, &str), other: (&dyn BucketEngine, &str)) {
    one.0.put(one.1, "meet/key", Bytes::from_static(b"1"), None, ExpectBlob::Anything).await.expect("put");
    assert_eq!(other.0.get(other.1, "meet/key").await.expect("get"), None);
    assert!(other.0.list(other.1, "meet/", None, 10).await.expect("list").items.is_empty());
    other.0.delete(other.1, "meet/key").await.expect("delete");
    assert!(one.0.get(one.1, "meet/key").await.expect("get").is_some());
    one.0.delete(one.1, "meet/key").await.expect("delete");
}

struct Suite {
    engine: Arc<dyn BucketEngine>,
    id: String,
}

impl Suite {
    async fn get(&self, key: &str) -> Option<Blob> {
        self.engine.get(&self.id, key).await.expect("get")
    }

    async fn put(&self, key: &str, body: impl Into<Bytes>, content_type: Option<&str>) {
        let put = self.engine.put(&self.id, key, body.into(), content_type, ExpectBlob::Anything).await;
        let etag = put.unwrap_or_else(|error| panic!("{key:?} can't be put: {error}"));
        assert!(etag.is_some_and(|etag| !etag.is_empty()), "{key:?} has no etag");
    }

    async fn delete(&self, key: &str) {
        self.engine.delete(&self.id, key).await.expect("delete");
    }

    async fn list(&self, prefix: &str, limit: usize) -> Vec<String> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self.engine.list(&self.id, prefix, from, limit).await.expect("list");
            assert!(page.items.len() <= limit, "{} keys in a page of {limit}", page.items.len());
            found.extend(page.items);
            from = page.next;
            if from.is_none() {
                return found;
            }
        }
    }

    async fn nothing_is_there_at_first(&self) {
        assert_eq!(self.get("nothing").await, None);
        self.delete("nothing").await;
        assert!(self.list("", 10).await.is_empty());
    }

    async fn gives_back_what_was_put(&self) {
        let large = Bytes::from(vec![7u8; 3 << 20]);
        for (body, content_type) in [
            (Bytes::new(), None),
            (Bytes::from_iter(0..=255u8), None),
            (Bytes::from_static(b"{}"), Some("application/json")),
            (Bytes::from_static("ü".as_bytes()), Some("text/plain; charset=utf-8")),
            (Bytes::from_static(b"again"), None),
            (large, Some("application/octet-stream")),
        ] {
            self.put("values/one", body.clone(), content_type).await;
            let blob = self.get("values/one").await.expect("a blob");
            assert!(blob.body == body, "{} bytes came back of {}", blob.body.len(), body.len());
            assert_eq!(blob.content_type.as_deref(), content_type);
        }
        self.delete("values/one").await;
        assert_eq!(self.get("values/one").await, None);
    }

    async fn keys_are_paths(&self, as_files: bool) {
        let long = format!("keys/{}", vec!["x".repeat(100); 8].join("/"));
        let mut keys = vec![
            "keys/plain.txt",
            "keys/Plain.txt",
            "keys/with space",
            "keys/ü/日本",
            "keys/100%",
            "keys/%41",
            "keys/a+b",
            "keys/a&b=c?d#e",
            "keys/…",
            "keys/.hidden",
            "keys/~tilde",
            "keys/it's (a) \"test\"!*",
        ];
        if !as_files {
            keys.extend(["keys/nested", "keys/nested/more", &long]);
        }
        for key in &keys {
            self.put(key, key.to_string(), None).await;
        }
        for key in &keys {
            assert_eq!(self.get(key).await.map(|blob| blob.body), Some(Bytes::from(key.to_string())), "{key:?}");
        }
        assert_eq!(self.get("keys/A").await, None, "`%41` is no `A`");
        keys.sort_unstable();
        assert_eq!(self.list("keys/", 4).await, keys);
        for key in &keys {
            self.delete(key).await;
        }
        assert!(self.list("keys/", 100).await.is_empty());
    }

    async fn refuses_what_is_no_key(&self) {
        let long = "x".repeat(1025);
        for key in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\nb", "a\0b", &long] {
            let put = self.engine.put(&self.id, key, Bytes::new(), None, ExpectBlob::Anything).await;
            let refused = |error| matches!(error, Some(EngineError::Misconfigured(_) | EngineError::TooLarge { .. }));
            assert!(refused(put.err()), "put {key:?}");
            let write = self.engine.write(&self.id, key, stream::empty().boxed(), None).await;
            assert!(refused(write.err()), "write {key:?}");
            assert!(refused(self.engine.head(&self.id, key).await.err()), "head {key:?}");
            assert!(refused(self.engine.get(&self.id, key).await.err()), "get {key:?}");
            assert!(refused(self.engine.delete(&self.id, key).await.err()), "delete {key:?}");
        }
    }

    async fn lists_sorted_in_pages(&self) {
        let mut keys: Vec<_> = (0..60).map(|number| format!("reports/2026-{:02}/{number}", number % 12 + 1)).collect();
        keys.push("reports-old/1".to_owned());
        keys.push("other/1".to_owned());
        for key in &keys {
            self.put(key, key.clone(), None).await;
        }
        keys.sort_unstable();
        for (prefix, limit) in
            [("", 1000), ("", 7), ("reports", 10), ("reports/", 1), ("reports/2026-0", 3), ("re", 100), ("none", 5)]
        {
            let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
            assert_eq!(self.list(prefix, limit).await, expected, "{prefix:?} in pages of {limit}");
        }
        // A place in a listing stays one when the key it names is gone.
        let page = self.engine.list(&self.id, "reports/", None, 5).await.expect("list");
        for key in &page.items {
            self.delete(key).await;
        }
        let next = self.engine.list(&self.id, "reports/", page.next, 1000).await.expect("list");
        assert_eq!((page.items.len(), next.items.len(), next.next), (5, 55, None));
        for key in &keys {
            self.delete(key).await;
        }
    }

    /// Whoever reads while others write gets one of the blobs, never parts of two.
    async fn a_blob_is_whole(&self) {
        self.put("whole", vec![0u8; 200_000], None).await;
        let write = |number: u8| {
            let (engine, id) = (self.engine.clone(), self.id.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let body = Bytes::from(vec![number; 100_000 + 10_000 * usize::from(number)]);
                    engine.put(&id, "whole", body, None, ExpectBlob::Anything).await.expect("put");
                }
            })
        };
        let writers: Vec<_> = (1..=8).map(write).collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let body = self.get("whole").await.expect("a blob is there all the time").body;
            assert!(body.iter().all(|byte| *byte == body[0]), "a blob of mixed parts");
            let length = if body[0] == 0 { 200_000 } else { 100_000 + 10_000 * usize::from(body[0]) };
            assert_eq!(body.len(), length);
        }
        for writer in writers {
            writer.await.expect("a writer");
        }
        self.delete("whole").await;
    }

    async fn tells_what_it_knows(&self) {
        assert_eq!(self.engine.head(&self.id, "known").await.expect("head"), None);
        let mut etags = Vec::new();
        for (body, content_type) in [("one", Some("text/plain")), ("three", None), ("", None)] {
            self.put("known", body, content_type).await;
            let meta = self.engine.head(&self.id, "known").await.expect("head").expect("a blob");
            assert_eq!((meta.size, meta.content_type.as_deref()), (body.len() as u64, content_type));
            assert!(!etags.contains(&meta.etag), "other contents, another etag");
            assert_eq!(self.get("known").await.expect("a blob").etag, meta.etag);
            etags.push(meta.etag);
        }
        self.delete("known").await;
        assert_eq!(self.engine.head(&self.id, "known").await.expect("head"), None);
    }

    /// The bytes in a range, and which they are.
    async fn part(&self, key: &str, range: Range<u64>) -> (Range<u64>, Bytes) {
        let reading = self.engine.read(&self.id, key, Some(range)).await.expect("read").expect("a blob");
        (reading.range, collect(reading.body).await.expect("its bytes"))
    }

    async fn gives_parts(&self) {
        assert!(self.engine.read(&self.id, "parts", Some(0..1)).await.expect("read").is_none());
        for size in [0_usize, 10, 100_000, 700_000] {
            let body = pattern(size);
            self.put("parts", body.clone(), Some("text/plain")).await;
            let end = size as u64;
            for range in [0..end, 0..1, 3..7, 5..5, end / 2..end, end.saturating_sub(1)..end, 0..u64::MAX, 2..u64::MAX]
            {
                let expected = range.start.min(end)..range.end.min(end).max(range.start.min(end));
                let (found, bytes) = self.part("parts", range.clone()).await;
                assert!(expected == found || expected.is_empty() && found.is_empty(), "{range:?} of {size}: {found:?}");
                assert!(bytes == body[expected.start as usize..expected.end as usize], "{range:?} of {size}");
            }
            for range in [end..end + 5, end + 5..u64::MAX, end..end] {
                assert!(self.part("parts", range.clone()).await.1.is_empty(), "{range:?} of {size}");
            }
        }
        let reading = self.engine.read(&self.id, "parts", Some(3..9)).await.expect("read").expect("a blob");
        assert_eq!((reading.meta.size, reading.meta.content_type.as_deref()), (700_000, Some("text/plain")));
        self.delete("parts").await;
    }

    async fn takes_and_gives_streams(&self) {
        for (size, piece) in [(0, 1), (1, 1), (70_000, 1_000), (3 << 20, 100_000), (20 << 20, 1 << 20)] {
            let body = pattern(size);
            let written = self.engine.write(&self.id, "stream", pieces(&body, piece), Some("image/png")).await;
            written.unwrap_or_else(|error| panic!("{size} bytes in pieces of {piece}: {error}"));
            let reading = self.engine.read(&self.id, "stream", None).await.expect("read").expect("a blob");
            assert_eq!((reading.meta.size, reading.range), (size as u64, 0..size as u64));
            assert_eq!(reading.meta.content_type.as_deref(), Some("image/png"));
            assert!(collect(reading.body).await.expect("its bytes") == body, "{size} bytes in pieces of {piece}");
        }
        assert_eq!(self.list("stream", 10).await, ["stream"]);
        let (_, middle) = self.part("stream", 8_000_000..9_000_000).await;
        assert!(middle == pattern(20 << 20)[8_000_000..9_000_000]);
        self.delete("stream").await;
    }

    async fn a_stream_that_fails_changes_nothing(&self) {
        self.put("failing", "before", None).await;
        for size in [0, 10, 200_000, 9 << 20] {
            let broken = stream::once(async { Err(EngineError::Other("the sender hung up".into())) });
            let body = pieces(&pattern(size), 50_000).chain(broken).boxed();
            let error = self.engine.write(&self.id, "failing", body, None).await.expect_err("it failed");
            assert!(error.to_string().contains("hung up"), "{error}");
            assert_eq!(self.get("failing").await.expect("a blob").body, "before", "after {size} bytes");
        }
        self.delete("failing").await;
    }

    /// A reader that has begun gets the blob that was there then.
    async fn who_reads_is_not_disturbed(&self) {
        let old = pattern(3 << 20);
        for delete in [false, true] {
            self.put("disturbed", old.clone(), None).await;
            let mut reading = self.engine.read(&self.id, "disturbed", None).await.expect("read").expect("a blob");
            let first = reading.body.try_next().await.expect("a piece").expect("some bytes");
            match delete {
                false => self.put("disturbed", pattern(2 << 20), None).await,
                true => self.delete("disturbed").await,
            }
            let rest = collect(reading.body).await.expect("the rest");
            assert!([first, rest].concat() == old, "another blob's bytes (deleted: {delete})");
        }
        assert_eq!(self.get("disturbed").await, None);
    }

    async fn writes_on_conditions(&self, atomic: bool) {
        let put = |body: &'static str, expect| async move {
            self.engine.put(&self.id, "if", Bytes::from_static(body.as_bytes()), None, expect).await.expect("put")
        };
        assert_eq!(put("0", ExpectBlob::Etag("\"0123456789abcdef0123456789abcdef\"".to_owned())).await, None);
        let first = put("1", ExpectBlob::Absent).await.expect("there was none");
        assert_eq!(put("2", ExpectBlob::Absent).await, None);
        let second = put("3", ExpectBlob::Etag(first.clone())).await.expect("nobody wrote since");
        assert_ne!(first, second);
        assert_eq!(put("4", ExpectBlob::Etag(first)).await, None);
        let blob = self.get("if").await.expect("a blob");
        assert_eq!((&blob.body[..], blob.etag), (&b"3"[..], second.clone()));
        self.delete("if").await;
        assert_eq!(put("5", ExpectBlob::Etag(second)).await, None);
        assert!(put("6", ExpectBlob::Absent).await.is_some());
        self.delete("if").await;
        if !atomic {
            return;
        }
        let mut expect = ExpectBlob::Absent;
        for round in 0..2 {
            let racers = (0..16).map(|number| {
                let (engine, id, expect) = (self.engine.clone(), self.id.clone(), expect.clone());
                let body = Bytes::from(format!("{round}/{number}"));
                tokio::spawn(async move { engine.put(&id, "if", body, None, expect).await.expect("put") })
            });
            let mut winners = Vec::new();
            for racer in racers.collect::<Vec<_>>() {
                winners.extend(racer.await.expect("a racer"));
            }
            assert_eq!(winners.len(), 1, "round {round}: {winners:?} all won");
            assert_eq!(self.get("if").await.expect("a blob").etag, winners[0]);
            expect = ExpectBlob::Etag(winners.remove(0));
        }
        self.delete("if").await;
    }
}

/// So many bytes, of which no two neighbourhoods are alike.
fn pattern(size: usize) -> Bytes {
    (0..size).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// A stream of these bytes, some at a time.
fn pieces(body: &Bytes, size: usize) -> ByteStream<'static> {
    let body = body.clone();
    let pieces = (0..body.len()).step_by(size).map(move |at| Ok(body.slice(at..(at + size).min(body.len()))));
    stream::iter(pieces).boxed()
}
