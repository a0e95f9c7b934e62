//! What [`super::External::client`] gives: reqwest's client, whose requests carry the trace and are spans of it.

use crate::ctx::{Event, Scope};
use crate::telemetry::spans;
use http::{HeaderName, HeaderValue, Method};
use std::ops::Deref;
use std::time::{Duration, Instant};

/// An HTTP client that keeps its connections. Everything that reqwest's can is reached by dereferencing; requests that
/// begin here (`get`, `post`, …) are traced.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    scope: Scope,
    external: &'static str,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.external)
    }
}

impl Deref for Client {
    type Target = reqwest::Client;

    fn deref(&self) -> &reqwest::Client {
        &self.inner
    }
}

macro_rules! methods {
    ($($name:ident $method:ident $words:literal;)*) => {$(
        #[doc = $words]
        pub fn $name(&self, url: impl reqwest::IntoUrl) -> RequestBuilder {
            self.request(Method::$method, url)
        }
    )*};
}

impl Client {
    pub(super) fn new(inner: reqwest::Client, scope: &Scope, external: &'static str) -> Self {
        Client { inner, scope: scope.clone(), external }
    }

    methods! {
        get GET "A `GET` request.";
        head HEAD "A `HEAD` request.";
        post POST "A `POST` request.";
        put PUT "A `PUT` request.";
        patch PATCH "A `PATCH` request.";
        delete DELETE "A `DELETE` request.";
    }

    /// A request of any method.
    pub fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> RequestBuilder {
        let inner = self.inner.request(method, url);
        RequestBuilder { inner, scope: self.scope.clone(), external: self.external }
    }
}

/// A request that is being made; [`RequestBuilder::send`] sends it.
#[must_use = "nothing is sent before `send().await`"]
pub struct RequestBuilder {
    inner: reqwest::RequestBuilder,
    scope: Scope,
    external: &'static str,
}

impl RequestBuilder {
    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        RequestBuilder { inner: change(self.inner), ..self }
    }

    /// Adds a header.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|inner| inner.header(name, value))
    }

    /// Adds headers.
    pub fn headers(self, headers: http::HeaderMap) -> Self {
        self.map(|inner| inner.headers(headers))
    }

    /// Sets a user and a password.
    pub fn basic_auth(self, user: impl std::fmt::Display, password: Option<impl std::fmt::Display>) -> Self {
        self.map(|inner| inner.basic_auth(user, password))
    }

    /// Sets a token.
    pub fn bearer_auth(self, token: impl std::fmt::Display) -> Self {
        self.map(|inner| inner.bearer_auth(token))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.map(|inner| inner.body(body))
    }

    /// Sets the body to a value's JSON.
    pub fn json(self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        self.map(|inner| inner.json(value))
    }

    /// Gives up after so long.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|inner| inner.timeout(timeout))
    }

    /// reqwest's own builder, for whatever else it can. What it sends carries the trace, but is no span of its own.
    pub fn untraced(self) -> reqwest::RequestBuilder {
        let Some(trace) = &self.scope.invocation().trace else { return self.inner };
        let state = trace.state.as_deref().map(|state| ("tracestate", state.to_owned()));
        let headers = [("traceparent", trace.parent())].into_iter().chain(state);
        headers.fold(self.inner, |inner, (name, value)| inner.header(name, value))
    }

    /// Sends, to the answer's head.
    ///
    /// # Errors
    /// If the request can't be made, or there is no answer.
    pub async fn send(self) -> Result<reqwest::Response, reqwest::Error> {
        let (scope, resource) = (self.scope.clone(), self.external);
        if !scope.ctx().watches_operations() {
            return self.untraced().send().await;
        }
        let (client, request) = self.inner.build_split();
        let mut request = request?;
        let (trace, mut span) = spans::request_out(&scope, request.method(), request.url());
        if let Some(trace) = trace {
            let state = trace.state.as_deref().map(|state| (HeaderName::from_static("tracestate"), state.to_owned()));
            let parent = (HeaderName::from_static("traceparent"), trace.parent());
            for (name, value) in [parent].into_iter().chain(state) {
                request.headers_mut().extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
            }
        }
        let started = Instant::now();
        let answer = client.execute(request).await;
        let error = match &answer {
            Ok(answer) => {
                spans::answer_in(&mut span, answer.status());
                None
            }
            Err(error) => {
                let error = crate::engine::EngineError::Unavailable(error.to_string());
                spans::refused(&mut span, &error);
                Some(error)
            }
        };
        scope.ctx().observe(&Event::Operated {
            handler: scope.handler().id,
            kind: "external",
            resource,
            method: "request",
            elapsed: started.elapsed(),
            error: error.as_ref(),
        });
        answer
    }
}
