//! Presigned URLs: one request on one blob, by whoever holds the URL, until its time is over.

use super::{Answer, Bucket, BucketResource};
use crate::capability::{AccessMode, CanRead, CanWrite, ResourceError};
use crate::engine::{EngineError, Presign};
use http::Method;
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;
use updraft_wire::defaults::PRESIGNED_LONGEST_SECONDS;

/// Declared by `#[bucket(presign)]`: not every engine lets clients in, so the declaration says that it is needed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no presigned URLs",
    label = "makes one",
    note = "declare it so: `#[bucket(presign)]`"
)]
pub trait Presigned: BucketResource {}

/// A URL that is good for one method on one blob, until it expires, without any other credentials: whoever has it may do
/// that. It is a secret as a password is, so `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    method: Method,
    url: String,
    content_type: Option<String>,
    expires: Timestamp,
}

impl PresignedUrl {
    /// What the request has to be: `GET` or `PUT`.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the request's `Content-Type` has to be, if it matters: anything else is refused.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// From when on it is refused.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PresignedUrl { method, url: _, content_type, expires } = self;
        let mut shown = f.debug_struct("PresignedUrl");
        shown.field("method", method).field("content_type", content_type).field("expires", expires);
        shown.finish_non_exhaustive()
    }
}

impl<R: BucketResource, A: AccessMode> Bucket<R, A> {
    /// A URL by which anybody may get the blob at `key`, or a part of it (`Range`), for so long: a second to 7 days. No blob
    /// needs to be there yet.
    ///
    /// # Errors
    /// If `lifetime` or the key can't be, or the engine's credentials can't be read.
    pub fn presign_get<'a>(&'a self, key: &'a str, lifetime: Duration) -> Answer<'a, PresignedUrl>
    where
        R: Presigned,
        A: CanRead,
    {
        Box::pin(self.presign(
            ("read", "presign_get"),
            key,
            Presign { method: Method::GET, lifetime, content_type: None },
        ))
    }

    /// A URL by which anybody may put a blob at `key`, whatever is there, as often as they like, for so long: a second to 7
    /// days. Of this MIME type, if one is given; else of whichever they say.
    ///
    /// # Errors
    /// If `lifetime`, the key or the type can't be, or the engine's credentials can't be read.
    pub fn presign_put<'a>(
        &'a self,
        key: &'a str,
        lifetime: Duration,
        content_type: Option<&'a str>,
    ) -> Answer<'a, PresignedUrl>
    where
        R: Presigned,
        A: CanWrite,
    {
        Box::pin(self.presign(("write", "presign_put"), key, Presign { method: Method::PUT, lifetime, content_type }))
    }

    async fn presign(
        &self,
        (access, method): (&'static str, &'static str),
        key: &str,
        asked: Presign<'_>,
    ) -> Result<PresignedUrl, ResourceError> {
        let engine = self.begin(access, method, key)?;
        let refused = |reason: String| ResourceError::engine::<Self>(method)(EngineError::Misconfigured(reason));
        // Signatures count whole seconds.
        let seconds = asked.lifetime.as_secs();
        if !(1..=PRESIGNED_LONGEST_SECONDS).contains(&seconds) {
            let longest = PRESIGNED_LONGEST_SECONDS / 86_400;
            return Err(refused(format!(
                "a presigned URL is good for a second to {longest} days, not {:?}",
                asked.lifetime
            )));
        }
        let is_header = |text: &str| !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if let Some(content_type) = asked.content_type.filter(|content_type| !is_header(content_type)) {
            return Err(refused(format!("{content_type:?} is no MIME type")));
        }
        let asked = Presign { lifetime: Duration::from_secs(seconds), ..asked };
        // From before it is signed, so that nobody is told a later end than it has.
        let now = self.0.ctx().clock().now();
        let url = engine.presign(R::ID, key, asked.clone()).await.map_err(ResourceError::engine::<Self>(method))?;
        let expires = now.saturating_add(asked.lifetime).unwrap_or(Timestamp::MAX);
        let content_type = asked.content_type.map(str::to_owned);
        Ok(PresignedUrl { method: asked.method, url, content_type, expires })
    }
}
