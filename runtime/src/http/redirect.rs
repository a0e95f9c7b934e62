//! Redirects, named by what they say and not by their numbers (RFC 9110, section 15.4).

use crate::problem::problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A response that sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect(StatusCode, String);

impl Redirect {
    /// 301: for good; a client may turn its method into `GET`.
    pub fn moved(to: impl Into<String>) -> Self {
        Redirect(StatusCode::MOVED_PERMANENTLY, to.into())
    }

    /// 302: for now; a client may turn its method into `GET`.
    pub fn found(to: impl Into<String>) -> Self {
        Redirect(StatusCode::FOUND, to.into())
    }

    /// 303: the result is there, `GET` it.
    pub fn see_other(to: impl Into<String>) -> Self {
        Redirect(StatusCode::SEE_OTHER, to.into())
    }

    /// 303, by the name that axum's has.
    pub fn to(to: impl Into<String>) -> Self {
        Redirect::see_other(to)
    }

    /// 307: for now, with the same method and body.
    pub fn temporary(to: impl Into<String>) -> Self {
        Redirect(StatusCode::TEMPORARY_REDIRECT, to.into())
    }

    /// 308: for good, with the same method and body.
    pub fn permanent(to: impl Into<String>) -> Self {
        Redirect(StatusCode::PERMANENT_REDIRECT, to.into())
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let Redirect(status, to) = self;
        match HeaderValue::try_from(to) {
            Ok(to) => (status, [(header::LOCATION, to)]).into_response(),
            Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "A redirect leads nowhere", None),
        }
    }
}
