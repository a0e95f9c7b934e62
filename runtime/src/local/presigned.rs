//! What answers a laptop's presigned URLs: as an S3 server does, where the two can be told apart.

use crate::embedded::{Claim, Embedded, Forbidden};
use crate::engine::{BucketEngine, EngineError, Meta, Reading, within};
use crate::problem::{problem, unavailable};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use futures_util::{StreamExt, TryStreamExt};
use std::ops::Range;
use updraft_wire::ids::PRESIGNED_PATH;

/// The one route.
pub(crate) fn router(engine: Embedded) -> Router {
    Router::new().route(&format!("{PRESIGNED_PATH}{{token}}"), any(answer)).with_state(engine)
}

async fn answer(State(engine): State<Embedded>, Path(token): Path<String>, request: Request) -> Response {
    let claim = match engine.allowed(&token, request.method()) {
        Ok(claim) => claim,
        Err(Forbidden::Expired) => return problem(StatusCode::FORBIDDEN, "This URL has expired", None),
        Err(Forbidden::Forged) => return problem(StatusCode::FORBIDDEN, "This URL allows no such request", None),
    };
    let outcome = match *request.method() {
        Method::PUT => put(&engine, &claim, request).await,
        _ => get(&engine, &claim, request.headers()).await,
    };
    outcome.unwrap_or_else(|error| {
        tracing::error!(bucket = claim.bucket, key = claim.key, %error, "a presigned URL could not be answered");
        unavailable("The bucket can't be reached", None)
    })
}

async fn get(engine: &Embedded, claim: &Claim, headers: &HeaderMap) -> Result<Response, EngineError> {
    let not_found = || problem(StatusCode::NOT_FOUND, "There is no such blob", None);
    let outside = |size: u64| {
        let mut refused = problem(StatusCode::RANGE_NOT_SATISFIABLE, "The blob has no such part", None);
        let size = HeaderValue::from_str(&format!("bytes */{size}"));
        refused.headers_mut().extend(size.ok().map(|size| (CONTENT_RANGE, size)));
        refused
    };
    let Some(meta) = engine.head(&claim.bucket, &claim.key).await? else { return Ok(not_found()) };
    let part = match part(headers, &meta) {
        Part::Whole => None,
        Part::Of(range) => Some(range),
        Part::Outside => return Ok(outside(meta.size)),
    };
    let is_part = part.is_some();
    let Some(reading) = engine.read(&claim.bucket, &claim.key, part).await? else { return Ok(not_found()) };
    let Reading { meta, range, body } = reading;
    if is_part && range.is_empty() {
        // It was written since, and is shorter now.
        return Ok(outside(meta.size));
    }
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // It is a stranger's blob, at the application's own origin.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let content_type = meta.content_type.as_deref().unwrap_or("application/octet-stream");
    let shown = is_part.then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size));
    for (name, value) in
        [(CONTENT_TYPE, Some(content_type)), (ETAG, Some(&meta.etag)), (CONTENT_RANGE, shown.as_deref())]
    {
        headers.extend(value.and_then(|value| HeaderValue::from_str(value).ok()).map(|value| (name, value)));
    }
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

async fn put(engine: &Embedded, claim: &Claim, request: Request) -> Result<Response, EngineError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if claim.content_type.is_some() && claim.content_type != content_type {
        return Ok(problem(StatusCode::FORBIDDEN, "This URL allows another content type", None));
    }
    let body = request.into_body().into_data_stream().map_err(|error| EngineError::Other(error.into())).boxed();
    match engine.write(&claim.bucket, &claim.key, body, content_type.as_deref()).await {
        // What the client sends broke off: nothing was written.
        Err(EngineError::Other(_)) => Ok(problem(StatusCode::BAD_REQUEST, "The body could not be read", None)),
        written => written.map(|()| Response::default()),
    }
}

/// What of a blob is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Of(Range<u64>),
    Outside,
}

/// One range of bytes is understood; several at once, other units and what is no range are passed over, as they may be.
fn part(headers: &HeaderMap, meta: &Meta) -> Part {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let same = text(IF_RANGE).is_none_or(|etag| etag == meta.etag);
    let asked = text(RANGE).filter(|_| same).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let range = match asked {
        Some(("", last)) => number(last).map(|last| meta.size.saturating_sub(last)..meta.size),
        Some((first, "")) => number(first).map(|first| first..u64::MAX),
        Some((first, last)) => {
            let ends = number(first).zip(number(last));
            ends.filter(|(first, last)| first <= last).map(|(first, last)| first..last.saturating_add(1))
        }
        None => None,
    };
    match range.map(|range| within(Some(range), meta.size)) {
        None => Part::Whole,
        Some(range) if range.is_empty() => Part::Outside,
        Some(range) => Part::Of(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_clients_write_them() {
        let meta = Meta { size: 10, etag: "\"a\"".into(), content_type: None, modified: jiff::Timestamp::UNIX_EPOCH };
        for (range, if_range, expected) in [
            (None, None, Part::Whole),
            (Some("bytes=0-0"), None, Part::Of(0..1)),
            (Some("bytes=2-5"), None, Part::Of(2..6)),
            (Some("bytes=2-5"), Some("\"a\""), Part::Of(2..6)),
            (Some("bytes=2-5"), Some("\"b\""), Part::Whole),
            (Some("bytes=5-"), None, Part::Of(5..10)),
            (Some("bytes=5-18446744073709551615"), None, Part::Of(5..10)),
            (Some("bytes=-3"), None, Part::Of(7..10)),
            (Some("bytes=-30"), None, Part::Of(0..10)),
            (Some("bytes=-0"), None, Part::Outside),
            (Some("bytes=10-"), None, Part::Outside),
            (Some("bytes=10-11"), None, Part::Outside),
            (Some("bytes=5-2"), None, Part::Whole),
            (Some("bytes=-"), None, Part::Whole),
            (Some("bytes=+1-2"), None, Part::Whole),
            (Some("bytes=0-1,3-4"), None, Part::Whole),
            (Some("lines=0-1"), None, Part::Whole),
            (Some("bytes=99999999999999999999-"), None, Part::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(range.map(|range| (RANGE, HeaderValue::from_static(range))));
            headers.extend(if_range.map(|etag| (IF_RANGE, HeaderValue::from_static(etag))));
            assert_eq!(part(&headers, &meta), expected, "{range:?} {if_range:?}");
        }
    }
}
