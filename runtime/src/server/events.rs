//! Events on their way from the broker to handlers: `/_updraft/events/<handler>`.
//!
//! Answers follow what brokers do with them: 202 with an empty body is success (a body that is no event counts as failure),
//! 5xx is tried again, and other 4xx may lose the message, so there are none: what can't succeed becomes a dead letter of
//! ours before it is accepted.

use crate::ctx::{Ctx, Event, Verdict};
use crate::deadletter::DeadLetter;
use crate::dispatch::{self, Failure, FailureKind};
use crate::engine::{Channel, Message};
use crate::inflight::InFlight;
use crate::message::{HANDLER, SKEW_UNTIL};
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use crate::router::Undropped;
use crate::server::client::Client;
use crate::server::cloudevent::{self, CloudEvent, Unreadable};
use crate::server::once::{Guarded, Once};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use http_body_util::LengthLimitError;
use jiff::{Timestamp, TimestampRound, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;
use updraft_wire::envelope;
use updraft_wire::ids::dotted;

/// A message in structured mode may be base64, and its metadata lies in the body.
const BODY_LIMIT_BYTES: usize = 2 * MESSAGE_LIMIT_BYTES;
const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a message that only a newer version can read is held before it is published again.
const RETURN_PAUSE: Duration = Duration::from_secs(2);
/// How much of a failure's reason the broker is told: it keeps it beside the message it gives up.
const REASON_LIMIT_BYTES: usize = 600;

/// What takes events.
pub(crate) struct Events {
    /// The application.
    pub(crate) ctx: Ctx,
    /// This unit's handlers, by their id as it stands in a path.
    pub(crate) handlers: BTreeMap<String, &'static Handler>,
    /// Work in progress.
    pub(crate) in_flight: InFlight,
    /// For dead letters.
    pub(crate) client: Client,
    /// Where dead letters go.
    pub(crate) dead_letters: Option<Uri>,
    /// What is done, for handlers with `once`.
    completions: Option<Once>,
    /// Handlers with `once`, and how long they remember.
    once: BTreeMap<&'static str, Duration>,
}

impl Events {
    /// Takes `handlers`' events.
    pub(crate) fn new(
        ctx: Ctx,
        handlers: &[&'static Handler],
        in_flight: InFlight,
        client: Client,
        dead_letters: Option<Uri>,
    ) -> Self {
        let handlers = handlers
            .iter()
            .filter(|handler| handler.takes_events())
            .map(|handler| (dotted(handler.id), *handler))
            .collect();
        let (completions, once) = (None, BTreeMap::new());
        Events { ctx, handlers, in_flight, client, dead_letters, completions, once }
    }

    /// The same, where handlers with `once` record there what they are done with.
    pub(crate) fn once(mut self, completions: Option<Once>) -> Self {
        self.once = self.handlers.values().filter_map(|handler| Some((handler.id, handler.once()?))).collect();
        self.completions = completions;
        self
    }

    /// The paths of events.
    pub(crate) fn router(self) -> Router {
        let path = updraft_wire::ids::event_path("{handler}");
        Router::new().route(&path, post(take)).with_state(Arc::new(self))
    }
}

async fn take(State(events): State<Arc<Events>>, Path(handler): Path<String>, request: Request) -> Response {
    let Some(handler) = events.handlers.get(&handler).copied() else {
        // Another unit's, or one of a newer version: a rollout is under way, or soon will be undone.
        return answer(StatusCode::SERVICE_UNAVAILABLE, "this unit has no such handler");
    };
    let in_flight = events.in_flight.enter();
    let work = Box::pin(async move {
        let _in_flight = in_flight;
        events.deliver(handler, request).await
    });
    Undropped(Some(work)).await
}

impl Events {
    async fn deliver(&self, handler: &'static Handler, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let redriven = parts.headers.contains_key(envelope::REDRIVE);
        let (body, reason) = match axum::body::to_bytes(body, BODY_LIMIT_BYTES).await {
            Ok(body) => match cloudevent::read(&parts.headers, body.clone()) {
                Ok(event) => return self.attempt(handler, event, redriven).await,
                Err(Unreadable(reason)) => (body, format!("not a CloudEvent: {reason}")),
            },
            Err(error) if is_too_long(&error) => {
                (Bytes::new(), format!("its body is longer than {BODY_LIMIT_BYTES} bytes"))
            }
            Err(_) => return answer(StatusCode::SERVICE_UNAVAILABLE, "the body ended early"),
        };
        if redriven {
            return failed(&Failure { kind: FailureKind::Permanent, reason });
        }
        self.unreadable(handler, &parts.headers, body, reason).await
    }

    async fn attempt(&self, handler: &'static Handler, event: CloudEvent, redriven: bool) -> Response {
        let (started, first) = (Instant::now(), self.ctx.clock().now());
        let CloudEvent { event_type, time, mut message, .. } = event;
        message.time = time.unwrap_or(first);
        if message.attributes.get(HANDLER).is_some_and(|only| only != handler.id) {
            return accepted(); // published again for another handler, which could not read it at first
        }
        let trigger = match &handler.dispatch {
            Dispatch::Schedule { .. } => "schedule",
            Dispatch::Subscriber { .. } => "subscriber",
            Dispatch::Object { .. } => "object",
            _ => "consumer",
        };
        let work = async {
            if let Dispatch::Schedule { .. } = handler.dispatch {
                let tick = Tick { scheduled: due(message.time), attempt: None };
                return dispatch::run(&self.ctx, handler, tick, message.trace.clone()).await;
            }
            let incoming = Incoming { message: message.clone(), attempt: None };
            dispatch::deliver(&self.ctx, handler, incoming).await
        };
        let completions = self.completions.as_ref().zip(self.once.get(handler.id).copied());
        let timeout = Duration::from_millis(handler.timeout_millis);
        let outcome = match Guarded::run(completions, (handler.id, &message.id), timeout, work).await {
            Guarded::Ran(outcome) => outcome,
            Guarded::Done => {
                tracing::info!(handler = handler.id, message = message.id, "came again, and was done");
                return accepted();
            }
            Guarded::Busy => {
                return answer(StatusCode::SERVICE_UNAVAILABLE, "another delivery of this message still runs");
            }
            Guarded::Unknown(error) => {
                tracing::error!(handler = handler.id, message = message.id, %error, "can't tell whether it is done");
                return answer(StatusCode::SERVICE_UNAVAILABLE, "what is done can't be looked up");
            }
        };
        let failure = match &outcome {
            Ok(()) => None,
            Err(failure) => Some((
                failure,
                match failure.kind {
                    FailureKind::Permanent | FailureKind::Skew { until: None } => Verdict::DeadLetter,
                    FailureKind::Skew { until: Some(_) } => Verdict::Return(RETURN_PAUSE),
                    // When is the broker's to say.
                    FailureKind::Error | FailureKind::Panic | FailureKind::Timeout => Verdict::Retry(Duration::ZERO),
                },
            )),
        };
        let verdict = failure.map(|(_, verdict)| verdict);
        self.ctx.observe(&Event::Finished {
            handler: handler.id,
            trigger,
            message: Some(&message.id),
            attempt: 1,
            elapsed: started.elapsed(),
            failure,
        });
        let Err(failure) = outcome else { return accepted() };
        let (kind, reason) = (failure.kind.as_str(), failure.reason.as_str());
        let trace_id = message.trace_id();
        tracing::warn!(handler = handler.id, message_id = message.id, trace_id, kind, reason, "a message failed");
        match verdict {
            // There is a letter already, and whoever redrives it is told.
            _ if redriven => return failed(&failure),
            Some(Verdict::Return(pause)) => return self.put_back(handler, message, &failure, pause).await,
            Some(Verdict::DeadLetter) => {}
            Some(Verdict::Retry(_) | Verdict::Answer) | None => return failed(&failure),
        }
        let times = (first, self.ctx.clock().now());
        let letter = DeadLetter::new(handler, resource(handler), event_type, &message, &failure, None, times);
        self.give_up(&letter).await
    }

    /// Publishes a message again that only a newer version of the program can read, with the same id: the broker counts no
    /// attempt, and by then that version may be there. The pause keeps it from going in circles.
    async fn put_back(
        &self,
        handler: &'static Handler,
        mut message: Message,
        failure: &Failure,
        pause: Duration,
    ) -> Response {
        let until = failure.kind.returned_until().unwrap_or(Timestamp::MAX);
        message.attributes.insert(SKEW_UNTIL.to_owned(), until.to_string());
        let channel = match handler.dispatch {
            Dispatch::Consumer { queue, .. } | Dispatch::Batch { queue, .. } => Channel::Queue(queue),
            Dispatch::Subscriber { topic, .. } => {
                // A topic's other subscribers have their copy.
                message.attributes.insert(HANDLER.to_owned(), handler.id.to_owned());
                Channel::Topic(topic)
            }
            Dispatch::Object { .. }
            | Dispatch::Schedule { .. }
            | Dispatch::Http { .. }
            | Dispatch::Function { .. }
            | Dispatch::Routes { .. }
            | Dispatch::Layer { .. }
            | Dispatch::Shared { .. } => return failed(failure),
        };
        self.ctx.clock().sleep_until(self.ctx.deadline(pause)).await;
        match self.ctx.engines().messaging.publish(channel, vec![message], Duration::ZERO).await {
            Ok(()) => accepted(),
            Err(error) => {
                tracing::error!(handler = handler.id, %error, "a newer version's message could not be published again");
                answer(StatusCode::SERVICE_UNAVAILABLE, "the message could not be published again")
            }
        }
    }

    async fn unreadable(&self, handler: &Handler, headers: &HeaderMap, body: Bytes, reason: String) -> Response {
        tracing::error!(handler = handler.id, reason, "an unreadable message");
        let now = self.ctx.clock().now();
        let failure = Failure { kind: FailureKind::Permanent, reason };
        let id = headers.get(envelope::ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
        // Without an id, its contents say whether it came before.
        let id = id.map_or_else(|| format!("blake3-{}", blake3::hash(&body).to_hex()), str::to_owned);
        let message = Message {
            id,
            source: String::new(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: BTreeMap::new(),
            body,
        };
        let times = (now, now);
        let mut letter = DeadLetter::new(handler, resource(handler), String::new(), &message, &failure, None, times);
        letter.headers = text_headers(headers);
        self.give_up(&letter).await
    }

    /// Keeps the letter, then accepts the message; or has the broker try again.
    async fn give_up(&self, letter: &DeadLetter) -> Response {
        let Some(url) = &self.dead_letters else {
            let reason = format!("the binding names no `dead_letter_url`: {}", letter.reason);
            return failed(&Failure { kind: FailureKind::Permanent, reason });
        };
        let Err(problem) = post_letter(&self.client, url, letter).await else { return accepted() };
        tracing::error!(handler = letter.handler, message_id = letter.id, problem, "a dead letter could not be kept");
        answer(StatusCode::INTERNAL_SERVER_ERROR, "the dead letter could not be kept")
    }
}

/// Hands a letter to the unit that keeps them. `Ok` says that it is kept.
pub(crate) async fn post_letter(client: &Client, url: &Uri, letter: &DeadLetter) -> Result<(), String> {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(RECORD))]);
    let body = serde_json::to_vec(letter).map_err(|error| error.to_string())?;
    match client.post(url, headers, body.into(), DEAD_LETTER_TIMEOUT).await {
        Ok((status, _)) if status.is_success() => Ok(()),
        Ok((status, text)) => Err(format!("{status} {text}")),
        Err(reason) => Err(reason),
    }
}

/// The type of a dead letter's record.
pub(crate) const RECORD: &str = "application/vnd.updraft.dead-letter+json";

/// The headers that make up the event, where they are text; attributes are decoded, as a letter keeps them.
pub(crate) fn text_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let ours = |name: &str| {
        name.starts_with(envelope::EXTENSION_PREFIX)
            || [envelope::TRACE_PARENT, envelope::TRACE_STATE, "content-type"].contains(&name)
    };
    let text = headers.iter().filter(|(name, _)| ours(name.as_str()));
    let read = |(name, value): (&HeaderName, &HeaderValue)| {
        let text = value.to_str().ok()?;
        let attribute = name.as_str().starts_with(envelope::EXTENSION_PREFIX);
        let decoded = attribute.then(|| cloudevent::decode(text.as_bytes())).flatten();
        Some((name.as_str().to_owned(), decoded.unwrap_or_else(|| text.to_owned())))
    };
    text.filter_map(read).collect()
}

