//! Errors of handlers: what `?` makes of any error, with a status, permanence and the source.

use crate::capability::ResourceError;
use crate::engine::EngineError;
use crate::function::CallError;
use crate::message::Skew;
use crate::problem::{problem, problem_id};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::fmt;

/// Any error, sendable.
pub type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// A handler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What `?` makes of any error in a handler. Unmarked: status 500, retried.
///
/// (No `std::error::Error` itself, else the blanket `From` could not be.)
pub struct Error(Box<Inner>);

struct Inner {
    status: StatusCode,
    permanent: bool,
    skew: Option<Skew>,
    context: Vec<String>,
    source: Boxed,
}

impl Error {
    /// An error of a few words.
    ///
    /// Made of one that was boxed, or that a called function returned, it is that one again.
    pub fn new(message: impl Into<Boxed>) -> Self {
        let source = match message.into().downcast::<Carried>() {
            Ok(carried) => return carried.0,
            Err(source) => source,
        };
        let source = match source.downcast::<CallError<Error>>() {
            Ok(failed) => match *failed {
                CallError::Failed(error) => return error,
                other => Box::new(other),
            },
            Err(source) => source,
        };
        Error(Box::new(Inner {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            permanent: false,
            skew: None,
            context: Vec::new(),
            source,
        }))
    }

    /// An error that trying again won't cure: the message goes to the dead letters at once.
    pub fn permanent(message: impl Into<Boxed>) -> Self {
        Error::new(message).into_permanent()
    }

    /// The same, permanent.
    #[must_use]
    pub fn into_permanent(mut self) -> Self {
        self.0.permanent = true;
        self
    }

    /// The same, answered with this status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The same, with what was being done.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// The same, of a message that only a newer version of the program can read.
    pub(crate) fn of_skew(mut self, skew: Skew) -> Self {
        self.0.skew = Some(skew);
        self
    }

    /// Whether it is of a message that only a newer version of the program can read.
    pub(crate) fn skew(&self) -> Option<Skew> {
        self.0.skew
    }

    /// The status a request is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Whether trying again won't cure it.
    pub fn is_permanent(&self) -> bool {
        self.0.permanent
    }

    /// The error that it was made of.
    pub fn source(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0.source
    }

    /// Context, the error and all its sources, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.0.source.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Error::new(error)
    }
}

impl From<Error> for Boxed {
    fn from(error: Error) -> Self {
        Box::new(Carried(error))
    }
}

/// An [`Error`] on its way through a box: it keeps status, permanence and context.
#[derive(Debug)]
struct Carried(Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.0.source.source()
    }
}

impl IntoResponse for Error {
    /// problem+json with status and title, and an id that leads to the log's line with the reason.
    fn into_response(self) -> Response {
        let id = problem_id();
        let unavailable = is_unavailable(self.source());
        if unavailable && self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!(id, error = self.chain(), "what a request needs is away");
            return crate::problem::unavailable("Something that this needs is away for now", Some(&id));
        }
        let title = self.status().canonical_reason().unwrap_or("Error");
        if self.status().is_server_error() {
            tracing::error!(id, error = self.chain(), "a request failed");
        } else {
            tracing::info!(id, status = self.status().as_u16(), error = self.chain(), "a request was refused");
        }
        problem(self.status(), title, Some(&id))
    }
}

/// Whether an error says that something is away for now: a capability's, an engine's, or sqlx's, whose pool handlers hold.
fn is_unavailable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return crate::engines::postgres::is_unavailable(error);
    }
    matches!(error.downcast_ref::<EngineError>(), Some(EngineError::Unavailable(_)))
        || error.downcast_ref::<ResourceError>().is_some_and(ResourceError::is_unavailable)
}

/// Says more about an error, on a `Result`.
pub trait ResultExt<T> {
    /// The same, with what was being done: "charging the card: …".
    ///
    /// # Errors
    /// The one there was.
    fn context(self, context: impl Into<String>) -> Result<T>;

    /// The same, answered with this status.
    ///
    /// # Errors
    /// The one there was.
    fn status(self, status: StatusCode) -> Result<T>;

    /// The same, permanent: trying again won't cure it.
    ///
    /// # Errors
    /// The one there was.
    fn permanent(self) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().with_context(context))
    }

    fn status(self, status: StatusCode) -> Result<T> {
        self.map_err(|error| error.into().with_status(status))
    }

    fn permanent(self) -> Result<T> {
        self.map_err(|error| error.into().into_permanent())
    }
}

/// Takes a handler's `Result` apart, whatever alias it is written with.
pub trait Fallible {
    /// The value's type.
    type Output;
    /// The error's.
    type Error;
}

impl<T, E> Fallible for std::result::Result<T, E> {
    type Output = T;
    type Error = E;
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        self.0.source.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_keeps_what_was_said_of_an_error() {
        let error = Error::permanent("no such item").with_status(StatusCode::NOT_FOUND).with_context("quoting");
        let back = Error::new(Boxed::from(error));
        assert!(back.is_permanent());
        assert_eq!((back.status(), back.to_string().as_str()), (StatusCode::NOT_FOUND, "quoting: no such item"));
    }

    #[test]
    fn context_reads_outside_in() {
        let failed: Result<u8, _> = "x".parse::<u8>();
        let error = failed.context("reading the quantity").context("placing an order").unwrap_err();
        assert_eq!(error.to_string(), "placing an order: reading the quantity: invalid digit found in string");
        assert!(!error.is_permanent());
    }
}
