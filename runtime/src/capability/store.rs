//! `Store<Name, Access>`: key and value, with versions for conditional writes.

use super::{
    AccessMode, CanRead, CanWrite, ReadOnly, ReadWrite, Resource, ResourceError, WriteOnly, capability, check,
};
use crate::ctx::Scope;
use crate::engine::{BoxFuture, EngineError, Entry, Expect};
use crate::key::{self, AsKey, Key, Prefix};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;
use std::time::Duration;
use updraft_wire::defaults::{STORE_ENTRY_LIMIT_BYTES, STORE_PAGE, STORE_UPDATE_TRIES};

/// Declared by `#[store(key = …, value = …)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no store",
    label = "needs a type declared by `#[store(key = …, value = …)]`"
)]
pub trait StoreResource: Resource {
    /// Strings, integers, `Uuid`, tuples of these.
    type Key: Key;
    /// What a key leads to.
    type Value: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// How long an entry lives after each write, where the declaration says so.
    const TTL: Option<Duration>;
}

/// The capability to reach a store.
pub struct Store<R, A = ReadWrite>(Scope, PhantomData<fn() -> (R, A)>);
capability!([R: StoreResource, A: AccessMode] Store<R, A>, "store", A::ACCESS);

type Answer<'a, T> = BoxFuture<'a, Result<T, ResourceError>>;

// The bounds stand on the methods: on the impl, rustc would say "method exists but …" in its own words. And the methods
// return a named future: with `async fn` rustc repeats the error.
impl<R: StoreResource, A: AccessMode> Store<R, A> {
    /// The value at `key`.
    ///
    /// # Errors
    /// If the engine can't be reached, or what is there is no such value.
    pub fn get<K: AsKey<R::Key> + ?Sized>(&self, key: &K) -> Answer<'_, Option<R::Value>>
    where
        A: CanRead,
    {
        let key = key.key_bytes();
        Box::pin(async move {
            check::<Self>(&self.0, "read", "get").map_err(ResourceError::engine::<Self>("get"))?;
            self.read(&key, "get").await.map(|found| found.map(|(value, _)| value))
        })
    }

    /// Writes, whatever was there.
    ///
    /// # Errors
    /// If the engine can't be reached, or the entry is too large for any target.
    pub fn put<K: AsKey<R::Key> + ?Sized>(&self, key: &K, value: &R::Value) -> Answer<'_, ()>
    where
        A: CanWrite,
    {
        let (key, value) = (key.key_bytes(), encode::<R, A>(value, "put"));
        Box::pin(async move { self.write(&key, value?, Expect::Anything, "put").await.map(|_| ()) })
    }

    /// Writes if there was nothing; whether it did.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn insert_new<K: AsKey<R::Key> + ?Sized>(&self, key: &K, value: &R::Value) -> Answer<'_, bool>
    where
        A: CanWrite,
    {
        let (key, value) = (key.key_bytes(), encode::<R, A>(value, "insert_new"));
        Box::pin(async move { self.write(&key, value?, Expect::Absent, "insert_new").await })
    }

    /// Deletes; whether there was something.
    ///
    /// # Errors
    /// If the engine can't be reached.
    pub fn delete<K: AsKey<R::Key> + ?Sized>(&self, key: &K) -> Answer<'_, bool>
    where
        A: CanWrite,
    {
        let key = key.key_bytes();
        Box::pin(async move {
            check::<Self>(&self.0, "write", "delete").map_err(ResourceError::engine::<Self>("delete"))?;
            let engine = self.0.store(R::ID).map_err(ResourceError::engine::<Self>("delete"))?;
            engine.delete(R::ID, &key, Expect::Anything).await.map_err(ResourceError::engine::<Self>("delete"))
        })
    }

