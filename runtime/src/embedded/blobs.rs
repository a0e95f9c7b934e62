//! Buckets. A small blob lies in its record, a large one in a file beside the database that the record names: so a stream
//! needs no memory, and a blob is there, whole, once its record is committed.
//!
//! A file is written under a name that nothing else ever had, and is durable before the record that names it is. What a
//! crash leaves in the folder without a record is swept when the state is opened.

use super::Embedded;
use super::files::Unnamed;
use super::lanes::enqueue;
use super::tables::{OBJECTS, Tables};
use super::topology::LaneId;
use crate::engine::{
    BoxFuture, BucketEngine, ByteStream, EngineError, EngineResult, ExpectBlob, Message, Meta, Page, Presign, Reading,
    check_blob_key, within,
};
use crate::object::{Object, ObjectEvent};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::task::coop::consume_budget;

/// Larger blobs lie in files.
const INLINE_BYTES: usize = 64 * 1024;
/// How often a reader looks again that finds the file gone: each time somebody wrote the blob meanwhile.
const LOOKS: usize = 100;

/// A record's value: number, written at, size, content type, file, contents unless they are in the file.
pub(super) type Record<'a> = (u64, i64, u64, Option<&'a str>, Option<&'a str>, &'a [u8]);

/// Where a blob's bytes are.
enum Body {
    Inline(Bytes),
    File(String),
}

/// A blob that is about to be written.
enum Arrived {
    Inline(Bytes),
    File { file: Unnamed, size: u64 },
}

fn known((number, modified, size, content_type, ..): Record<'_>) -> Meta {
    Meta {
        size,
        etag: etag(number),
        content_type: content_type.map(str::to_owned),
        modified: Timestamp::from_second(modified.div_euclid(1_000_000)).unwrap_or_default(),
    }
}

fn etag(number: u64) -> String {
    format!("\"{number:x}\"")
}

impl Embedded {
    async fn find(&self, bucket: &str, key: &str) -> EngineResult<Option<(Meta, Body)>> {
        check_blob_key(key)?;
        consume_budget().await;
        self.read(|transaction| {
            let Some(stored) = transaction.open_table(OBJECTS)?.get((bucket, key))? else { return Ok(None) };
            let record @ (.., file, body) = stored.value();
            let body = match file {
                Some(file) => Body::File(file.to_owned()),
                None => Body::Inline(Bytes::copy_from_slice(body)),
            };
            Ok(Some((known(record), body)))
        })
    }

    /// Takes a stream in, a large one into a file.
    async fn arrive(&self, mut body: ByteStream<'_>) -> EngineResult<Arrived> {
        let mut small = BytesMut::new();
        while let Some(piece) = body.try_next().await? {
            small.extend_from_slice(&piece);
            if let (Some(files), true) = (&self.0.files, small.len() > INLINE_BYTES) {
                let (file, size) = files.write(small.freeze(), body).await?;
                return Ok(Arrived::File { file, size });
            }
        }
        Ok(Arrived::Inline(small.freeze()))
    }

    /// Gives a blob that has arrived its name, if `expect` holds; the new etag if it did.
    async fn settle(
        &self,
        bucket: &str,
        key: &str,
        arrived: Arrived,
        content_type: Option<&str>,
        expect: ExpectBlob,
    ) -> EngineResult<Option<String>> {
        let (bucket, key, now) = (bucket.to_owned(), key.to_owned(), self.now().as_microsecond());
        let content_type = content_type.map(str::to_owned);
        let told = Told::of(self, &bucket, ObjectEvent::Created, &key);
        let tells = told.tells();
        let settled = self
            .write(move |tables| {
                let found = tables.objects.get((&*bucket, &*key))?.map(|stored| stored.value().0);
                let holds = match &expect {
                    ExpectBlob::Anything => true,
                    ExpectBlob::Absent => found.is_none(),
                    ExpectBlob::Etag(expected) => found.is_some_and(|number| etag(number) == *expected),
                };
                if !holds {
                    return Ok(None);
                }
                let number = tables.number()?;
                let (size, file, body) = match arrived {
                    Arrived::Inline(body) => (body.len() as u64, None, body),
                    // From here on the file is the record's: if the commit fails, it is swept.
                    Arrived::File { file, size } => (size, Some(file.named()), Bytes::new()),
                };
                let record = (number, now, size, content_type.as_deref(), file.as_deref(), &body[..]);
                let old = insert(tables, &bucket, &key, record)?;
                told.tell(tables, size, etag(number))?;
                Ok(Some((number, old)))
            })
            .await?;
        let Some((number, old)) = settled else { return Ok(None) };
        if tells {
            self.woken();
        }
        self.forget(old).await;
        Ok(Some(etag(number)))
    }

