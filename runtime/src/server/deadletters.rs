//! The dead-letter unit: takes the runtime's own records and what a broker's dead-letter sink delivers, and keeps both as
//! the same records. A letter that comes again is kept once.

use crate::ctx::{Ctx, Event};
use crate::deadletter::{self, DeadLetter};
use crate::engine::{Expect, StoreEngine};
use crate::registry;
use crate::server::cloudevent;
use crate::server::engines::DEAD_LETTERS;
use crate::server::events::{RECORD, Told, resource};
use crate::telemetry::spans;
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use std::sync::Arc;
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;
use updraft_wire::envelope;
use updraft_wire::ids::{DEAD_LETTER_PATH, dotted, event_path};

/// A record holds a message's body as base64, inside a message's own limit doubled.
const BODY_LIMIT_BYTES: usize = 4 * MESSAGE_LIMIT_BYTES;

/// The handler of letters whose sender is unknown.
const UNKNOWN: &str = "unknown";

/// The unit's paths: with the handler at the end where a trigger's own sink names it, without for a broker's.
pub(crate) fn router(store: Arc<dyn StoreEngine>, ctx: Ctx) -> Router {
    let keeper = Keeper { store, ctx };
    let unnamed = |State(keeper): State<Keeper>, headers: HeaderMap, body: Bytes| async move {
        keep(&keeper, None, &headers, body).await
    };
    let named = |State(keeper): State<Keeper>, Path(handler): Path<String>, headers: HeaderMap, body: Bytes| async move {
        keep(&keeper, Some(&handler), &headers, body).await
    };
    Router::new()
        .route(DEAD_LETTER_PATH, post(unnamed))
        .route(&format!("{DEAD_LETTER_PATH}/{{handler}}"), post(named))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(keeper)
}

#[derive(Clone)]
struct Keeper {
    store: Arc<dyn StoreEngine>,
    ctx: Ctx,
}

