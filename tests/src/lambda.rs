//! Lambda as a program sees it: its Runtime API, which hands out one event at a time, and as much of its Extensions API as a
//! runtime asks for.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use updraft_wire::aws::events::HEAD_ENDS;

/// How long a program may take for an event, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// A function's time unless a test says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was answered so.
    Answer(Value),
    /// It was answered piece by piece: with this head and body, and why it broke off if it did, as an error's type and words.
    Streamed(Value, Vec<u8>, Option<(String, String)>),
    /// It came to nothing: the error's type and its words.
    Error(String, String),
}

impl Outcome {
    /// The answer.
    ///
    /// # Panics
    /// If there is none.
    pub fn answer(self) -> Value {
        match self {
            Outcome::Answer(answer) => answer,
            Outcome::Streamed(head, ..) => panic!("in pieces, after {head}"),
            Outcome::Error(kind, message) => panic!("{kind}: {message}"),
        }
    }
}

/// Lambda.
pub struct Lambda {
    shared: Arc<Shared>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    next: Mutex<u64>,
    events: mpsc::UnboundedSender<Event>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    running: Mutex<BTreeMap<String, oneshot::Sender<Outcome>>>,
    start: Mutex<Option<Outcome>>,
    extensions: Mutex<Vec<String>>,
}

struct Event {
    id: String,
    body: String,
    timeout: Duration,
    trace: Option<String>,
}

impl Lambda {
    /// Listens.
    ///
    /// # Panics
    /// If it can't.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (events, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            next: Mutex::default(),
            events,
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            start: Mutex::default(),
            extensions: Mutex::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(not_started))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(std::future::pending::<()>))
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Lambda { shared, port, task }
    }

    /// What `AWS_LAMBDA_RUNTIME_API` says.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Invokes the function, once it asks for an event.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        self.invoke_within(event, TIMEOUT, None).await
    }

    /// The same with so much time, and X-Ray's trace.
    ///
    /// # Panics
    /// If nothing comes of it in time.
    pub async fn invoke_within(&self, event: &Value, timeout: Duration, trace: Option<&str>) -> Outcome {
        let id = {
            let mut next = lock(&self.shared.next);
            *next += 1;
            format!("request-{next}")
        };
        let (done, outcome) = oneshot::channel();
        lock(&self.shared.running).insert(id.clone(), done);
        let event = Event { id, body: event.to_string(), timeout, trace: trace.map(str::to_owned) };
        self.shared.events.send(event).unwrap_or_else(|_| panic!("Lambda is there"));
        let outcome = tokio::time::timeout(PATIENCE, outcome).await;
        outcome.expect("an outcome in time").expect("an outcome")
    }

    /// What the program said of a start that failed.
    pub fn start_error(&self) -> Option<Outcome> {
        lock(&self.shared.start).clone()
    }

    /// The names of the extensions that registered themselves.
    pub fn extensions(&self) -> Vec<String> {
        lock(&self.shared.extensions).clone()
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some(event) = shared.waiting.lock().await.recv().await else { return status(500) };
    let deadline = SystemTime::now() + event.timeout;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut response = Response::builder()
        .header("lambda-runtime-aws-request-id", event.id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:1:function:depot")
        .header("content-type", "application/json");
    if let Some(trace) = event.trace {
        response = response.header("lambda-runtime-trace-id", trace);
    }
    response.body(Body::from(event.body)).unwrap_or_else(|_| status(500))
}

async fn answered(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(body) = body.collect().await else { return status(400) };
    let trailers = body.trailers().cloned();
    let body = body.to_bytes();
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
    if !is("lambda-runtime-function-response-mode", "streaming") {
        return end(&shared, &id, Outcome::Answer(serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    let ends = body.windows(HEAD_ENDS.len()).position(|bytes| bytes == HEAD_ENDS);
    let Some(ends) = ends.filter(|_| is("content-type", "application/vnd.awslambda.http-integration-response")) else {
        return status(400);
    };
    let head = serde_json::from_slice(&body[..ends]).unwrap_or(Value::Null);
    let broke = trailers.map(|trailers| {
        let text = |name: &str| trailers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let why = STANDARD.decode(text("lambda-runtime-function-error-body")).unwrap_or_default();
        let why: Value = serde_json::from_slice(&why).unwrap_or_default();
        let words = why["errorMessage"].as_str().unwrap_or_default();
        (text("lambda-runtime-function-error-type"), words.to_owned())
    });
    end(&shared, &id, Outcome::Streamed(head, body[ends + HEAD_ENDS.len()..].to_vec(), broke))
}

async fn failed(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    end(&shared, &id, error(&headers, &body))
}

async fn not_started(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    *lock(&shared.start) = Some(error(&headers, &body));
    status(202)
}

async fn register(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if body != json!({ "events": [] }) {
        return status(400);
    }
    let name = headers.get("lambda-extension-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
    lock(&shared.extensions).push(name.to_owned());
    let response = Response::builder().header("lambda-extension-identifier", "extension-1");
    response.body(Body::from("{}")).unwrap_or_else(|_| status(500))
}

/// An event ends once.
fn end(shared: &Shared, id: &str, outcome: Outcome) -> Response {
    match lock(&shared.running).remove(id) {
        Some(done) => {
            let _ = done.send(outcome);
            status(202)
        }
        None => status(400),
    }
}

fn error(headers: &HeaderMap, body: &Bytes) -> Outcome {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = headers.get("lambda-runtime-function-error-type").and_then(|kind| kind.to_str().ok());
    let message = body["errorMessage"].as_str().unwrap_or_default();
    Outcome::Error(kind.unwrap_or_default().to_owned(), message.to_owned())
}

fn status(status: u16) -> Response {
    let mut response = Response::new(Body::from("{}"));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}
