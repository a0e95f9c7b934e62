//! What every bucket engine must do.

use super::Conditions;
use crate::engine::{Blob, BucketEngine, EngineError};
use bytes::Bytes;
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
}

/// A blob of one bucket is not in another.
///
/// # Panics
/// If it is.
pub async fn buckets_do_not_meet(one: (&dyn BucketEngine, &str), other: (&dyn BucketEngine, &str)) {
    let blob = Blob { body: Bytes::from_static(b"1"), content_type: None };
    one.0.put(one.1, "meet/key", blob).await.expect("put");
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
        let blob = Blob { body: body.into(), content_type: content_type.map(str::to_owned) };
        let put = self.engine.put(&self.id, key, blob).await;
        put.unwrap_or_else(|error| panic!("{key:?} can't be put: {error}"));
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
            let blob = Blob { body: Bytes::new(), content_type: None };
            let refused = |error| matches!(error, Some(EngineError::Misconfigured(_) | EngineError::TooLarge { .. }));
            assert!(refused(self.engine.put(&self.id, key, blob).await.err()), "put {key:?}");
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
                    engine.put(&id, "whole", Blob { body, content_type: None }).await.expect("put");
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
}
