//! HTTP to the cluster's own addresses (the broker's ingress, the dead-letter unit): plain http, a pool of connections, a
//! bound on every wait.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer is read.
const ANSWER_LIMIT_BYTES: usize = 16 * 1024;

/// The client. Clones share its connections. (Its body's type is that of Lambda's own client, so that what hyper makes of both
/// is in a program once.)
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpConnector, Body>);

impl Client {
    /// A client without connections.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Client(pool)
    }

    /// Posts; gives the status and the beginning of the answer's text.
    ///
    /// # Errors
    /// If there was no answer in time: why.
    pub(crate) async fn post(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(StatusCode, String), String> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let text = match Limited::new(answer.into_body(), ANSWER_LIMIT_BYTES).collect().await {
                Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
                Err(_) => String::new(),
            };
            Ok((status, text))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}s", timeout.as_secs_f64())),
        }
    }
}

/// A URL of the cluster's own.
///
/// # Errors
/// If it is no plain-http URL: why.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(_)) => Ok(url),
        _ => Err(format!("`{text}` is no `http://…` URL")),
    }
}

/// An error and all its sources, joined by `: `.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
