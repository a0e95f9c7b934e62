//! `Secret<Name>`: a value nobody prints, read anew at each use.

use super::{Resource, ResourceError, capability, check};
use crate::ctx::Scope;
use secrecy::SecretString;
use std::marker::PhantomData;

/// Declared by `#[secret]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no secret", label = "needs a type declared by `#[secret]`")]
pub trait SecretResource: Resource {
    /// `SecretString`, or `Option<SecretString>` for `#[secret(optional)]`.
    type Value: Exposed;
}

/// What exposing a secret gives.
pub trait Exposed: Sized + Send {
    /// Whether the application runs without it.
    const OPTIONAL: bool;
    /// From what was found; `None` if that won't do.
    fn from_found(found: Option<String>) -> Option<Self>;
}

impl Exposed for SecretString {
    const OPTIONAL: bool = false;
    fn from_found(found: Option<String>) -> Option<Self> {
        found.map(SecretString::from)
    }
}

impl Exposed for Option<SecretString> {
    const OPTIONAL: bool = true;
    fn from_found(found: Option<String>) -> Option<Self> {
        Some(found.map(SecretString::from))
    }
}

/// The capability to read a secret.
pub struct Secret<R>(Scope, PhantomData<fn() -> R>);
capability!([R: SecretResource] Secret<R>, "secret", "read");

impl<R: SecretResource> Secret<R> {
    /// The value as it is now: a rotated secret needs no restart.
    ///
    /// # Errors
    /// If it has no value, or can't be read.
    pub async fn expose(&self) -> Result<R::Value, ResourceError> {
        check::<Self>(&self.0, "read", "expose").map_err(ResourceError::engine::<Self>("expose"))?;
        let secrets = &self.0.ctx().engines().secrets;
        let found = self.0.step(("expose", R::ID, &[]), secrets.get(R::ID)).await;
        let found = found.map_err(ResourceError::engine::<Self>("expose"))?;
        R::Value::from_found(found)
            .ok_or_else(|| ResourceError::missing::<Self>("expose", secrets.how_to_provide(R::ID)))
    }
}
