//! What stands before a Service: starts a pod on the first request, waits until it is ready, lets in as many requests as it
//! may have, ends what takes too long, and leads new requests past a pod that goes.

use super::kubelet::{Kubelet, Pod};
use super::manifests::Service;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a pod may take to be ready, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it takes until everybody knows that a pod goes.
const PROPAGATION: Duration = Duration::from_millis(100);

/// A Service's front.
pub struct Activator {
    service: Service,
    port: u16,
    kubelet: OnceLock<Arc<Kubelet>>,
    current: Mutex<Option<Arc<Running>>>,
    starting: tokio::sync::Mutex<()>,
    gone: Mutex<Vec<Arc<Running>>>,
    client: Client<HttpConnector, http_body_util::Full<Bytes>>,
}

struct Running {
    pod: Pod,
    permits: Semaphore,
}

impl Activator {
    pub(super) async fn listen(service: Service) -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let activator = Arc::new(Activator {
            service,
            port: listener.local_addr().expect("an address").port(),
            kubelet: OnceLock::new(),
            current: Mutex::new(None),
            starting: tokio::sync::Mutex::new(()),
            gone: Mutex::new(Vec::new()),
            client: Client::builder(TokioExecutor::new()).build_http(),
        });
        let router = axum::Router::new().fallback(answer).with_state(activator.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        activator
    }

    pub(super) fn attach(&self, kubelet: Arc<Kubelet>) {
        let _ = self.kubelet.set(kubelet);
    }

    /// Its manifest.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether a pod runs.
    pub fn is_up(&self) -> bool {
        self.current.lock().expect("unpoisoned").is_some()
    }

    /// Starts another pod, ends the present one by SIGTERM while requests still arrive at it, and says its exit code.
    ///
    /// # Panics
    /// If none runs.
    pub async fn roll(&self) -> Option<i32> {
        let new = Arc::new(self.start().await);
        let old = self.current.lock().expect("unpoisoned").clone().expect("a running pod");
        let ((), code) = tokio::join!(
            async {
                tokio::time::sleep(PROPAGATION).await;
                *self.current.lock().expect("unpoisoned") = Some(new);
            },
            old.pod.terminate()
        );
        self.gone.lock().expect("unpoisoned").push(old);
        code
    }

    /// Kills the present pod as a machine that dies does; whether one ran. The next request starts another.
    pub fn crash(&self) -> bool {
        let Some(running) = self.current.lock().expect("unpoisoned").take() else { return false };
        running.pod.kill();
        self.gone.lock().expect("unpoisoned").push(running);
        true
    }

    pub(super) async fn stop(&self) -> Option<Option<i32>> {
        let running = self.current.lock().expect("unpoisoned").take()?;
        let code = running.pod.terminate().await;
        self.gone.lock().expect("unpoisoned").push(running);
        Some(code)
    }

    pub(super) fn logs(&self) -> String {
        let current = self.current.lock().expect("unpoisoned");
        let gone = self.gone.lock().expect("unpoisoned");
        let logs = gone.iter().chain(current.iter()).map(|running| running.pod.log());
        logs.map(|log| format!("--- {}\n{log}", self.service.name)).collect()
    }

    async fn start(&self) -> Running {
        let pod = self.kubelet.get().expect("a kubelet").start(&self.service);
        let started = Instant::now();
        let path = &self.service.pod.containers[0].readiness_probe.http_get.path;
        let uri: Uri = format!("http://127.0.0.1:{}{path}", pod.port()).parse().expect("an address");
        loop {
            let ready = self.client.get(uri.clone()).await.is_ok_and(|answer| answer.status().is_success());
            if ready {
                break;
            }
            let ended = pod.ended();
            assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.service.name, pod.log());
            assert!(started.elapsed() < START_TIMEOUT, "{} does not get ready:\n{}", self.service.name, pod.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let limit = self.service.pod.container_concurrency;
        let permits = Semaphore::new(if limit == 0 { Semaphore::MAX_PERMITS } else { limit });
        Running { pod, permits }
    }

    async fn running(&self) -> Arc<Running> {
        let current = || self.current.lock().expect("unpoisoned").clone();
        if let Some(running) = current() {
            return running;
        }
        let _one = self.starting.lock().await;
        if let Some(running) = current() {
            return running;
        }
        let running = Arc::new(self.start().await);
        *self.current.lock().expect("unpoisoned") = Some(running.clone());
        running
    }

    /// One request through to a pod: tried again only where no pod can have seen it.
    async fn forward(&self, request: http::Request<Bytes>) -> Response {
        let patience = Instant::now() + Duration::from_secs(10);
        let limit = self.service.pod.response_start_timeout_seconds.unwrap_or(self.service.pod.timeout_seconds);
        loop {
            let running = self.running().await;
            let Ok(_permit) = running.permits.acquire().await else { return StatusCode::BAD_GATEWAY.into_response() };
            let (mut parts, body) = request.clone().into_parts();
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let Ok(uri) = format!("http://127.0.0.1:{}{path}", running.pod.port()).parse() else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            parts.uri = uri;
            let asked = self.client.request(http::Request::from_parts(parts, http_body_util::Full::new(body)));
            match tokio::time::timeout(Duration::from_secs(limit), asked).await {
                Ok(Ok(answer)) => return answer.map(Body::new),
                Ok(Err(error)) if error.is_connect() && Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(Err(error)) => return (StatusCode::BAD_GATEWAY, format!("{error:?}")).into_response(),
                Err(_) => return StatusCode::GATEWAY_TIMEOUT.into_response(),
            }
        }
    }
}

async fn answer(State(activator): State<Arc<Activator>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST.into_response() };
    parts.headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
    parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    parts.headers.insert("forwarded", HeaderValue::from_static("for=203.0.113.7;proto=http"));
    activator.forward(http::Request::from_parts(parts, body.to_bytes())).await
}
