//! A broker by the specifications: takes CloudEvents, delivers each to every Trigger whose filters match, at least once —
//! every few events twice —, retries with backoff, and hands over what failed for good to the dead-letter sink.
//!
//! It is unkind on purpose: now and then it refuses an event for no reason.

use super::activator::Activator;
use super::manifests::{BrokerManifest, Delivery, Destination, Trigger};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// How much faster pauses pass.
const FASTER: u32 = 50;
/// Every which event is delivered twice.
const TWICE: usize = 3;
/// Every which event is refused at first.
const REFUSED: usize = 7;

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// `id`, `source`, `type`, …, and extensions.
    pub attributes: BTreeMap<String, String>,
    /// Of the body.
    pub content_type: String,
    /// Headers beside attributes that are to be kept.
    pub other: BTreeMap<String, String>,
    /// Its data.
    pub body: Bytes,
}

/// A broker.
pub struct Broker {
    manifest: BrokerManifest,
    triggers: Vec<Trigger>,
    services: BTreeMap<String, String>,
    port: u16,
    client: Client<HttpConnector, Full<Bytes>>,
    posts: AtomicUsize,
    refused: Mutex<BTreeSet<String>>,
    taken: Mutex<Vec<Event>>,
    pending: Mutex<BTreeMap<String, usize>>,
    attempts: Mutex<Vec<Attempt>>,
    lost: Mutex<Vec<String>>,
}

/// One delivery's attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The Trigger, or `<trigger> (dead letter)`.
    pub trigger: String,
    /// The event's id.
    pub event: String,
    /// What the subscriber answered; 0 if nothing.
    pub status: u16,
}

