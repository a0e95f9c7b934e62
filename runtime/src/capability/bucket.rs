//! `Bucket<Name, Access>`: blobs by key.

use super::{
    AccessMode, CanRead, CanWrite, ReadOnly, ReadWrite, Resource, ResourceError, WriteOnly, capability, check,
};
use crate::ctx::Scope;
use crate::engine::{Blob, BoxFuture, BucketEngine, EngineError, Page};
use crate::telemetry::Held;
use bytes::Bytes;
use std::marker::PhantomData;
use updraft_wire::defaults::{BUCKET_KEY_LIMIT_BYTES, BUCKET_PAGE};

/// Declared by `#[bucket]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no bucket", label = "needs a type declared by `#[bucket]`")]
pub trait BucketResource: Resource {}

/// The capability to reach a bucket.
pub struct Bucket<R, A = ReadWrite>(Scope, PhantomData<fn() -> (R, A)>);
capability!([R: BucketResource, A: AccessMode] Bucket<R, A>, "bucket", A::ACCESS);

type Answer<'a, T> = BoxFuture<'a, Result<T, ResourceError>>;

impl<R: BucketResource, A: AccessMode> Bucket<R, A> {
    /// The blob at `key`.
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

    /// Writes a blob, whole or not at all, whatever was there.
    ///
    /// # Errors
    /// If the engine can't be reached, or the key is no key: empty, over 1,024 bytes, or with control characters.
    pub fn put<'a>(&'a self, key: &'a str, body: impl Into<Bytes>) -> Answer<'a, ()>
    where
        A: CanWrite,
    {
        self.write(key, Blob { body: body.into(), content_type: None })
    }

    /// [`Bucket::put`], with a MIME type.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub fn put_as<'a>(&'a self, key: &'a str, content_type: &str, body: impl Into<Bytes>) -> Answer<'a, ()>
    where
        A: CanWrite,
    {
        self.write(key, Blob { body: body.into(), content_type: Some(content_type.to_owned()) })
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

    fn write<'a>(&'a self, key: &'a str, blob: Blob) -> Answer<'a, ()> {
        Box::pin(async move {
            self.begin("write", "put", key)?.put(R::ID, key, blob).await.map_err(ResourceError::engine::<Self>("put"))
        })
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
