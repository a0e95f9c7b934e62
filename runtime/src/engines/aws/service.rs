//! One service of an account: calls are signed, sent and, where that can do no harm, sent again.

use super::account::Account;
use super::failure::Failure;
use super::http::body;
use super::sign;
use crate::engine::{EngineError, EngineResult};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::{Duration, Instant};

/// How often a call is repeated at most.
const REPEATS: u32 = 3;
/// After so long none is begun.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1_000);
/// No answer but a blob is larger: those of stores hold 16 MB, and theirs is base64.
const ANSWER_LIMIT_BYTES: usize = 32 << 20;

/// What may stand in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, and what separates a path's segments.
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// A text as a part of a query or a form.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Whether a call may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice does as once.
    Always,
    /// Only if it was certainly not carried out: what was answered to the first is what counts.
    IfUndone,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// As it is, not encoded; begins with `/`.
    pub(crate) path: String,
    /// Encoded; without `?`.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    /// How long an answer may take to begin, if it is not as long as anything else.
    pub(crate) patience: Option<Duration>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Call {
            method,
            path: path.into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            repeat: Repeat::Always,
            patience: None,
        }
    }

    /// With one more parameter in the query.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&format!("{}={}", encoded(name), encoded(value)));
        self
    }

    /// With this header.
    ///
    /// # Errors
    /// If the value can be none.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> EngineResult<Self> {
        let wrong = |_| EngineError::Misconfigured(format!("`{value:?}` can't be sent as `{name}`"));
        self.headers.insert(&name, HeaderValue::from_str(value).map_err(wrong)?);
        Ok(self)
    }
}

/// One service.
#[derive(Clone)]
pub(crate) struct Service {
    account: Account,
    name: &'static str,
    endpoint: Uri,
}

impl Service {
    pub(super) fn new(account: Account, name: &'static str, endpoint: &str) -> EngineResult<Self> {
        let wrong =
            |why: String| EngineError::Misconfigured(format!("`{endpoint}`, where {name} is said to be: {why}"));
        let uri: Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(_)) if uri.query().is_none() => Ok(Service { account, name, endpoint: uri }),
            _ => Err(wrong("no `http://…` or `https://…` URL".to_owned())),
        }
    }

    /// Where a call goes.
    fn url(&self, call: &Call) -> EngineResult<Uri> {
        let path = utf8_percent_encode(&call.path, PLAIN_PATH);
        let mut text = format!("{}{path}", self.endpoint.path().trim_end_matches('/'));
        if !call.query.is_empty() {
            text = format!("{text}?{}", call.query);
        }
        let mut parts = self.endpoint.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|error| EngineError::Other(error.into()))?);
        Uri::from_parts(parts).map_err(|error| EngineError::Other(error.into()))
    }

    /// Sends; what the service says last. An answer's body is still on its way.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn send(&self, call: &Call) -> EngineResult<Result<Response<Incoming>, Failure>> {
        let started = Instant::now();
        let mut repeats = 0;
        loop {
            let mut request = Request::new(call.body.clone());
            *request.method_mut() = call.method.clone();
            *request.uri_mut() = self.url(call)?;
            *request.headers_mut() = call.headers.clone();
            sign::sign(&mut request, self.name, &self.account.region, self.account.credentials.key().await?)?;
            let (outcome, undone) = match self.account.http.send(request, call.patience).await {
                Ok(answer) if answer.status().is_success() => return Ok(Ok(answer)),
                Ok(answer) => {
                    let failure = Failure::of(answer).await;
                    let (undone, internal) = (failure.is_throttled(), failure.is_internal());
                    if !undone && !internal {
                        return Ok(Err(failure));
                    }
                    (Ok(Err(failure)), undone)
                }
                Err(trouble) => {
                    let reason = format!("{} at {}: {}", self.name, self.endpoint, trouble.reason);
                    (Err(EngineError::Unavailable(reason)), trouble.unsent)
                }
            };
            let again = undone || call.repeat == Repeat::Always;
            if !again || repeats == REPEATS || started.elapsed() > PATIENCE {
                return outcome;
            }
            tokio::time::sleep(pause(repeats)).await;
            repeats += 1;
        }
    }

    /// Sends; the answer's whole body.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn ask(&self, call: &Call) -> EngineResult<Result<Bytes, Failure>> {
        match self.send(call).await? {
            Ok(answer) => Ok(Ok(body(answer, ANSWER_LIMIT_BYTES).await?)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// An action of a service that speaks JSON: `DynamoDB_20120810.GetItem` in JSON of version 1.0.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) async fn json(
        &self,
        target: &'static str,
        version: &'static str,
        content: &serde_json::Value,
        repeat: Repeat,
    ) -> EngineResult<Result<serde_json::Value, Failure>> {
        let mut call = Call::new(Method::POST, "/");
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(version));
        call.headers.insert(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target));
        call.body = content.to_string().into();
        call.repeat = repeat;
        let answer = match self.ask(&call).await? {
            Ok(answer) if answer.is_empty() => return Ok(Ok(serde_json::Value::Null)),
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure)),
        };
        let strange = |error| EngineError::Unavailable(format!("{} answers what is no JSON: {error}", self.name));
        serde_json::from_slice(&answer).map(Ok).map_err(strange)
    }

    /// A URL that allows what this call asks for, to whoever has it.
    ///
    /// # Errors
    /// If there is no key to sign with.
    pub(crate) async fn presign(&self, call: &Call, lifetime: Duration) -> EngineResult<String> {
        let mut request = Request::new(());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = self.url(call)?;
        *request.headers_mut() = call.headers.clone();
        let key = self.account.credentials.key().await?;
        sign::presign(request, self.name, &self.account.region, key, lifetime)
    }
}

/// The pause before a repetition: exponential, with full jitter.
pub(crate) fn pause(repeats: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << repeats.min(8)).min(LONGEST_PAUSE);
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    most.mul_f64(f64::from((random >> 32) as u32) / f64::from(u32::MAX))
}
