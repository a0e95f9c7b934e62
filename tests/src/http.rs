//! A client for tests: HTTP/1.1 or HTTP/2 with prior knowledge, and requests in a line.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The client.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Http {
    /// A client that speaks HTTP/1.1.
    pub fn one() -> Self {
        Http(Client::builder(TokioExecutor::new()).build_http())
    }

    /// A client that speaks HTTP/2 from the first byte.
    pub fn two() -> Self {
        Http(Client::builder(TokioExecutor::new()).http2_only(true).build_http())
    }

    /// Sends; an error says why there was no answer.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status, headers, body })
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    /// Gets.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &[], "").await.unwrap_or_else(|error| panic!("GET {url}: {error}"))
    }

    /// Posts JSON.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn post(&self, url: &str, json: &serde_json::Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let answer = self.send("POST", url, &headers, json.to_string()).await;
        answer.unwrap_or_else(|error| panic!("POST {url}: {error}"))
    }
}
