//! A service outside the cluster that takes whatever is sent to it, and fails when told to.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `POST /messages`.
    pub request: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

/// The service.
pub struct Outside {
    port: u16,
    sent: Mutex<Vec<Sent>>,
    failing: AtomicBool,
}

impl Outside {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn listen() -> Arc<Self> {
        Self::listen_at(0).await
    }

    /// Starts one at this port.
    ///
    /// # Panics
    /// If somebody else has it.
    pub async fn listen_at(port: u16) -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port");
        let port = listener.local_addr().expect("an address").port();
        let outside = Arc::new(Outside { port, sent: Mutex::default(), failing: AtomicBool::new(false) });
        let router = axum::Router::new().fallback(take).with_state(outside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        outside
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was sent, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("unpoisoned").clone()
    }

    /// Answers 503 to everything from now on, or no longer.
    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }
}

async fn take(State(outside): State<Arc<Outside>>, request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    if outside.failing.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "away");
    }
    let request = format!("{} {}", parts.method, parts.uri.path());
    let sent = Sent { request, headers: parts.headers, body: body.unwrap_or_default() };
    outside.sent.lock().expect("unpoisoned").push(sent);
    (StatusCode::OK, "taken")
}
