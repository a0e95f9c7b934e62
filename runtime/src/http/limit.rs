//! The size of a request's body, where the handler is known.

use crate::problem::problem;
use crate::registry::Handler;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::Limited;
use hyper::body::Body as _;

/// What axum's own extractors read at most, unless they are told otherwise.
const AXUMS: u64 = 2 << 20;

/// Bytes that the body of a request to this handler may have: what its attribute says, else `default`.
pub(crate) fn of(handler: &Handler, default: u64) -> u64 {
    let records = updraft_wire::descriptor::decode(handler.descriptor).unwrap_or_default();
    let own = records.first().and_then(|record| record.options.get("body")?.parse().ok());
    own.unwrap_or(default)
}

/// The request, whose body ends with an error past `limit` bytes.
///
/// # Errors
/// If the body is known to be larger: the answer.
#[expect(clippy::result_large_err, reason = "made once, where a request is refused")]
pub(crate) fn limited(mut request: Request, limit: u64) -> Result<Request, Response> {
    match request.body().size_hint().upper() {
        Some(size) if size > limit => {
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large", None));
        }
        // The connection holds clients to the size that they named.
        Some(_) => {}
        None => {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)));
        }
    }
    if limit > AXUMS {
        DefaultBodyLimit::disable().apply(&mut request);
    }
    Ok(request)
}
