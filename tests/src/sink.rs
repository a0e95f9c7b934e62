//! An address that takes whatever is posted to it and remembers it: a broker's ingress, a dead-letter address.

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The address.
pub struct Sink {
    shared: Arc<Shared>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<(HeaderMap, Bytes)>>,
    answer: Option<fn(&Bytes) -> String>,
    refusals: Mutex<VecDeque<u16>>,
}

impl Sink {
    /// Listens.
    ///
    /// # Panics
    /// If it can't.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// The same, which answers what it takes so: a service, and no broker.
    ///
    /// # Panics
    /// If it can't listen.
    pub async fn answering(answer: fn(&Bytes) -> String) -> Self {
        Self::listen(Some(answer)).await
    }

    async fn listen(answer: Option<fn(&Bytes) -> String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared { answer, ..Shared::default() });
        let router = Router::new().fallback(take).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Sink { shared, port, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/shop/default", self.port)
    }

    /// What it has taken.
    ///
    /// # Panics
    /// Never.
    pub fn taken(&self) -> Vec<(HeaderMap, Bytes)> {
        self.shared.taken.lock().expect("unpoisoned").clone()
    }

    /// Answers the next posts with these statuses, before it takes posts again.
    ///
    /// # Panics
    /// Never.
    pub fn refuse(&self, statuses: impl IntoIterator<Item = u16>) {
        self.shared.refusals.lock().expect("unpoisoned").extend(statuses);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if let Some(refusal) = shared.refusals.lock().expect("unpoisoned").pop_front() {
        return (StatusCode::from_u16(refusal).expect("a status"), String::new());
    }
    let answer = shared.answer.map_or((StatusCode::ACCEPTED, String::new()), |answer| (StatusCode::OK, answer(&body)));
    shared.taken.lock().expect("unpoisoned").push((headers, body));
    answer
}
