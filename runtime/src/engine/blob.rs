//! What keeps buckets: blobs by key, whole or as streams.

use super::{BoxFuture, EngineError, EngineResult, Page};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http::Method;
use jiff::Timestamp;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

/// A blob's bytes, in pieces of the engine's choosing.
pub type ByteStream<'a> = Pin<Box<dyn Stream<Item = EngineResult<Bytes>> + Send + 'a>>;

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Bytes.
    pub size: u64,
    /// Another after every write of other contents. What it looks like is the engine's business.
    pub etag: String,
    /// A MIME type.
    pub content_type: Option<String>,
    /// When it was written, to the second.
    pub modified: Timestamp,
}

/// A blob in one piece, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The contents.
    pub body: Bytes,
    /// A MIME type.
    pub content_type: Option<String>,
    /// What [`crate::Bucket::put_if`] takes.
    pub etag: String,
}

/// A blob, or a part of one, on its way.
pub struct Reading {
    /// Of the whole blob.
    pub meta: Meta,
    /// Which bytes come.
    pub range: Range<u64>,
    /// They.
    pub body: ByteStream<'static>,
}

/// What a conditional write of a blob expects to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectBlob {
    /// Whatever there is.
    Anything,
    /// None.
    Absent,
    /// One with this etag.
    Etag(String),
}

/// The longest key of a blob, in bytes: S3's.
pub const BLOB_KEY_LIMIT_BYTES: usize = 1024;

/// Refuses the keys that not every engine can keep apart. Keys are paths: segments joined by `/`, none of them empty, `.`
/// or `..`, without control characters. Every bucket engine begins so.
///
/// # Errors
/// If the key is none.
pub fn check_blob_key(key: &str) -> EngineResult<()> {
    if key.len() > BLOB_KEY_LIMIT_BYTES {
        return Err(EngineError::TooLarge { bytes: key.len(), limit: BLOB_KEY_LIMIT_BYTES });
    }
    let fine = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(|c: char| c.is_ascii_control());
    if key.split('/').all(fine) {
        return Ok(());
    }
    let rule = "segments joined by `/`, none of them empty, `.` or `..`, without control characters";
    Err(EngineError::Misconfigured(format!("{key:?} can't be a blob's key: a key is {rule}")))
}

/// What a presigned URL is to allow: one method on one blob.
#[derive(Clone, Debug)]
pub struct Presign<'a> {
    /// `GET` or `PUT`.
    pub method: Method,
    /// In whole seconds.
    pub lifetime: Duration,
    /// The only content type that may be sent, if there is one.
    pub content_type: Option<&'a str>,
}

/// A store of blobs. `bucket` is the resource's id.
pub trait BucketEngine: Send + Sync + 'static {
    /// What it is, for traces: `s3`, or `updraft` for an own one.
    fn system(&self) -> &'static str {
        "updraft"
    }

    /// What is known of the blob at `key`.
    fn head<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Meta>>>;

    /// The blob at `key`, or those of its bytes that lie in `range`.
    fn read<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, EngineResult<Option<Reading>>>;

    /// The blob at `key`, in one piece.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Blob>>> {
        Box::pin(async move {
            let Some(reading) = self.read(bucket, key, None).await? else { return Ok(None) };
            let Meta { content_type, etag, .. } = reading.meta;
            Ok(Some(Blob { body: collect(reading.body).await?, content_type, etag }))
        })
    }

    /// Writes if `expect` holds, whole or not at all; the new etag if it did.
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: Bytes,
        content_type: Option<&'a str>,
        expect: ExpectBlob,
    ) -> BoxFuture<'a, EngineResult<Option<String>>>;

    /// Writes what the stream gives, whatever was there: whole once it ends, and not at all if it fails.
    fn write<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        body: ByteStream<'a>,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, EngineResult<()>>;

    /// Deletes; no error if there was nothing.
    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>>;

    /// Keys that start with `prefix`, sorted, in pages.
    fn list<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<String>>>;

    /// A URL that allows what is asked for, of the blob at `key`, to whoever has it.
    fn presign<'a>(&'a self, bucket: &'a str, key: &'a str, asked: Presign<'a>) -> BoxFuture<'a, EngineResult<String>>;
}

/// Everything that a stream gives.
pub(crate) async fn collect(mut body: ByteStream<'_>) -> EngineResult<Bytes> {
    let Some(first) = body.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = body.try_next().await? else { return Ok(first) };
    let mut whole = BytesMut::from(&first[..]);
    whole.extend_from_slice(&second);
    while let Some(more) = body.try_next().await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

/// The part of a blob of this size that lies in `range`: nothing past its end.
#[allow(dead_code, reason = "a program without a bucket has no engine that asks")]
pub(crate) fn within(range: Option<Range<u64>>, size: u64) -> Range<u64> {
    let Range { start, end } = range.unwrap_or(0..size);
    let start = start.min(size);
    start..end.clamp(start, size)
}