    /// Changes the value at `key` in one step, and gives the new one: `change` sees what is there, and is asked again if
    /// someone else wrote meanwhile (so it should do nothing but compute).
    ///
    /// # Errors
    /// As [`Store::put`], and a conflict if others kept writing.
    pub fn update<'a, K, F>(&'a self, key: &K, mut change: F) -> Answer<'a, R::Value>
    where
        K: AsKey<R::Key> + ?Sized,
        F: FnMut(Option<R::Value>) -> R::Value + Send + 'a,
        A: CanRead + CanWrite,
    {
        let key = key.key_bytes();
        Box::pin(async move {
            check::<Self>(&self.0, "read", "update").map_err(ResourceError::engine::<Self>("update"))?;
            for _ in 0..STORE_UPDATE_TRIES {
                let (value, expect) = match self.read(&key, "update").await? {
                    Some((value, version)) => (Some(value), Expect::Version(version)),
                    None => (None, Expect::Absent),
                };
                let value = change(value);
                if self.write(&key, encode::<R, A>(&value, "update")?, expect, "update").await? {
                    return Ok(value);
                }
            }
            Err(ResourceError::conflict::<Self>("update"))
        })
    }

    /// The entries whose key starts with `prefix`, page by page.
    pub fn scan(&self, prefix: impl Prefix<R::Key>) -> Scan<R>
    where
        A: CanRead,
    {
        let store = Store(self.0.clone(), PhantomData);
        Scan { store, prefix: prefix.prefix_bytes(), next: Some(None) }
    }

    /// Narrows, for helpers that only read.
    #[must_use]
    pub fn read_only(&self) -> Store<R, ReadOnly>
    where
        A: CanRead,
    {
        Store(self.0.clone(), PhantomData)
    }

    /// Narrows, for helpers that only write.
    #[must_use]
    pub fn write_only(&self) -> Store<R, WriteOnly>
    where
        A: CanWrite,
    {
        Store(self.0.clone(), PhantomData)
    }

    async fn read(&self, key: &[u8], method: &'static str) -> Result<Option<(R::Value, u64)>, ResourceError> {
        let engine = self.0.store(R::ID).map_err(ResourceError::engine::<Self>(method))?;
        let entry = engine.get(R::ID, key).await.map_err(ResourceError::engine::<Self>(method))?;
        let Some(Entry { value, version }) = entry else { return Ok(None) };
        let value = serde_json::from_slice(&value).map_err(ResourceError::json::<Self>(method))?;
        Ok(Some((value, version)))
    }

    async fn write(
        &self,
        key: &[u8],
        value: Bytes,
        expect: Expect,
        method: &'static str,
    ) -> Result<bool, ResourceError> {
        check::<Self>(&self.0, "write", method).map_err(ResourceError::engine::<Self>(method))?;
        let bytes = key.len() + value.len();
        if bytes > STORE_ENTRY_LIMIT_BYTES {
            let too_large = EngineError::TooLarge { bytes, limit: STORE_ENTRY_LIMIT_BYTES };
            return Err(ResourceError::engine::<Self>(method)(too_large));
        }
        let engine = self.0.store(R::ID).map_err(ResourceError::engine::<Self>(method))?;
        engine.put(R::ID, key, value, expect, R::TTL).await.map_err(ResourceError::engine::<Self>(method))
    }
}

fn encode<R: StoreResource, A: AccessMode>(value: &R::Value, method: &'static str) -> Result<Bytes, ResourceError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(ResourceError::json::<Store<R, A>>(method))
}

/// A scan on its way: [`Scan::next_page`] until it is `None`, or [`Scan::all`].
pub struct Scan<R> {
    store: Store<R, ReadOnly>,
    prefix: Vec<u8>,
    /// Where the next page starts; `None` at the end.
    next: Option<Option<String>>,
}

impl<R: StoreResource> Scan<R> {
    /// Some more entries, in no order; `None` when there are no more. An entry that is written meanwhile may come or not.
    ///
    /// # Errors
    /// If the engine can't be reached, or what is there is not of the declared types.
    pub async fn next_page(&mut self) -> Result<Option<Vec<(R::Key, R::Value)>>, ResourceError> {
        type Taken<R> = Store<R, ReadOnly>;
        let Some(from) = self.next.take() else { return Ok(None) };
        let scope = &self.store.0;
        check::<Taken<R>>(scope, "read", "scan").map_err(ResourceError::engine::<Taken<R>>("scan"))?;
        let engine = scope.store(R::ID).map_err(ResourceError::engine::<Taken<R>>("scan"))?;
        let page = engine.scan(R::ID, &self.prefix, from, STORE_PAGE).await;
        let page = page.map_err(ResourceError::engine::<Taken<R>>("scan"))?;
        self.next = page.next.map(Some);
        let entries = page.items.into_iter().map(|(key, entry)| {
            let key = key::decode(&key).ok_or_else(|| ResourceError::key::<Taken<R>>("scan"))?;
            Ok((key, serde_json::from_slice(&entry.value).map_err(ResourceError::json::<Taken<R>>("scan"))?))
        });
        entries.collect::<Result<_, ResourceError>>().map(Some)
    }

    /// All entries, where they are few enough to hold.
    ///
    /// # Errors
    /// As [`Scan::next_page`].
    pub async fn all(mut self) -> Result<Vec<(R::Key, R::Value)>, ResourceError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
