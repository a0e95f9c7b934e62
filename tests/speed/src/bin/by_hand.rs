//! The same routes by hand in axum. With `CAREFUL=1` also what a service that faces the world needs and Updraft gives
//! anyway: limits on time and size, a panic that costs one request, an end that loses none.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

#[derive(serde::Serialize, serde::Deserialize)]
struct Job {
    name: String,
    act: String,
    region: String,
}

#[tokio::main]
async fn main() {
    let hello =
        |Path(name): Path<String>, State(greeting): State<Arc<str>>| async move { format!("{greeting}, {name}") };
    let router = Router::new()
        .route("/hello/{name}", get(hello))
        .route("/echo", post(|Json(job): Json<Job>| async { Json(job) }))
        .with_state(Arc::from("hello"));
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.expect("the port is free");
    if std::env::var_os("CAREFUL").is_none() {
        return axum::serve(listener, router).await.expect("serving");
    }
    let router = router
        .layer(RequestBodyLimitLayer::new(1 << 20))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
        .layer(CatchPanicLayer::new());
    let mut terminate = signal(SignalKind::terminate()).expect("a signal");
    let end = async move {
        terminate.recv().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(end).await.expect("serving");
}
