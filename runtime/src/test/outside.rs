//! What stands in for externals in tests: a listener on loopback that keeps what it gets.

use super::script::Storm;
use crate::faults::Moment;
use crate::registry::RESOURCES;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A request that an external got.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`.
    pub method: String,
    /// `/messages`, with the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Received {
    /// Its body, from JSON.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("the body is something else: {error}"))
    }
}

type Log = Arc<Mutex<Vec<Received>>>;

/// One for each external that is linked in.
pub(super) struct StandIns(BTreeMap<&'static str, (String, Log, JoinHandle<()>)>);

impl StandIns {
    pub(super) async fn start(mut routers: BTreeMap<&'static str, Router>, storm: Option<&Arc<Storm>>) -> Self {
        let mut stand_ins = BTreeMap::new();
        for resource in RESOURCES.iter().filter(|resource| resource.kind == "external") {
            let router = routers.remove(resource.id);
            let router = router.unwrap_or_else(|| Router::new().fallback(|| async { StatusCode::ACCEPTED }));
            let listener = TcpListener::bind(("127.0.0.1", 0)).await;
            let listener = listener.unwrap_or_else(|error| panic!("no port for a stand-in: {error}"));
            let address = listener.local_addr().unwrap_or_else(|error| panic!("no port for a stand-in: {error}"));
            let log = Log::default();
            let (kept, storm) = (log.clone(), storm.cloned());
            let keeping = Router::new().fallback(move |request: Request| {
                asked(resource.id, kept.clone(), router.clone(), storm.clone(), request)
            });
            let serving = tokio::spawn(async move {
                let _ = axum::serve(listener, keeping).await;
            });
            stand_ins.insert(resource.id, (format!("http://{address}"), log, serving));
        }
        StandIns(stand_ins)
    }

    pub(super) fn urls(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(id, (url, ..))| ((*id).to_owned(), url.clone())).collect()
    }

    pub(super) fn received(&self, id: &str) -> Vec<Received> {
        let log = self.0.get(id).map(|(_, log, _)| log.lock().unwrap_or_else(PoisonError::into_inner).clone());
        log.unwrap_or_default()
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        for (_, _, serving) in self.0.values() {
            serving.abort();
        }
    }
}

/// Passes a request on, unless chaos has it fail: before it gets there, or on the way back.
async fn asked(
    external: &'static str,
    log: Log,
    router: Router,
    storm: Option<Arc<Storm>>,
    request: Request,
) -> axum::response::Response {
    let fails = |moment| storm.as_ref().is_some_and(|storm| storm.outside(external, moment));
    if fails(Moment::Before) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let response = keep(log, router, request).await;
    if fails(Moment::After) { StatusCode::BAD_GATEWAY.into_response() } else { response }
}

async fn keep(log: Log, router: Router, request: Request) -> axum::response::Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Received {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers.clone(),
        body: body.clone(),
    });
    let Ok(response) = router.oneshot(Request::from_parts(head, Body::from(body))).await;
    response
}
