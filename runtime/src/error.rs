//! Errors of handlers: what `?` makes of any error, with a status, permanence and the source.

use axum::http::StatusCode;
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
    context: Vec<String>,
    source: Boxed,
}

impl Error {
    /// An error of a few words.
    pub fn new(message: impl Into<Boxed>) -> Self {
        Error(Box::new(Inner {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            permanent: false,
            context: Vec::new(),
            source: message.into(),
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
        error.0.source
    }
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
