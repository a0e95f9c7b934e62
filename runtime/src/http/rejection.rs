//! What axum's own extractors say to a request that they can't take, as problem+json.

use crate::problem::{problem, problem_id, problem_with_detail};
use crate::server::bodies::TOO_SLOW;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body_util::BodyExt;

/// The answer to a request that an extractor refuses. What a user's own extractor says is left as it is.
pub(super) fn rejected<R: IntoResponse>(rejection: R) -> Response {
    let response = rejection.into_response();
    if is_axums(std::any::type_name::<R>()) { retold(response) } else { response }
}

/// The answer where a request is not what an extractor takes: status and reason are axum's.
pub(super) fn refused(status: StatusCode, title: &str, reason: &str) -> Response {
    if reason.contains(TOO_SLOW) {
        return problem(StatusCode::REQUEST_TIMEOUT, "The body did not come in time", None);
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => problem(status, "The body is too large", None),
        status => problem_with_detail(status, title, reason),
    }
}

/// By name, since axum's rejections have nothing else in common; a test holds the names.
fn is_axums(name: &str) -> bool {
    let path = name.split('<').next().unwrap_or(name);
    path.starts_with("axum") && path.ends_with("Rejection")
}

fn retold(response: Response) -> Response {
    let status = response.status();
    // Its words are there already: nothing is waited for.
    let words = response.into_body().collect().now_or_never().and_then(Result::ok);
    let words = words.map(|words| String::from_utf8_lossy(&words.to_bytes()).into_owned()).unwrap_or_default();
    if status.is_server_error() {
        let id = problem_id();
        tracing::error!(id, reason = words, "a parameter could not be extracted");
        return problem(status, "Internal error", Some(&id));
    }
    refused(status, "The request is not what this takes", &words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::rejection::{BytesRejection, ExtensionRejection, JsonRejection, PathRejection, QueryRejection};
    use std::any::type_name;

    #[test]
    fn axums_own_are_known_by_their_names() {
        for name in [
            type_name::<BytesRejection>(),
            type_name::<ExtensionRejection>(),
            type_name::<JsonRejection>(),
            type_name::<PathRejection>(),
            type_name::<QueryRejection>(),
        ] {
            assert!(is_axums(name), "{name}");
        }
        for name in
            [type_name::<Response>(), type_name::<(StatusCode, String)>(), type_name::<axum::response::Redirect>()]
        {
            assert!(!is_axums(name), "{name}");
        }
    }
}
