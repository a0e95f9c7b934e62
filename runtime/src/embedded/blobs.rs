//! Buckets: blobs in the same database, so that they are written whole or not at all.

use super::Embedded;
use super::tables::BLOBS;
use crate::engine::{Blob, BoxFuture, BucketEngine, EngineResult, Page, check_blob_key};
use bytes::Bytes;
use tokio::task::coop::consume_budget;

impl BucketEngine for Embedded {
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Blob>>> {
        Box::pin(async move {
            check_blob_key(key)?;
            consume_budget().await;
            self.read(|transaction| {
                let stored = transaction.open_table(BLOBS)?.get((bucket, key))?;
                Ok(stored.map(|stored| {
                    let (content_type, body) = stored.value();
                    Blob { body: Bytes::copy_from_slice(body), content_type: content_type.map(str::to_owned) }
                }))
            })
        })
    }

    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, blob: Blob) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            self.write(move |tables| {
                let stored = (blob.content_type.as_deref(), &blob.body[..]);
                tables.blobs.insert((bucket.as_str(), key.as_str()), stored)?;
                Ok(())
            })
            .await
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            self.write(move |tables| {
                tables.blobs.remove((bucket.as_str(), key.as_str()))?;
                Ok(())
            })
            .await
        })
    }

    fn list<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<String>>> {
        Box::pin(async move {
            let start = from.as_deref().unwrap_or(prefix);
            consume_budget().await;
            self.read(|transaction| {
                let mut page = Page { items: Vec::new(), next: None };
                for entry in transaction.open_table(BLOBS)?.range((bucket, start)..)? {
                    let key = entry?.0;
                    let (of, key) = key.value();
                    if of != bucket || !key.starts_with(prefix) {
                        break;
                    }
                    if page.items.len() == limit.max(1) {
                        page.next = Some(key.to_owned());
                        break;
                    }
                    page.items.push(key.to_owned());
                }
                Ok(page)
            })
        })
    }
}