impl Broker {
    pub(super) async fn listen(
        manifest: BrokerManifest,
        triggers: Vec<Trigger>,
        services: &BTreeMap<String, Arc<Activator>>,
    ) -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let broker = Arc::new(Broker {
            manifest,
            triggers,
            services: services.iter().map(|(name, service)| (name.clone(), service.url())).collect(),
            port: listener.local_addr().expect("an address").port(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            posts: AtomicUsize::new(0),
            refused: Mutex::default(),
            taken: Mutex::default(),
            pending: Mutex::default(),
            attempts: Mutex::default(),
            lost: Mutex::default(),
        });
        let router = axum::Router::new().fallback(ingress).with_state(broker.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        broker
    }

    /// The origin of the class's ingress within a cluster.
    pub(super) fn origin(&self) -> String {
        let BrokerManifest { name, namespace, class } = &self.manifest;
        match class.as_str() {
            "Kafka" => "http://kafka-broker-ingress.knative-eventing.svc.cluster.local".to_owned(),
            "RabbitMQBroker" => format!("http://{name}-broker-ingress.{namespace}.svc.cluster.local"),
            _ => "http://broker-ingress.knative-eventing.svc.cluster.local".to_owned(),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where events are posted.
    pub fn ingress(&self) -> String {
        format!("{}{}", self.url(), self.path())
    }

    fn path(&self) -> String {
        let BrokerManifest { name, namespace, class } = &self.manifest;
        if class == "RabbitMQBroker" { "/".to_owned() } else { format!("/{namespace}/{name}") }
    }

    /// All events that it took, in order.
    pub fn taken(&self) -> Vec<Event> {
        self.taken.lock().expect("unpoisoned").clone()
    }

    /// All attempts to deliver, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().expect("unpoisoned").clone()
    }

    /// Events that not even the dead-letter sink took. There should be none.
    pub fn lost(&self) -> Vec<String> {
        self.lost.lock().expect("unpoisoned").clone()
    }

    /// How many deliveries are under way.
    pub fn under_way(&self) -> usize {
        self.pending.lock().expect("unpoisoned").values().sum()
    }

    /// Deliveries under way, by Trigger.
    pub fn pending(&self) -> BTreeMap<String, usize> {
        self.pending.lock().expect("unpoisoned").clone()
    }

    /// Takes an event and begins to deliver it.
    pub async fn publish(self: &Arc<Self>, event: Event) {
        let number = {
            let mut taken = self.taken.lock().expect("unpoisoned");
            taken.push(event.clone());
            taken.len()
        };
        for trigger in self.triggers.iter().filter(|trigger| matches(trigger, &event)) {
            let times = if number.is_multiple_of(TWICE) { 2 } else { 1 };
            for _ in 0..times {
                *self.pending.lock().expect("unpoisoned").entry(trigger.name.clone()).or_default() += 1;
                let (broker, trigger, event) = (self.clone(), trigger.clone(), event.clone());
                tokio::spawn(async move {
                    broker.deliver(&trigger, &event).await;
                    *broker.pending.lock().expect("unpoisoned").entry(trigger.name.clone()).or_default() -= 1;
                });
            }
        }
    }

    /// Every few events once, for no reason.
    fn refuses(&self, id: &str) -> bool {
        let mut refused = self.refused.lock().expect("unpoisoned");
        if refused.contains(id) || self.posts.fetch_add(1, Ordering::Relaxed) % REFUSED != REFUSED - 1 {
            return false;
        }
        refused.insert(id.to_owned())
    }

    async fn deliver(&self, trigger: &Trigger, event: &Event) {
        let delivery = &trigger.spec.delivery;
        let destination = self.address(&trigger.spec.subscriber);
        let failure = match self.attempts_at(&trigger.name, &destination, event, delivery).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        let mut letter = event.clone();
        letter.attributes.insert("knativeerrordest".to_owned(), destination);
        letter.attributes.insert("knativeerrorcode".to_owned(), failure.status.to_string());
        letter.attributes.insert("knativeerrordata".to_owned(), STANDARD.encode(&failure.body));
        let name = format!("{} (dead letter)", trigger.name);
        let sink = self.address(&delivery.dead_letter_sink);
        if self.attempts_at(&name, &sink, &letter, delivery).await.is_err() {
            let lost = format!("{} of {}", event.attributes["id"], trigger.name);
            self.lost.lock().expect("unpoisoned").push(lost);
        }
    }

    fn address(&self, destination: &Destination) -> String {
        let service = &destination.r#ref.name;
        let origin = self.services.get(service).unwrap_or_else(|| panic!("no Service {service}"));
        format!("{origin}{}", destination.uri)
    }

    async fn attempts_at(&self, name: &str, address: &str, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        let (delay, timeout) = (seconds(&delivery.backoff_delay), seconds(&delivery.timeout));
        let mut attempt = 0;
        loop {
            let answer = tokio::time::timeout(timeout, self.post(address, event)).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let (status, outcome) = judge(answer);
            let event = event.attributes["id"].clone();
            self.attempts.lock().expect("unpoisoned").push(Attempt { trigger: name.to_owned(), event, status });
            match outcome {
                Ok(()) => return Ok(()),
                Err(failure) if !failure.again || attempt >= delivery.retry => return Err(failure),
                Err(_) => {}
            }
            let factor = if delivery.backoff_policy == "linear" { attempt + 1 } else { 2_u32.saturating_pow(attempt) };
            tokio::time::sleep(delay * factor / FASTER).await;
            attempt += 1;
        }
    }

    async fn post(&self, address: &str, event: &Event) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let mut request = http::Request::builder().method(Method::POST).uri(address);
        request = request.header(header::CONTENT_TYPE, &event.content_type).header("prefer", "reply");
        for (name, value) in &event.attributes {
            request = request.header(format!("ce-{name}"), value);
        }
        for (name, value) in &event.other {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(event.body.clone())).map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((parts.status, parts.headers, body))
    }
}

struct Failure {
    again: bool,
    status: u16,
    body: Bytes,
}

/// Success is a 2xx with an empty body or with an event; a 2xx with anything else is a failure, and of the rest only some
/// are tried again.
fn judge(answer: Result<(StatusCode, HeaderMap, Bytes), String>) -> (u16, Result<(), Failure>) {
    let (status, headers, body) = match answer {
        Ok(answer) => answer,
        Err(reason) => return (0, Err(Failure { again: true, status: 500, body: reason.into() })),
    };
    let code = status.as_u16();
    let is_event = headers.contains_key("ce-id") && headers.contains_key("ce-type");
    if status.is_success() && (body.is_empty() || is_event) {
        return (code, Ok(()));
    }
    let again = status.is_success() || status.is_server_error() || matches!(code, 404 | 408 | 409 | 429);
    (code, Err(Failure { again, status: code, body }))
}

fn matches(trigger: &Trigger, event: &Event) -> bool {
    let equal = |(name, value): (&String, &String)| event.attributes.get(name) == Some(value);
    trigger.spec.filters.iter().all(|filter| filter.exact.iter().all(equal))
}

/// `PT65S`, `PT0.5S`.
fn seconds(text: &str) -> Duration {
    let number = text.strip_prefix("PT").and_then(|text| text.strip_suffix('S')).and_then(|text| text.parse().ok());
    Duration::from_secs_f64(number.unwrap_or_else(|| panic!("{text} is no duration in seconds")))
}

/// Takes events in binary mode: 202, or 400 with the reason.
async fn ingress(State(broker): State<Arc<Broker>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST || parts.uri.path() != broker.path() {
        return (StatusCode::NOT_FOUND, format!("{} {} is no broker", parts.method, parts.uri)).into_response();
    }
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    let event = match read(&parts.headers, body.to_bytes()) {
        Ok(event) => event,
        Err(reason) => return (StatusCode::BAD_REQUEST, reason).into_response(),
    };
    if broker.refuses(&event.attributes["id"]) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    broker.publish(event).await;
    StatusCode::ACCEPTED.into_response()
}

fn read(headers: &HeaderMap, body: Bytes) -> Result<Event, String> {
    let text = |name: &HeaderName, value: &HeaderValue| {
        let value = value.to_str().map_err(|_| format!("{name} is no text"))?.to_owned();
        Ok::<_, String>((name.as_str().to_owned(), value))
    };
    let (mut attributes, mut other) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in headers {
        let (name, value) = text(name, value)?;
        if let Some(attribute) = name.strip_prefix("ce-") {
            let good = attribute.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if !good || attributes.insert(attribute.to_owned(), value).is_some() {
                return Err(format!("{attribute} is no attribute's name, or stands twice"));
            }
        } else if matches!(name.as_str(), "traceparent" | "tracestate") {
            other.insert(name, value);
        }
    }
    for name in ["id", "source", "type", "specversion"] {
        if attributes.get(name).is_none_or(String::is_empty) {
            return Err(format!("ce-{name} is missing"));
        }
    }
    if attributes["specversion"] != "1.0" {
        return Err("not of CloudEvents 1.0".to_owned());
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.ok_or("content-type is missing")?.to_owned();
    Ok(Event { attributes, content_type, other, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> (bool, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let (_, outcome) =
            judge(Ok((StatusCode::from_u16(status).expect("a status"), map, Bytes::from_static(body.as_bytes()))));
        (outcome.is_ok(), outcome.is_err_and(|failure| failure.again))
    }

    #[test]
    fn answers_are_judged_by_the_specifications() {
        assert_eq!(answer(202, &[], ""), (true, false));
        assert_eq!(answer(200, &[("ce-id", "1"), ("ce-type", "t")], "{}"), (true, false));
        assert_eq!(answer(200, &[], "ok"), (false, true));
        for again in [404, 408, 409, 429, 500, 503] {
            assert_eq!(answer(again, &[], ""), (false, true), "{again}");
        }
        for never in [400, 401, 413, 422] {
            assert_eq!(answer(never, &[], ""), (false, false), "{never}");
        }
        assert!(judge(Err("away".to_owned())).1.is_err_and(|failure| failure.again));
    }

    #[test]
    fn only_events_are_taken() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        let good = [
            ("ce-id", "1"),
            ("ce-source", "//shop/x"),
            ("ce-type", "t"),
            ("ce-specversion", "1.0"),
            ("content-type", "application/json"),
        ];
        assert!(read(&headers(&good), Bytes::new()).is_ok());
        for missing in 0..good.len() {
            let rest: Vec<_> =
                good.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, pair)| *pair).collect();
            assert!(read(&headers(&rest), Bytes::new()).is_err(), "without {}", good[missing].0);
        }
        let mut bad = good.to_vec();
        bad.push(("ce-ship_to", "eu"));
        assert!(read(&headers(&bad), Bytes::new()).is_err());
    }
}
