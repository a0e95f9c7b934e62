//! `Bucket<Name, Access>`: blobs by key, whole or as streams.

mod presigned;
mod reader;

pub use presigned::{Presigned, PresignedUrl};
pub use reader::BlobReader;

use super::{
    AccessMode, CanRead, CanWrite, ReadOnly, ReadWrite, Resource, ResourceError, WriteOnly, capability, check,
};
use crate::ctx::Scope;
use crate::engine::{Blob, BoxFuture, BucketEngine, ByteStream, EngineError, ExpectBlob, Meta, Page};
use crate::error::Boxed;
use crate::telemetry::Held;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use updraft_wire::defaults::{BUCKET_KEY_LIMIT_BYTES, BUCKET_PAGE};

/// Declared by `#[bucket]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no bucket", label = "needs a type declared by `#[bucket]`")]
pub trait BucketResource: Resource {}

/// The capability to reach a bucket.
pub struct Bucket<R, A = ReadWrite>(Scope, PhantomData<fn() -> (R, A)>);
capability!([R: BucketResource, A: AccessMode] Bucket<R, A>, "bucket", A::ACCESS);

type Answer<'a, T> = BoxFuture<'a, Result<T, ResourceError>>;

// As with stores, the bounds stand on the methods, and those return named futures.
impl<R: BucketResource, A: AccessMode> Bucket<R, A> {
    /// The blob at `key`, in one piece. For one that may be large there is [`Bucket::read`].
    ///
    /// # Errors
    /// If the engine can't be reached.
    pub fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Blob>>
    where
        A: CanRead,
    {
        Box::pin(async move {
            self.begin("read", "get", key)?.get(R::ID, key).await.map_err(ResourceError::engine::<Self>("get"))
        })
    }

    /// What is known of the blob at `key`: its size, etag, MIME type, and when it was written.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Meta>>
    where
        A: CanRead,
    {
        Box::pin(async move {
            self.begin("read", "head", key)?.head(R::ID, key).await.map_err(ResourceError::engine::<Self>("head"))
        })
    }

    /// The blob at `key` as a stream, which holds a piece of it at a time. It is also a response of axum's.
    ///
    /// # Errors
    /// As [`Bucket::get`]; the stream itself may fail later.
    pub fn read<'a>(&'a self, key: &'a str) -> Answer<'a, Option<BlobReader>>
    where
        A: CanRead,
    {
        Box::pin(self.open(key, None))
    }

    /// [`Bucket::read`] of a part: `0..1024`, `1024..`. What lies past the blob's end is left out.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    pub fn read_range<'a>(&'a self, key: &'a str, range: impl RangeBounds<u64>) -> Answer<'a, Option<BlobReader>>
    where
        A: CanRead,
    {
        let range = bytes(&range);
        Box::pin(self.open(key, Some(range)))
    }

    /// Writes a blob, whole or not at all, whatever was there.
    ///
    /// # Errors
    /// If the engine can't be reached, or the key is no key: empty, over 1,024 bytes, or with control characters.
    pub fn put<'a>(&'a self, key: &'a str, body: impl Into<Bytes>) -> Answer<'a, ()>
    where
        A: CanWrite,
    {
        let put = self.put_expecting("put", key, None, body.into(), ExpectBlob::Anything);
        Box::pin(async move { put.await.map(|_| ()) })
    }

    /// [`Bucket::put`], with a MIME type.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub fn put_as<'a>(&'a self, key: &'a str, content_type: &'a str, body: impl Into<Bytes>) -> Answer<'a, ()>
    where
        A: CanWrite,
    {
        let put = self.put_expecting("put", key, Some(content_type), body.into(), ExpectBlob::Anything);
        Box::pin(async move { put.await.map(|_| ()) })
    }

