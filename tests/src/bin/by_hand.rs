//! What the depot's unit `plain` does, written by hand in axum: what `benches/http.sh` compares it with.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;
use updraft_tests::depot::Job;

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
    axum::serve(listener, router).await.expect("serving");
}
