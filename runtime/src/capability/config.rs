//! `Config<Struct>`: typed settings, read and validated at start.

use super::{Capability, Resource};
use crate::ctx::Scope;
use crate::error::Error;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use std::ops::Deref;
use std::sync::Arc;

/// Declared by `#[config]` on a struct with fields.
#[diagnostic::on_unimplemented(message = "`{Self}` is no config", label = "needs a struct declared by `#[config]`")]
pub trait ConfigResource: Resource + DeserializeOwned + Send + Sync {
    /// Refuses values that fit their types and still make no sense.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self) -> Result<(), Error>;
}

/// Reads and validates a config's value: at start, so that a handler never meets a bad one.
///
/// # Errors
/// What is wrong with it.
pub fn read<C: ConfigResource>(value: &Value) -> Result<C, Error> {
    let config: C = serde_path_to_error::deserialize(value).map_err(|error| misfit(value, &error))?;
    config.check()?;
    Ok(config)
}

/// Which key has which value, and why that won't do.
fn misfit(value: &Value, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let found = error.path().iter().try_fold(value, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let path = error.path().to_string();
    Error::new(match found {
        Some(found) if path != "." => format!("`{path}` is {found}: {}", error.inner()),
        _ => error.inner().to_string(),
    })
}

/// [`read`], for the registry.
///
/// # Errors
/// What is wrong with the value.
pub fn validate<C: ConfigResource>(value: &Value) -> Result<(), Error> {
    read::<C>(value).map(|_| ())
}

/// The capability to read a config: it derefs to the struct.
#[derive(Debug)]
pub struct Config<C>(Arc<C>);

impl<C> Clone for Config<C> {
    fn clone(&self) -> Self {
        Config(self.0.clone())
    }
}

impl<C> Deref for Config<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Config<C> {
    /// Of a value: for unit tests that call handlers directly.
    pub fn of(value: C) -> Self {
        Config(Arc::new(value))
    }
}

impl<C: ConfigResource> super::Sealed for Config<C> {}

impl<C: ConfigResource> Capability for Config<C> {
    const KIND: &'static str = "config";
    const RESOURCE: &'static str = C::ID;
    const ACCESS: &'static str = "read";

    fn bind(scope: &Scope) -> Self {
        let ctx = scope.ctx();
        Config(ctx.cached(C::ID, || {
            let value = ctx.engines().configs.get(C::ID).cloned().unwrap_or_else(|| Value::Object(Map::new()));
            read::<C>(&value).unwrap_or_else(|error| panic!("config `{}` was not validated at start: {error}", C::ID))
        }))
    }
}
