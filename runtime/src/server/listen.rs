//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, and an end that loses no request.

use crate::server::patience::{Noticed, PATIENCE, Watch, is_tunnel};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Extensions, HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// How often HTTP/2 connections are asked whether they live.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long connections that idle when the end begins are left open: a request may be on its way.
const LAST_CALL: Duration = Duration::from_millis(500);

/// What every request of a connection starts with, in a table that has room for what axum adds (a clone keeps the room):
/// else it would grow, and be filled anew, with each request.
fn roomy(peer: ConnectInfo<SocketAddr>) -> Extensions {
    #[derive(Clone)]
    struct Room<const N: usize>;
    let mut extensions = Extensions::new();
    extensions.insert(peer);
    extensions.insert(Room::<0>);
    extensions.insert(Room::<1>);
    extensions.insert(Room::<2>);
    extensions.remove::<Room<0>>();
    extensions.remove::<Room<1>>();
    extensions.remove::<Room<2>>();
    extensions
}

/// What answers: `starting` until the application is whole, which happens once.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) starting: Router,
    pub(crate) whole: Arc<OnceLock<Router>>,
}

impl From<Router> for Served {
    fn from(whole: Router) -> Self {
        Served { starting: Router::new(), whole: Arc::new(whole.into()) }
    }
}

/// Serves until `end`, then takes no new connection, answers what is under way (and tells HTTP/1.1 clients with their next
/// answer to close), and returns what `end` gave when all connections are closed or `grace` is over.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    served: impl Into<Served>,
    end: impl Future<Output = T>,
    grace: Duration,
) -> T {
    let served = Arc::new(served.into());
    let ending = Arc::new(AtomicBool::new(false));
    let connections = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Patience has its own watch; hyper's would need a timer.
    server.http1().header_read_timeout(None);
    let watch = Watch::new(PATIENCE);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);

    let begin = |stream: TcpStream, peer: SocketAddr| {
        let _ = stream.set_nodelay(true);
        let peer = ConnectInfo(SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        let roomy = roomy(peer);
        let conduct = watch.conduct();
        let (noticed, io) = (conduct.clone(), TokioIo::new(Noticed { io: stream, conduct: conduct.clone() }));
        let (served, ending) = (served.clone(), ending.clone());
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let (version, tunnel, ending) = (request.version(), is_tunnel(request.method()), ending.clone());
            let running = conduct.begin(version);
            match request.extensions() {
                extensions if extensions.is_empty() => *request.extensions_mut() = roomy.clone(),
                _ => {
                    request.extensions_mut().insert(peer);
                }
            }
            let router = served.whole.get().unwrap_or(&served.starting);
            let answer = router.clone().call(request.map(Body::new));
            async move {
                let mut answer = answer.await.map(|answer| running.end(tunnel, answer));
                if let Ok(answer) = &mut answer
                    && version <= Version::HTTP_11
                    && ending.load(Ordering::Relaxed)
                {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
        });
        let connection = server.serve_connection_with_upgrades(io, service).into_owned();
        let connection = connections.watch(connection);
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
        watch.add(&noticed, connection.abort_handle());
    };

    let mut end = std::pin::pin!(end);
    let why = loop {
        tokio::select! {
            biased;
            why = &mut end => break why,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => begin(stream, peer),
                // Too many open files, most likely: those in use will be closed some time.
                Err(error) => {
                    tracing::error!(%error, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    };
    ending.store(true, Ordering::Relaxed);
    // What the kernel has already taken in for us counts as accepted: closing the listener would reset it.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                begin(stream, peer);
            }
        }
    }
    let closing = async {
        let last_call = tokio::time::Instant::now() + LAST_CALL;
        while connections.count() > 0 && tokio::time::Instant::now() < last_call {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connections.shutdown().await;
    };
    if tokio::time::timeout(grace, closing).await.is_err() {
        tracing::warn!(seconds = grace.as_secs_f64(), "some connections were still open at the end");
    }
    why
}
