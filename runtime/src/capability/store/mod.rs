//! `Store<Name, Access>`: key and value, with versions for conditional writes.

mod scan;
mod version;

pub use scan::{InOrder, Scan};
pub use version::{NoVersion, Version, Versioned};

use super::{
    AccessMode, CanRead, CanWrite, ReadOnly, ReadWrite, Resource, ResourceError, WriteOnly, capability, check,
};
use crate::ctx::Scope;
use crate::engine::{BoxFuture, EngineError, Entry, Expect, StoreEngine};
use crate::key::{AsKey, Key, Prefix};
use crate::telemetry::Held;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;
use updraft_wire::defaults::{STORE_ENTRY_LIMIT_BYTES, STORE_UPDATE_TRIES};

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

/// Declared by `#[store(…, ttl = "…")]`: not every engine forgets by itself, so the declaration says that it is needed.
#[diagnostic::on_unimplemented(
    message = "entries of `{Self}` live for ever",
    label = "limits an entry's life",
    note = "declare how long others live: `#[store(key = …, value = …, ttl = \"1h\")]`"
)]
pub trait Expiring: StoreResource {}

/// Declared by `#[store(partition = …, key = …, value = …)]`. Its keys are `(partition, key)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no partitions to be in order",
    label = "scans in order",
    note = "declare one: `#[store(partition = …, key = …, value = …)]`"
)]
pub trait Partitioned: StoreResource<Key = (Self::Partition, Self::Sort)> {
    /// What is scanned together.
    type Partition: Key;
    /// What it is ordered by.
    type Sort: Key;
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

    /// The value at `key` with its version, for [`Store::put_if`] and [`Store::delete_if`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_versioned<K: AsKey<R::Key> + ?Sized>(&self, key: &K) -> Answer<'_, Option<Versioned<R::Value>>>
    where
        A: CanRead,
    {
        let key = key.key_bytes();
        Box::pin(async move {
            check::<Self>(&self.0, "read", "get_versioned").map_err(ResourceError::engine::<Self>("get_versioned"))?;
            let found = self.read(&key, "get_versioned").await?;
            Ok(found.map(|(value, version)| Versioned { value, version: Version(version) }))
        })
    }

