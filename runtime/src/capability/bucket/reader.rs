//! A blob on its way to a handler.

use crate::capability::ResourceError;
use crate::engine::{EngineError, Meta, Reading, collect};
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A blob, or a part of one, as a stream of its bytes: [`BlobReader::next_piece`] until it is `None`, or through the
/// `Stream` that it is. As a response it has the blob's type, length and etag.
#[must_use = "its pieces are the blob"]
pub struct BlobReader {
    reading: Reading,
    explain: fn(EngineError) -> ResourceError,
}

impl BlobReader {
    pub(super) fn new(reading: Reading, explain: fn(EngineError) -> ResourceError) -> Self {
        BlobReader { reading, explain }
    }

    /// What is known of the whole blob.
    pub fn meta(&self) -> &Meta {
        &self.reading.meta
    }

    /// Which of its bytes come.
    pub fn range(&self) -> Range<u64> {
        self.reading.range.clone()
    }

    /// Some more bytes; `None` at the end.
    ///
    /// # Errors
    /// If the engine is lost on the way.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, ResourceError> {
        self.reading.body.next().await.transpose().map_err(self.explain)
    }

    /// All the rest in one piece, where it is little enough to hold.
    ///
    /// # Errors
    /// As [`BlobReader::next_piece`].
    pub async fn bytes(self) -> Result<Bytes, ResourceError> {
        collect(self.reading.body).await.map_err(self.explain)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading { meta, range, body: _ } = &self.reading;
        f.debug_struct("BlobReader").field("meta", meta).field("range", range).finish_non_exhaustive()
    }
}

impl Stream for BlobReader {
    type Item = Result<Bytes, ResourceError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let explain = self.explain;
        self.reading.body.poll_next_unpin(context).map(|piece| piece.map(|piece| piece.map_err(explain)))
    }
}

impl IntoResponse for BlobReader {
    fn into_response(self) -> Response {
        let Range { start, end } = self.reading.range;
        let meta = self.reading.meta.clone();
        let mut response = Body::from_stream(self).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
        let content_type = meta.content_type.as_deref().unwrap_or("application/octet-stream");
        for (name, value) in [(CONTENT_TYPE, content_type), (ETAG, &meta.etag)] {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        }
        response
    }
}