/// What a handler takes messages from, as dead letters name it.
pub(crate) fn resource(handler: &Handler) -> &'static str {
    match handler.dispatch {
        Dispatch::Consumer { queue, .. } | Dispatch::Batch { queue, .. } => queue,
        Dispatch::Subscriber { topic, .. } => topic,
        Dispatch::Object { bucket, .. } => bucket,
        Dispatch::Schedule { .. }
        | Dispatch::Http { .. }
        | Dispatch::Function { .. }
        | Dispatch::Routes { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => handler.id,
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Cron has minutes; the event was made a moment after its minute began.
fn due(time: Timestamp) -> Timestamp {
    let floor = TimestampRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc);
    time.round(floor).unwrap_or(time)
}

fn accepted() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// A failure as the broker is told it. It stands beside the message among the dead letters, should this be the last attempt;
/// nobody outside the cluster sees it.
fn failed(failure: &Failure) -> Response {
    let mut end = failure.reason.len().min(REASON_LIMIT_BYTES);
    while !failure.reason.is_char_boundary(end) {
        end -= 1;
    }
    let told = Told { kind: failure.kind.as_str().to_owned(), reason: failure.reason[..end].to_owned() };
    let mut response = Response::new(Body::from(serde_json::to_vec(&told).unwrap_or_default()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What a failed delivery's answer says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Told {
    /// `error`, `permanent`, `panic`, `timeout` or `skew`.
    pub(crate) kind: String,
    /// What went wrong.
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_due_at_full_minutes() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(due(time("2026-11-23T03:00:01.25Z")), time("2026-11-23T03:00:00Z"));
        assert_eq!(due(time("2026-11-23T03:00:59.99Z")), time("2026-11-23T03:00:00Z"));
        assert_eq!(due(time("2026-11-23T03:00:00Z")), time("2026-11-23T03:00:00Z"));
    }
}