    /// Writes a blob if there was none; whether it did. Of many at once, one does.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub fn put_new<'a>(
        &'a self,
        key: &'a str,
        content_type: Option<&'a str>,
        body: impl Into<Bytes>,
    ) -> Answer<'a, bool>
    where
        A: CanWrite,
    {
        let put = self.put_expecting("put_new", key, content_type, body.into(), ExpectBlob::Absent);
        Box::pin(async move { Ok(put.await?.is_some()) })
    }

    /// Writes a blob if the one that is there has this etag still; the new etag if it did. [`Bucket::head`] and
    /// [`Bucket::get`] tell the etag.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub fn put_if<'a>(
        &'a self,
        key: &'a str,
        etag: &str,
        content_type: Option<&'a str>,
        body: impl Into<Bytes>,
    ) -> Answer<'a, Option<String>>
    where
        A: CanWrite,
    {
        let expect = ExpectBlob::Etag(etag.to_owned());
        Box::pin(self.put_expecting("put_if", key, content_type, body.into(), expect))
    }

    /// Writes what a stream gives, of whatever length, holding a few pieces of it at a time: a request's body
    /// (`body.into_data_stream()`), another blob. The blob is there once the stream has ended, and if it fails, what was
    /// there before still is.
    ///
    /// # Errors
    /// As [`Bucket::put`], and what the stream says.
    pub fn write<'a, S, B, E>(&'a self, key: &'a str, content_type: Option<&'a str>, body: S) -> Answer<'a, ()>
    where
        S: Stream<Item = Result<B, E>> + Send + 'a,
        B: Into<Bytes>,
        E: Into<Boxed>,
        A: CanWrite,
    {
        let body: ByteStream<'a> =
            body.map(|piece| piece.map(Into::into).map_err(|error| EngineError::Other(error.into()))).boxed();
        Box::pin(async move {
            let engine = self.begin("write", "write", key)?;
            engine.write(R::ID, key, body, content_type).await.map_err(ResourceError::engine::<Self>("write"))
        })
    }

    /// Deletes; no error if there was nothing.
    ///
    /// # Errors
    /// If the engine can't be reached.
    pub fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()>
    where
        A: CanWrite,
    {
        Box::pin(async move {
            self.begin("write", "delete", key)?
                .delete(R::ID, key)
                .await
                .map_err(ResourceError::engine::<Self>("delete"))
        })
    }

    /// Keys that start with `prefix`, sorted; `from` is the last page's `next`.
    ///
    /// # Errors
    /// If the engine can't be reached.
    pub fn list<'a>(&'a self, prefix: &'a str, from: Option<String>) -> Answer<'a, Page<String>>
    where
        A: CanRead,
    {
        Box::pin(async move {
            check::<Self>(&self.0, "read", "list").map_err(ResourceError::engine::<Self>("list"))?;
            let engine = self.0.bucket(R::ID).map_err(ResourceError::engine::<Self>("list"))?;
            engine.list(R::ID, prefix, from, BUCKET_PAGE).await.map_err(ResourceError::engine::<Self>("list"))
        })
    }

    /// Narrows, for helpers that only read.
    #[must_use]
    pub fn read_only(&self) -> Bucket<R, ReadOnly>
    where
        A: CanRead,
    {
        Bucket(self.0.clone(), PhantomData)
    }

    /// Narrows, for helpers that only write.
    #[must_use]
    pub fn write_only(&self) -> Bucket<R, WriteOnly>
    where
        A: CanWrite,
    {
        Bucket(self.0.clone(), PhantomData)
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<BlobReader>, ResourceError> {
        let reading = self.begin("read", "read", key)?.read(R::ID, key, range).await;
        let reading = reading.map_err(ResourceError::engine::<Self>("read"))?;
        Ok(reading.map(|reading| BlobReader::new(reading, |error| ResourceError::engine::<Self>("read")(error))))
    }

    async fn put_expecting(
        &self,
        method: &'static str,
        key: &str,
        content_type: Option<&str>,
        body: Bytes,
        expect: ExpectBlob,
    ) -> Result<Option<String>, ResourceError> {
        let put = self.begin("write", method, key)?.put(R::ID, key, body, content_type, expect).await;
        put.map_err(ResourceError::engine::<Self>(method))
    }

    fn begin(
        &self,
        access: &'static str,
        method: &'static str,
        key: &str,
    ) -> Result<Held<'_, dyn BucketEngine>, ResourceError> {
        check::<Self>(&self.0, access, method).map_err(ResourceError::engine::<Self>(method))?;
        if key.is_empty() || key.len() > BUCKET_KEY_LIMIT_BYTES || key.contains(char::is_control) {
            let refused = EngineError::Misconfigured(format!(
                "{key:?} is no key: 1 to {BUCKET_KEY_LIMIT_BYTES} bytes without control characters"
            ));
            return Err(ResourceError::engine::<Self>(method)(refused));
        }
        self.0.bucket(R::ID).map_err(ResourceError::engine::<Self>(method))
    }
}

/// A range in whatever form as first and past-the-last byte.
fn bytes(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}
