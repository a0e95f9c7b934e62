//! Stand-ins for externals: a laptop has no mailer, so something local takes every request and says so in the log.

use crate::ctx::{Event, Observer};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Starts one on loopback for each of these externals, answering every request with 202 and no body. External id → base
/// URL.
///
/// # Errors
/// If no port is to be had.
pub async fn start(ids: &[String], observer: &Arc<dyn Observer>) -> std::io::Result<BTreeMap<String, String>> {
    let mut urls = BTreeMap::new();
    for id in ids {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        urls.insert(id.clone(), format!("http://{}", listener.local_addr()?));
        let (id, observer) = (id.clone(), observer.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (method, path) = (request.method().as_str(), request.uri().path());
            observer.observe(&Event::StoodIn { external: &id, method, path });
            async { StatusCode::ACCEPTED }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    Ok(urls)
}
