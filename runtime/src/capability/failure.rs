//! What a capability's methods return when they fail: which resource, doing what, and why.

use crate::engine::EngineError;
use std::fmt;

/// A capability could not do it.
#[derive(Debug)]
pub struct ResourceError {
    kind: &'static str,
    resource: &'static str,
    method: &'static str,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Engine(EngineError),
    Json(serde_json::Error),
    Conflict,
    Key,
    Missing(String),
}

impl ResourceError {
    pub(crate) fn engine<C: super::Capability>(method: &'static str) -> impl FnOnce(EngineError) -> Self {
        move |error| ResourceError { kind: C::KIND, resource: C::RESOURCE, method, cause: Cause::Engine(error) }
    }

    pub(crate) fn json<C: super::Capability>(method: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |error| ResourceError { kind: C::KIND, resource: C::RESOURCE, method, cause: Cause::Json(error) }
    }

    pub(crate) fn conflict<C: super::Capability>(method: &'static str) -> Self {
        ResourceError { kind: C::KIND, resource: C::RESOURCE, method, cause: Cause::Conflict }
    }

    pub(crate) fn key<C: super::Capability>(method: &'static str) -> Self {
        ResourceError { kind: C::KIND, resource: C::RESOURCE, method, cause: Cause::Key }
    }

    pub(crate) fn missing<C: super::Capability>(method: &'static str, how_to_provide: String) -> Self {
        ResourceError { kind: C::KIND, resource: C::RESOURCE, method, cause: Cause::Missing(how_to_provide) }
    }

    /// Whether the engine is away or overloaded, so that trying later may work.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.cause, Cause::Engine(EngineError::Unavailable(_)))
    }

    /// Whether there were more bytes than any target takes.
    pub fn is_too_large(&self) -> bool {
        matches!(self.cause, Cause::Engine(EngineError::TooLarge { .. }))
    }

    /// Whether others kept writing the same key.
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause, Cause::Conflict)
    }

    /// The resource's id.
    pub fn resource(&self) -> &'static str {
        self.resource
    }
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResourceError { kind, resource, method, cause } = self;
        write!(f, "{kind} `{resource}`, {method}: ")?;
        match cause {
            Cause::Engine(error) => error.fmt(f),
            Cause::Json(error) => write!(f, "the value does not fit its type: {error}"),
            Cause::Conflict => f.write_str("others kept writing the same key"),
            Cause::Key => f.write_str("a key there is not of the declared type"),
            Cause::Missing(how_to_provide) => write!(f, "it has no value; {how_to_provide}"),
        }
    }
}

impl std::error::Error for ResourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Engine(EngineError::Other(source)) => source.source(),
            Cause::Engine(_) | Cause::Json(_) | Cause::Conflict | Cause::Key | Cause::Missing(_) => None,
        }
    }
}