    /// Removes the file of a blob that is no more. If that fails, or the process ends before it, it is swept at the next
    /// start.
    async fn forget(&self, file: Option<String>) {
        if let (Some(files), Some(file)) = (&self.0.files, file) {
            files.remove(&file).await;
        }
    }
}

/// Writes a record, and the file's name beside it; the file of the one that was there.
fn insert(tables: &mut Tables<'_>, bucket: &str, key: &str, record: Record<'_>) -> Result<Option<String>, redb::Error> {
    let old = tables.objects.insert((bucket, key), record)?.and_then(|old| old.value().4.map(str::to_owned));
    if let Some(file) = record.4 {
        tables.files.insert(file, ())?;
    }
    if let Some(old) = &old {
        tables.files.remove(&**old)?;
    }
    Ok(old)
}

impl BucketEngine for Embedded {
    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Meta>>> {
        Box::pin(async move { Ok(self.find(bucket, key).await?.map(|(meta, _)| meta)) })
    }

    fn read<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, EngineResult<Option<Reading>>> {
        Box::pin(async move {
            for _ in 0..LOOKS {
                let Some((meta, body)) = self.find(bucket, key).await? else { return Ok(None) };
                let range = within(range.clone(), meta.size);
                let body = match (body, &self.0.files) {
                    (Body::Inline(body), _) => {
                        let part = body.slice(range.start as usize..range.end as usize);
                        stream::iter((!part.is_empty()).then_some(Ok(part))).boxed()
                    }
                    (Body::File(file), Some(files)) => match files.read(&file, range.clone()).await? {
                        Some(body) => body,
                        None => continue,
                    },
                    (Body::File(_), None) => break,
                };
                return Ok(Some(Reading { meta, range, body }));
            }
            Err(EngineError::Unavailable(format!("the file of the blob `{key}` in `{bucket}` is not there")))
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: Bytes,
        content_type: Option<&'a str>,
        expect: ExpectBlob,
    ) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let arrived = self.arrive(stream::once(async { Ok(body) }).boxed()).await?;
            self.settle(bucket, key, arrived, content_type, expect).await
        })
    }

    fn write<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: ByteStream<'a>,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let arrived = self.arrive(body).await?;
            self.settle(bucket, key, arrived, content_type, ExpectBlob::Anything).await.map(|_| ())
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            let told = Told::of(self, &bucket, ObjectEvent::Removed, &key);
            let tells = told.tells();
            let old = self.write(move |tables| remove(tables, &bucket, &key, told)).await?;
            if tells {
                self.woken();
            }
            self.forget(old).await;
            Ok(())
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
                for entry in transaction.open_table(OBJECTS)?.range((bucket, start)..)? {
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

    fn presign<'a>(&'a self, bucket: &'a str, key: &'a str, asked: Presign<'a>) -> BoxFuture<'a, EngineResult<String>> {
        Box::pin(async move { self.presigned(bucket, key, &asked) })
    }
}

/// Removes a record; its file.
fn remove(tables: &mut Tables<'_>, bucket: &str, key: &str, told: Told) -> Result<Option<String>, redb::Error> {
    let removed = tables.objects.remove((bucket, key))?.map(|old| {
        let (number, _, size, _, file, _) = old.value();
        (number, size, file.map(str::to_owned))
    });
    let Some((number, size, file)) = removed else { return Ok(None) };
    told.tell(tables, size, etag(number))?;
    if let Some(file) = &file {
        tables.files.remove(&**file)?;
    }
    Ok(file)
}