async fn keep(keeper: &Keeper, handler: Option<&str>, headers: &HeaderMap, body: Bytes) -> Response {
    let letter = match read(handler, headers, body) {
        Ok(letter) => letter,
        // 400 would make some brokers forget the message.
        Err(problem) => return refused(&problem),
    };
    let value = serde_json::to_vec(&letter).unwrap_or_default();
    match keeper.store.put(DEAD_LETTERS, letter.key().as_bytes(), value.into(), Expect::Absent, None).await {
        Ok(new) => {
            let (handler, message, reason) = (&letter.handler, letter.message(), &letter.reason);
            tracing::info!(
                handler,
                message_id = message.id,
                trace_id = message.trace_id(),
                reason,
                new,
                "a dead letter"
            );
            if new {
                let DeadLetter { resource, kind, .. } = &letter;
                spans::dead_letter(&keeper.ctx, handler, resource, &message, (kind, reason));
                keeper.ctx.observe(&Event::Buried { handler, resource, kind });
            }
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(problem: &str) -> Response {
    tracing::error!(problem, "a dead letter could not be kept");
    let mut response = Response::new(Body::from("the dead letter could not be kept"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn read(handler: Option<&str>, headers: &HeaderMap, body: Bytes) -> Result<DeadLetter, String> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type == RECORD {
        return serde_json::from_slice(&body).map_err(|error| format!("an unreadable record: {error}"));
    }
    Ok(from_broker(handler, headers, body, Timestamp::now()))
}

/// What a dead-letter sink is sent: the event, and in extensions the address that failed, its status and its answer.
fn from_broker(handler: Option<&str>, headers: &HeaderMap, body: Bytes, now: Timestamp) -> DeadLetter {
    let event = cloudevent::read(headers, body.clone());
    let (event_type, time, mut message) = match event {
        Ok(event) => (event.event_type, event.time, event.message),
        Err(problem) => return unreadable(handler, headers, body, now, problem.to_string()),
    };
    let mut extension = |name: &str| message.attributes.remove(name.trim_start_matches(envelope::EXTENSION_PREFIX));
    let destination = extension(envelope::KNATIVE_ERROR_DEST);
    let status = extension(envelope::KNATIVE_ERROR_CODE);
    let data = extension(envelope::KNATIVE_ERROR_DATA);
    let handler =
        id(handler.or_else(|| destination.as_deref()?.split_once(&event_path(""))?.1.split(['?', '/']).next()));
    let data = data.map(|data| match STANDARD.decode(&data) {
        Ok(decoded) => String::from_utf8_lossy(&decoded).into_owned(),
        Err(_) => data,
    });
    let told: Option<Told> = data.as_deref().and_then(|data| serde_json::from_str(data).ok());
    let (kind, reason) = match told {
        Some(Told { kind, reason }) => (kind, reason),
        None => {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| format!("answer {status}"));
            let data = data.filter(|data| !data.is_empty()).map(|data| format!(": {data}")).unwrap_or_default();
            ("error".to_owned(), format!("the broker gave up: {status}{data}"))
        }
    };
    message.time = time.unwrap_or(Timestamp::UNIX_EPOCH);
    let headers = deadletter::headers(event_type.clone(), &message);
    DeadLetter {
        resource: registered(&handler).map_or_else(|| event_type.clone(), |handler| resource(handler).to_owned()),
        id: message.id,
        handler,
        reason,
        kind,
        attempts: None,
        first: format!("{:.6}", message.time),
        last: format!("{now:.6}"),
        headers,
        body: message.body,
    }
}

/// Something that is no event at all is kept as it is, rather than lost.
fn unreadable(handler: Option<&str>, headers: &HeaderMap, body: Bytes, now: Timestamp, reason: String) -> DeadLetter {
    let handler = id(handler);
    DeadLetter {
        resource: registered(&handler).map_or_else(String::new, |handler| resource(handler).to_owned()),
        id: format!("blake3-{}", blake3::hash(&body).to_hex()),
        handler,
        reason,
        kind: "permanent".to_owned(),
        attempts: None,
        first: format!("{now:.6}"),
        last: format!("{now:.6}"),
        headers: super::events::text_headers(headers),
        body,
    }
}

/// A handler's id from how it stands in paths.
fn id(handler: Option<&str>) -> String {
    let Some(handler) = handler.filter(|handler| !handler.is_empty()) else { return UNKNOWN.to_owned() };
    let known = registry::HANDLERS.iter().find(|known| dotted(known.id) == handler);
    known.map_or_else(|| handler.replace('.', "::"), |known| known.id.to_owned())
}

fn registered(id: &str) -> Option<&'static registry::Handler> {
    registry::HANDLERS.iter().find(|handler| handler.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(more: &[(&str, &str)]) -> HeaderMap {
        let core = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "//shop/shop::orders::place_order"),
            ("ce-type", "shop.queue.orders"),
            ("ce-time", "2026-11-23T07:00:00Z"),
            ("ce-region", "eu"),
            ("content-type", "application/json"),
        ];
        let all = core.iter().chain(more);
        all.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_brokers_delivery_becomes_a_record() {
        let told = STANDARD.encode(r#"{"kind": "timeout", "reason": "took longer than 60s"}"#);
        let headers = delivery(&[
            ("ce-knativeerrordest", "http://orders-events.shop.svc.cluster.local/_updraft/events/shop.orders.ship"),
            ("ce-knativeerrorcode", "500"),
            ("ce-knativeerrordata", &told),
        ]);
        let now = "2026-11-23T08:00:00Z".parse().expect("a time");
        let letter = from_broker(None, &headers, Bytes::from_static(b"{}"), now);
        assert_eq!((letter.handler.as_str(), letter.kind.as_str()), ("shop::orders::ship", "timeout"));
        assert_eq!(letter.reason, "took longer than 60s");
        assert_eq!(
            (letter.first.as_str(), letter.last.as_str()),
            ("2026-11-23T07:00:00.000000Z", "2026-11-23T08:00:00.000000Z")
        );
        assert_eq!(letter.headers["ce-region"], "eu");
        assert!(letter.headers.keys().all(|name| !name.contains("knativeerror")), "{:?}", letter.headers);
        assert_eq!(letter.message().body, "{}");

        let named = from_broker(Some("shop.audit.record"), &headers, Bytes::new(), now);
        assert_eq!(named.handler, "shop::audit::record", "the path is trusted more than the extension");
        let later = from_broker(None, &headers, Bytes::from_static(b"{}"), Timestamp::now());
        assert_eq!(later.key(), letter.key(), "whenever it comes, it is the same letter");
        assert_ne!(named.key(), letter.key(), "another handler's letter is another");
    }

    #[test]
    fn attributes_are_kept_as_they_are_and_not_as_headers_write_them() {
        let mut headers = delivery(&[]);
        headers.insert("ce-region", "%C3%BC%20%2541".parse().expect("a value"));
        let letter = from_broker(Some("a.b"), &headers, Bytes::new(), Timestamp::now());
        assert_eq!(letter.headers["ce-region"], "ü %41");
        let again = cloudevent::headers("shop.queue.orders", &letter.message());
        assert_eq!(again["ce-region"], headers["ce-region"], "redriven, they are what they were");
        headers.remove("ce-specversion");
        let letter = from_broker(Some("a.b"), &headers, Bytes::new(), Timestamp::now());
        assert_eq!((letter.kind.as_str(), letter.headers["ce-region"].as_str()), ("permanent", "ü %41"));
    }

    #[test]
    fn whatever_comes_is_kept() {
        let letter = from_broker(None, &delivery(&[("ce-knativeerrorcode", "503")]), Bytes::new(), Timestamp::now());
        assert_eq!((letter.handler.as_str(), letter.resource.as_str()), (UNKNOWN, "shop.queue.orders"));
        assert_eq!(letter.reason, "the broker gave up: answer 503");
        let letter = from_broker(Some("a.b"), &HeaderMap::new(), Bytes::from_static(b"\xff"), Timestamp::now());
        assert_eq!((letter.handler.as_str(), &letter.body[..]), ("a::b", &b"\xff"[..]));
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, RECORD.parse().expect("a value"))]);
        assert!(read(None, &headers, Bytes::from_static(b"{}")).is_err());
        let json = serde_json::to_vec(&letter).expect("JSON");
        assert_eq!(read(None, &headers, json.into()), Ok(letter));
    }
}
