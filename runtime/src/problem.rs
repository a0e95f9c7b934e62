//! Answers that say what went wrong, as problem+json (RFC 9457). They carry a status, a title and at most an id that the
//! log has too: never internals.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

/// The content type.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that says which part of the request was wrong.
pub fn problem_with_detail(status: StatusCode, title: &str, detail: &str) -> Response {
    answer(
        status,
        &serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail }),
    )
}

/// An answer of this status. `title` is for whoever called; `id` leads whoever runs the app to the log's line.
pub fn problem(status: StatusCode, title: &str, id: Option<&str>) -> Response {
    let mut document = serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16() });
    if let Some(id) = id {
        document["instance"] = format!("urn:uuid:{id}").into();
    }
    answer(status, &document)
}

fn answer(status: StatusCode, document: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

/// An id for a problem and the log's line about it.
pub fn problem_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The answer when something that a request needs is away for now: 503 with `Retry-After`.
pub fn unavailable(title: &str, id: Option<&str>) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, title, id);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