    /// The values at several keys, in the order of `keys`: any number of them, read some at a time, so not all at one
    /// moment.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get_all<K: AsKey<R::Key>>(&self, keys: &[K]) -> Answer<'_, Vec<Option<R::Value>>>
    where
        A: CanRead,
    {
        let keys: Vec<Vec<u8>> = keys.iter().map(AsKey::key_bytes).collect();
        Box::pin(async move {
            check::<Self>(&self.0, "read", "get_all").map_err(ResourceError::engine::<Self>("get_all"))?;
            // Engines take each key once.
            let different: BTreeMap<&[u8], usize> = keys.iter().enumerate().map(|(at, key)| (&key[..], at)).collect();
            let asked: Vec<Vec<u8>> = different.keys().map(|key| key.to_vec()).collect();
            let found = self.engine("get_all")?.get_all(R::ID, &asked).await;
            let found = found.map_err(ResourceError::engine::<Self>("get_all"))?;
            let found: BTreeMap<&[u8], Option<Entry>> = asked.iter().map(Vec::as_slice).zip(found).collect();
            let value = |key: &Vec<u8>| {
                let entry = found.get(&key[..]).and_then(Option::as_ref);
                entry.map(|entry| decode::<R, A>(&entry.value, "get_all")).transpose()
            };
            keys.iter().map(value).collect()
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

    /// [`Store::put`] of an entry with a life of its own instead of the declared one, counted from now.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_for<K: AsKey<R::Key> + ?Sized>(&self, key: &K, value: &R::Value, life: Duration) -> Answer<'_, ()>
    where
        R: Expiring,
        A: CanWrite,
    {
        let (key, value) = (key.key_bytes(), encode::<R, A>(value, "put_for"));
        Box::pin(async move { self.write_for(&key, value?, Expect::Anything, Some(life), "put_for").await.map(|_| ()) })
    }

    /// Writes several entries, whatever was there; of two with one key, the later. Any number of them, written some at a
    /// time: each whole or not at all, but on an error some may have been written.
    ///
    /// # Errors
    /// As [`Store::put`]. If one is too large, none is written.
    pub fn put_all<K: AsKey<R::Key>>(&self, entries: &[(K, R::Value)]) -> Answer<'_, ()>
    where
        A: CanWrite,
    {
        let encoded: Result<BTreeMap<Vec<u8>, Bytes>, _> = entries
            .iter()
            .map(|(key, value)| {
                let (key, value) = (key.key_bytes(), encode::<R, A>(value, "put_all")?);
                fits(&key, &value).map_err(ResourceError::engine::<Self>("put_all"))?;
                Ok((key, value))
            })
            .collect();
        Box::pin(async move {
            check::<Self>(&self.0, "write", "put_all").map_err(ResourceError::engine::<Self>("put_all"))?;
            let entries = encoded?.into_iter().collect();
            let put = self.engine("put_all")?.put_all(R::ID, entries, R::TTL).await;
            put.map_err(ResourceError::engine::<Self>("put_all"))
        })
    }

    /// Writes if the entry is still of this version; whether it did. [`Store::get_versioned`] tells the version.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_if<K: AsKey<R::Key> + ?Sized>(&self, key: &K, value: &R::Value, version: Version) -> Answer<'_, bool>
    where
        A: CanWrite,
    {
        let (key, value) = (key.key_bytes(), encode::<R, A>(value, "put_if"));
        Box::pin(async move { self.write(&key, value?, Expect::Version(version.0), "put_if").await })
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
        Box::pin(async move { self.remove(&key, Expect::Anything, "delete").await })
    }

    /// Deletes if the entry is still of this version; whether it did.
    ///
    /// # Errors
    /// If the engine can't be reached.
    pub fn delete_if<K: AsKey<R::Key> + ?Sized>(&self, key: &K, version: Version) -> Answer<'_, bool>
    where
        A: CanWrite,
    {
        let key = key.key_bytes();
        Box::pin(async move { self.remove(&key, Expect::Version(version.0), "delete_if").await })
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
        Scan::new(Store(self.0.clone(), PhantomData), prefix.prefix_bytes())
    }

    /// The entries of one partition in the order of their keys, page by page:
    /// `events.in_order("room-1").range(5..).reversed()`.
    pub fn in_order<P: AsKey<R::Partition> + ?Sized, S: Key>(&self, partition: &P) -> InOrder<R, S>
    where
        R: Partitioned<Sort = S>, // `R::Sort` in the return type would have rustc speak in its own words
        A: CanRead,
    {
        InOrder::new(Store(self.0.clone(), PhantomData), partition.part_bytes())
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

    fn engine(&self, method: &'static str) -> Result<Held<'_, dyn StoreEngine>, ResourceError> {
        self.0.store(R::ID).map_err(ResourceError::engine::<Self>(method))
    }

    async fn read(&self, key: &[u8], method: &'static str) -> Result<Option<(R::Value, u64)>, ResourceError> {
        let entry = self.engine(method)?.get(R::ID, key).await.map_err(ResourceError::engine::<Self>(method))?;
        let Some(Entry { value, version }) = entry else { return Ok(None) };
        Ok(Some((decode::<R, A>(&value, method)?, version)))
    }

    async fn write(
        &self,
        key: &[u8],
        value: Bytes,
        expect: Expect,
        method: &'static str,
    ) -> Result<bool, ResourceError> {
        self.write_for(key, value, expect, R::TTL, method).await
    }

    async fn write_for(
        &self,
        key: &[u8],
        value: Bytes,
        expect: Expect,
        life: Option<Duration>,
        method: &'static str,
    ) -> Result<bool, ResourceError> {
        check::<Self>(&self.0, "write", method).map_err(ResourceError::engine::<Self>(method))?;
        fits(key, &value).map_err(ResourceError::engine::<Self>(method))?;
        let put = self.engine(method)?.put(R::ID, key, value, expect, life).await;
        put.map_err(ResourceError::engine::<Self>(method))
    }

    async fn remove(&self, key: &[u8], expect: Expect, method: &'static str) -> Result<bool, ResourceError> {
        check::<Self>(&self.0, "write", method).map_err(ResourceError::engine::<Self>(method))?;
        self.engine(method)?.delete(R::ID, key, expect).await.map_err(ResourceError::engine::<Self>(method))
    }
}

/// Refuses what is larger than the smallest target takes.
fn fits(key: &[u8], value: &Bytes) -> Result<(), EngineError> {
    let bytes = key.len() + value.len();
    if bytes > STORE_ENTRY_LIMIT_BYTES {
        return Err(EngineError::TooLarge { bytes, limit: STORE_ENTRY_LIMIT_BYTES });
    }
    Ok(())
}

fn encode<R: StoreResource, A: AccessMode>(value: &R::Value, method: &'static str) -> Result<Bytes, ResourceError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(ResourceError::json::<Store<R, A>>(method))
}

fn decode<R: StoreResource, A: AccessMode>(value: &[u8], method: &'static str) -> Result<R::Value, ResourceError> {
    serde_json::from_slice(value).map_err(ResourceError::json::<Store<R, A>>(method))
}