/// Who is told of a change, and of which: in the change's own transaction, so that neither is there without the other.
struct Told {
    lanes: Vec<LaneId>,
    event: ObjectEvent,
    bucket: String,
    key: String,
    now: Timestamp,
}

impl Told {
    fn of(engine: &Embedded, bucket: &str, event: ObjectEvent, key: &str) -> Self {
        let lanes = engine.topology().told(bucket, event, key);
        Told { lanes, event, bucket: bucket.to_owned(), key: key.to_owned(), now: engine.now() }
    }

    fn tells(&self) -> bool {
        !self.lanes.is_empty()
    }

    fn tell(self, tables: &mut Tables<'_>, size: u64, etag: String) -> Result<(), redb::Error> {
        let Told { lanes, event, bucket, key, now } = self;
        if lanes.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&Object { key, event, size, etag }).unwrap_or_default();
        let message = Message {
            id: uuid::Uuid::now_v7().to_string(),
            source: format!("/buckets/{bucket}"),
            time: now,
            schema: None,
            trace: None,
            attributes: BTreeMap::new(),
            body: body.into(),
        };
        let told = super::record::Record::fresh(&message);
        for lane in &lanes {
            enqueue(tables, lane, now.as_microsecond(), None, &told)?;
        }
        Ok(())
    }
}

/// Takes over what an older format kept, which kept every blob in its record.
pub(super) fn take_over(tables: &mut Tables<'_>, now: i64) -> Result<(), redb::Error> {
    loop {
        let first = tables.blobs.first()?.map(|(key, old)| {
            let ((bucket, key), (content_type, body)) = (key.value(), old.value());
            (bucket.to_owned(), key.to_owned(), content_type.map(str::to_owned), body.to_vec())
        });
        let Some((bucket, key, content_type, body)) = first else { return Ok(()) };
        let number = tables.number()?;
        let record = (number, now, body.len() as u64, content_type.as_deref(), None, &body[..]);
        insert(tables, &bucket, &key, record)?;
        tables.blobs.remove((&*bucket, &*key))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::embedded::Topology;
    use crate::engine::collect;
    use std::sync::Arc;

    #[tokio::test]
    async fn large_blobs_lie_in_files_and_leave_none_behind() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Embedded::open(directory.path(), Topology::default(), Arc::new(SystemClock)).unwrap();
        let folder = directory.path().join("blobs");
        let files = || std::fs::read_dir(&folder).unwrap().count();
        let engine = open();
        let large = Bytes::from(vec![7; 1 << 20]);
        let put = |body: &Bytes, expect| {
            let (engine, body) = (engine.clone(), body.clone());
            async move { engine.put("b", "k", body, None, expect).await.unwrap() }
        };
        put(&large, ExpectBlob::Anything).await;
        assert_eq!(files(), 1);
        put(&large, ExpectBlob::Anything).await;
        assert_eq!(files(), 1, "another in its place");
        assert_eq!(put(&large, ExpectBlob::Absent).await, None);
        assert_eq!(files(), 1, "nothing of what was not written");
        put(&Bytes::from_static(b"small"), ExpectBlob::Anything).await;
        assert_eq!(files(), 0);
        let broken = stream::iter([Ok(large.clone()), Err(EngineError::Other("no".into()))]).boxed();
        BucketEngine::write(&engine, "b", "k", broken, None).await.unwrap_err();
        assert_eq!((files(), engine.get("b", "k").await.unwrap().unwrap().body), (0, "small".into()));
        put(&large, ExpectBlob::Anything).await;
        engine.delete("b", "k").await.unwrap();
        assert_eq!(files(), 0);

        put(&large, ExpectBlob::Anything).await;
        std::fs::write(folder.join("left by a crash"), "half").unwrap();
        drop(engine);
        let engine = open();
        assert_eq!(files(), 1);
        let reading = BucketEngine::read(&engine, "b", "k", None).await.unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(collect(reading.body).await.unwrap(), large, "who reads has the file");
        let lost = BucketEngine::read(&engine, "b", "k", None).await.err().expect("its file is gone").to_string();
        assert!(lost.contains("`k`"), "{lost}");
    }
}
