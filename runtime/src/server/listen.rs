//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, and an end that loses no request.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// How long a client may take to send a request's head. It counts while a connection idles too, so it must be longer than
/// any proxy in front keeps one (load balancers: up to 600 s), else a request now and then meets a connection that is just
/// being closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(620);
/// How often HTTP/2 connections are asked whether they live.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long connections that idle when the end begins are left open: a request may be on its way.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Serves until `end`, then takes no new connection, answers what is under way (and tells HTTP/1.1 clients with their next
/// answer to close), and returns what `end` gave when all connections are closed or `grace` is over.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    router: Router,
    end: impl Future<Output = T>,
    grace: Duration,
) -> T {
    let ending = Arc::new(AtomicBool::new(false));
    let connections = GracefulShutdown::new();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);

    let begin = |stream: TcpStream, peer: SocketAddr| {
        let _ = stream.set_nodelay(true);
        let peer = ConnectInfo(SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        let (router, ending) = (router.clone(), ending.clone());
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let (version, ending) = (request.version(), ending.clone());
            request.extensions_mut().insert(peer);
            let answer = router.clone().call(request.map(Body::new));
            async move {
                let mut answer = answer.await;
                if let Ok(answer) = &mut answer
                    && version <= Version::HTTP_11
                    && ending.load(Ordering::Relaxed)
                {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
        });
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
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
