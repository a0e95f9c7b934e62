//! Requests to an application in memory, and its answers.

use super::simulation::Simulation;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::{Serialize, de::DeserializeOwned};
use std::pin::Pin;
use tower::ServiceExt;

/// A request. Awaiting it sends it.
#[must_use = "awaiting it sends it"]
pub struct Request {
    router: Router,
    request: axum::extract::Request,
    simulation: Option<Simulation>,
}

impl Request {
    #[track_caller]
    pub(super) fn new(router: Router, method: &str, path: &str, simulation: Option<Simulation>) -> Self {
        let mut request = axum::extract::Request::new(Body::empty());
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).unwrap_or_else(|error| panic!("{method}: {error}"));
        *request.uri_mut() = path.parse().unwrap_or_else(|error| panic!("`{path}` is no path: {error}"));
        Request { router, request, simulation }
    }

    /// With a header.
    ///
    /// # Panics
    /// If that can't be one.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let value = HeaderValue::from_str(value).unwrap_or_else(|error| panic!("{value}: {error}"));
        self.request.headers_mut().append(name, value);
        self
    }

    /// With `Authorization: Bearer …`.
    ///
    /// # Panics
    /// If the token can't stand in a header.
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a JSON body.
    ///
    /// # Panics
    /// If the value can't be JSON.
    #[track_caller]
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        let json = serde_json::to_vec(value).unwrap_or_else(|error| panic!("no JSON: {error}"));
        self.request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body(json)
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Body::from(body.into());
        self
    }
}

impl IntoFuture for Request {
    type Output = Answered;
    type IntoFuture = Pin<Box<dyn Future<Output = Answered> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let name = format!("{} {}", self.request.method(), self.request.uri().path());
        let asked = async move {
            let Ok(response) = self.router.oneshot(self.request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap_or_else(|error| panic!("the answer's body broke off: {error}"));
            Answered { status: head.status, headers: head.headers, body: body.to_bytes() }
        };
        match self.simulation {
            Some(simulation) => Box::pin(async move { simulation.run(&name, asked).await }),
            None => Box::pin(asked),
        }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    /// Its status, which compares with numbers too: `assert_eq!(answer.status(), 202)`.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body, from JSON.
    ///
    /// # Panics
    /// If it is something else, with what it is.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the answer ({}) is something else: {error}: {}", self.status, self.text()))
    }
}
