//! Lambda's Runtime API, and as much of its Extensions API as it takes to be told of the end.
//!
//! Written on hyper, which is here already, rather than with `lambda_runtime` (1.5, without default features but graceful
//! shutdown): that brings 20 more crates, chrono and a second engine of regular expressions among them, for seven requests,
//! and its tower stack, tracing and typed events are what this runtime has of its own.

use crate::server::client::chain;
use crate::telemetry::TraceContext;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use updraft_wire::aws::RUNTIME_API_VARIABLE;

const RUNTIME: &str = "/2018-06-01/runtime";
const EXTENSION: &str = "/2020-01-01/extension";
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const TRACE: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
/// What begins with the head of an HTTP response.
const HTTP_RESPONSE: HeaderValue = HeaderValue::from_static("application/vnd.awslambda.http-integration-response");
const EXTENSION_NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const EXTENSION_ID: HeaderName = HeaderName::from_static("lambda-extension-identifier");

/// The API. Clones share its connections.
#[derive(Clone)]
pub(super) struct Api {
    client: Client<HttpConnector, Body>,
    base: String,
}

/// An event to work on.
pub(super) struct Invocation {
    /// Lambda's id of it, which its own attempts at one event share.
    pub(super) id: String,
    /// When the process is stopped, if that is known.
    pub(super) deadline: Timestamp,
    /// Lambda's own trace, if it is recorded.
    pub(super) trace: Option<TraceContext>,
    /// JSON.
    pub(super) event: Bytes,
}

/// Why an event, or the start, came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    /// `error`, `panic`, …; what Lambda calls the error's type.
    pub(super) kind: &'static str,
    /// In words.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Problem { kind, message: message.into() }
    }

    fn body(&self) -> Bytes {
        serde_json::json!({ "errorType": self.kind, "errorMessage": self.message }).to_string().into()
    }

    fn headers(&self) -> HeaderMap {
        let kind = HeaderValue::from_static(self.kind);
        HeaderMap::from_iter([(ERROR_TYPE, kind)])
    }

    /// What ends an answer that had begun to leave.
    pub(super) fn trailers(&self) -> HeaderMap {
        let mut trailers = self.headers();
        trailers.extend(HeaderValue::try_from(STANDARD.encode(self.body())).map(|body| (ERROR_BODY, body)));
        trailers
    }
}

impl Api {
    /// Where Lambda says that it is.
    ///
    /// # Errors
    /// If that is no address.
    pub(super) fn from_environment() -> Result<Self, String> {
        let address = std::env::var(RUNTIME_API_VARIABLE).unwrap_or_default();
        Self::at(&address).map_err(|reason| format!("{RUNTIME_API_VARIABLE} is `{address}`: {reason}"))
    }

