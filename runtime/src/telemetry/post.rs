//! How the exporter reaches a collector: the runtime's own client for plain HTTP, and the TLS client where the program has
//! one.

use super::export::Post;
use crate::engine::BoxFuture;
use crate::server::client::Client;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use std::time::Duration;

impl Post for Client {
    fn post(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<StatusCode, String>> {
        let url = url.clone();
        Box::pin(async move { Client::post(self, &url, headers, body, timeout).await.map(|(status, _)| status) })
    }
}

#[cfg(feature = "client")]
impl Post for reqwest::Client {
    fn post(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<StatusCode, String>> {
        let request = reqwest::Client::post(self, url.to_string()).headers(headers).body(body).timeout(timeout);
        Box::pin(async move { request.send().await.map(|answer| answer.status()).map_err(|error| error.to_string()) })
    }
}