    /// At `127.0.0.1:9001`. Stand-ins for Lambda also say `http://127.0.0.1:9001/path`.
    pub(super) fn at(address: &str) -> Result<Self, String> {
        let rest = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        let base = format!("http://{rest}");
        let uri: Uri = base.parse().map_err(|error| format!("{error}"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err("it names no host".to_owned());
        }
        Ok(Api { client: client(), base })
    }

    /// The same with connections of its own.
    pub(super) fn apart(&self) -> Self {
        Api { client: client(), base: self.base.clone() }
    }

    /// Waits for the next event, for as long as it takes.
    ///
    /// # Errors
    /// If the API is gone.
    pub(super) async fn next(&self) -> Result<Invocation, String> {
        let path = format!("{RUNTIME}/invocation/next");
        let (headers, event) = self.ask(Method::GET, &path, HeaderMap::new(), Bytes::new()).await?;
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let id = text(REQUEST_ID).ok_or("an event without a request id")?.to_owned();
        Ok(Invocation {
            id,
            deadline: deadline(text(DEADLINE), Timestamp::now()),
            trace: text(TRACE).and_then(recorded),
            event,
        })
    }

    /// Answers an event.
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn answer(&self, id: &str, body: Vec<u8>) -> Result<(), String> {
        let path = format!("{RUNTIME}/invocation/{id}/response");
        self.ask(Method::POST, &path, HeaderMap::new(), body).await.map(|_| ())
    }

    /// Answers an event with what is still being made. What it ends with may be trailers: [`Problem::trailers`].
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn stream(&self, id: &str, body: Body) -> Result<(), String> {
        let path = format!("{RUNTIME}/invocation/{id}/response");
        let mut headers = HeaderMap::from_iter([
            (RESPONSE_MODE, HeaderValue::from_static("streaming")),
            (header::CONTENT_TYPE, HTTP_RESPONSE),
        ]);
        for trailer in [ERROR_TYPE, ERROR_BODY] {
            headers.append(header::TRAILER, trailer.into());
        }
        self.ask(Method::POST, &path, headers, body).await.map(|_| ())
    }

    /// Says that an event came to nothing.
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn fail(&self, id: &str, problem: &Problem) -> Result<(), String> {
        let path = format!("{RUNTIME}/invocation/{id}/error");
        self.ask(Method::POST, &path, problem.headers(), problem.body()).await.map(|_| ())
    }

    /// Says that there is no start.
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn fail_start(&self, problem: &Problem) -> Result<(), String> {
        let path = format!("{RUNTIME}/init/error");
        self.ask(Method::POST, &path, problem.headers(), problem.body()).await.map(|_| ())
    }

    /// Makes this process an extension of itself that wants no events. Lambda sends SIGTERM, and waits for a moment before it
    /// kills, only where there is one.
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn register(&self) -> Result<HeaderValue, String> {
        let headers = HeaderMap::from_iter([(EXTENSION_NAME, HeaderValue::from_static("updraft"))]);
        let body = Bytes::from_static(br#"{"events":[]}"#);
        let (headers, _) = self.ask(Method::POST, &format!("{EXTENSION}/register"), headers, body).await?;
        headers.get(EXTENSION_ID).cloned().ok_or_else(|| "no identifier came back".to_owned())
    }

    /// Says that the extension is ready too. There is never an answer.
    pub(super) async fn idle(&self, extension: HeaderValue) {
        let headers = HeaderMap::from_iter([(EXTENSION_ID, extension)]);
        let _ = self.ask(Method::GET, &format!("{EXTENSION}/event/next"), headers, Bytes::new()).await;
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Body>,
    ) -> Result<(HeaderMap, Bytes), String> {
        let told = |what: String| format!("Lambda's API at {}{path}: {what}", self.base);
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.base).parse().map_err(|error| told(format!("{error}")))?;
        *request.headers_mut() = headers;
        let response: Response<Incoming> = self.client.request(request).await.map_err(|error| told(chain(&error)))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| told(chain(&error)))?.to_bytes();
        match parts.status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok((parts.headers, body)),
            status => Err(told(format!("{status} {}", String::from_utf8_lossy(&body)))),
        }
    }
}

fn client() -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// When an event's time is over. One that was over before it came (`cargo lambda watch` sends that) says nothing: a handler
/// keeps to its own time.
fn deadline(millis: Option<&str>, now: Timestamp) -> Timestamp {
    let told =
        millis.and_then(|millis| millis.parse().ok()).and_then(|millis| Timestamp::from_millisecond(millis).ok());
    told.filter(|deadline| *deadline > now).unwrap_or(Timestamp::MAX)
}

/// X-Ray's trace as W3C has it. Lambda makes one up for each event and records next to none: those would keep everything
/// that follows from being recorded, so they don't count.
fn recorded(header: &str) -> Option<TraceContext> {
    let field = |name: &str| header.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    if field("Sampled") != Some("1") {
        return None;
    }
    let (epoch, unique) = field("Root")?.strip_prefix("1-")?.split_once('-')?;
    TraceContext::parse(&format!("00-{epoch}{unique}-{}-01", field("Parent")?), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_scheme() {
        assert_eq!(Api::at("127.0.0.1:9001").unwrap().base, "http://127.0.0.1:9001");
        assert_eq!(Api::at("http://127.0.0.1:9001/.rt/").unwrap().base, "http://127.0.0.1:9001/.rt");
        for wrong in ["", "http://", "a b"] {
            assert!(Api::at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_says_nothing() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(deadline(Some("1000001"), now), Timestamp::from_millisecond(1_000_001).unwrap());
        for nothing in [None, Some("999999"), Some("soon")] {
            assert_eq!(deadline(nothing, now), Timestamp::MAX);
        }
    }

    #[test]
    fn a_trace_of_x_ray_counts_if_it_is_recorded() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let context = recorded(header).unwrap();
        assert_eq!(context.parent(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert_eq!(recorded(&format!("{header};Lineage=1:a:0")), Some(context));
        assert_eq!(recorded(&header.replace("Sampled=1", "Sampled=0")), None);
        assert_eq!(recorded("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), None);
        assert_eq!(recorded("Root=2-1;Parent=3;Sampled=1"), None);
    }
}
