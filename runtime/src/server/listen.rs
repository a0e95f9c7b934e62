//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, limits on what clients may take up, and an end that
//! loses no request.

use crate::inflight::InFlight;
use crate::problem::unavailable;
use crate::server::bodies::paced;
use crate::server::farewell::Farewell;
use crate::server::patience::{Conduct, Noticed, Patience, Watch, is_tunnel};
use crate::server::protocols;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::future::{Either, ready};
use http::{Extensions, HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service;
use updraft_wire::limits::HttpLimits;

/// How often is looked whether there is room for another connection.
const CROWDED: Duration = Duration::from_millis(20);
/// How long connections that idle when the end begins are left open: a request may be on its way.
const LAST_CALL: Duration = Duration::from_millis(500);

/// After a connection that could not be accepted.
const AGAIN: Duration = Duration::from_millis(50);
/// How many in a row at the end that can't be accepted are passed over.
const FAILURES: u32 = 10;

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

/// What all connections share. (No part of it is generic: what hyper makes of a connection is in the program once.)
struct House {
    served: Served,
    limits: HttpLimits,
    server: protocols::Server,
    watch: Watch,
    open: InFlight,
    ending: watch::Sender<bool>,
    /// The same, for a look at each answer.
    is_ending: AtomicBool,
    /// Connections end after the answers that are under way.
    closing: AtomicBool,
}

impl House {
    /// In a tokio runtime.
    fn new(served: Served, limits: HttpLimits) -> Self {
        let server = protocols::server(&limits);
        let patience = Patience { head_seconds: limits.head, stalled_seconds: limits.pause, idle_seconds: limits.idle };
        House {
            served,
            limits,
            server,
            watch: Watch::new(patience),
            open: InFlight::default(),
            ending: watch::Sender::new(false),
            is_ending: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// Why a request is not even looked at.
    fn refusal(&self, request: &Request<Incoming>, conduct: &Conduct) -> Option<Response> {
        // Whoever asks whether the process lives must hear that it does.
        (conduct.requests() > self.limits.requests && !request.uri().path().starts_with("/_updraft/"))
            .then(|| unavailable("Too many requests at a time", None))
    }

    /// Serves a new connection.
    fn begin(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let peer = ConnectInfo(SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        let roomy = roomy(peer);
        let pause = Duration::from_secs(self.limits.pause.into());
        let conduct = self.watch.conduct();
        let noticed = conduct.clone();
        let io = Noticed { io: stream, conduct: conduct.clone() };
        let io = TokioIo::new(Farewell::new(io, conduct.clone(), self.ending.subscribe(), self.open.enter()));
        let house = self.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let (version, tunnel, house) = (request.version(), is_tunnel(request.method()), house.clone());
            let running = conduct.begin(version);
            let refusal = house.refusal(&request, &conduct);
            match request.extensions() {
                extensions if extensions.is_empty() => *request.extensions_mut() = roomy.clone(),
                _ => {
                    request.extensions_mut().insert(peer);
                }
            }
            let answer = match refusal {
                Some(refusal) => Either::Left(ready(Ok(refusal))),
                None => {
                    let router = house.served.whole.get().unwrap_or(&house.served.starting);
                    Either::Right(router.clone().call(request.map(|body| paced(body, pause))))
                }
            };
            async move {
                let mut answer = answer.await.map(|answer| running.end(tunnel, answer, &house.ending));
                if let Ok(answer) = &mut answer
                    && version <= Version::HTTP_11
                    && house.is_ending.load(Relaxed)
                {
                    answer.headers_mut().entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
                }
                answer
            }
        });
        let connection = protocols::connection(&self.server, io, service);
        let (house, conduct) = (self.clone(), noticed.clone());
        let connection = tokio::spawn(async move {
            let (mut connection, mut told) = (pin!(connection), false);
            let served = poll_fn(|context| {
                conduct.woken_by(context.waker());
                if !told && house.closing.load(Relaxed) {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                connection.as_mut().poll(context)
            });
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
        self.watch.add(&noticed, connection.abort_handle());
    }

    /// Takes no new connection, and returns when all are closed.
    async fn close(self: &Arc<Self>, listener: TcpListener) {
        self.is_ending.store(true, Relaxed);
        self.ending.send_replace(true);
        // What the kernel has already taken in for us counts as accepted: closing the listener would reset it.
        if let Ok(listener) = listener.into_std() {
            let take = || {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                self.begin(TcpStream::from_std(stream)?, peer);
                Ok(())
            };
            if let Err(error) = drain(take).await {
                tracing::error!(%error, "can't accept the last connections");
            }
        }
        let _ = tokio::time::timeout(LAST_CALL, self.open.idle()).await;
        self.closing.store(true, Relaxed);
        self.watch.wake();
        self.open.idle().await;
    }
}

/// Takes what waits until nothing does. One that can't be taken (its client has gone, there are too many open files) is no
/// reason to leave those behind it, unless it goes on like that.
async fn drain(mut take: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut failures = 0;
    loop {
        match take() {
            Ok(()) => failures = 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if failures == FAILURES => return Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Serves until `end`, then takes no new connection, answers what is under way (and tells HTTP/1.1 clients with their next
/// answer to close), ends streams of events, tells WebSockets, and returns what `end` gave when all connections are closed or
/// `grace` is over.
pub(crate) async fn serve<T>(
    listener: TcpListener,
    served: impl Into<Served>,
    limits: HttpLimits,
    end: impl Future<Output = T>,
    grace: Duration,
) -> T {
    let house = Arc::new(House::new(served.into(), limits));
    let mut end = pin!(end);
    let why = loop {
        let is_full = house.open.count() >= house.limits.connections as usize;
        house.watch.crowded(is_full);
        tokio::select! {
            biased;
            why = &mut end => break why,
            () = tokio::time::sleep(CROWDED), if is_full => {}
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((stream, peer)) => house.begin(stream, peer),
                // Too many open files, most likely: those in use will be closed some time.
                Err(error) => {
                    tracing::error!(%error, "can't accept a connection");
                    tokio::time::sleep(AGAIN).await;
                }
            },
        }
    };
    if tokio::time::timeout(grace, house.close(listener)).await.is_err() {
        tracing::warn!(seconds = grace.as_secs_f64(), "some connections were still open at the end");
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::response::sse::{Event, Sse};
    use axum::routing::{get, post};
    use futures_util::{StreamExt, stream};
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    /// A server, and what ends it.
    struct Server {
        address: SocketAddr,
        end: oneshot::Sender<()>,
        ended: tokio::task::JoinHandle<()>,
    }

    async fn server(limits: HttpLimits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, ending) = oneshot::channel::<()>();
        let router = Router::new()
            .route("/", get(async || "fine"))
            .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(700)).await))
            .route(
                "/echo",
                post(async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| body.is_ok().to_string()),
            )
            .route("/large", get(async || vec![b'x'; 64 << 20]))
            .route(
                "/broken",
                get(async || {
                    Body::from_stream(
                        stream::once(async { Ok::<Bytes, io::Error>(Bytes::from_static(b"half")) }).chain(
                            stream::once(async {
                                tokio::time::sleep(Duration::from_millis(50)).await;
                                panic!("private words")
                            }),
                        ),
                    )
                }),
            )
            .route(
                "/events",
                get(async || {
                    Sse::new(
                        stream::once(async { Ok::<_, Infallible>(Event::default().data("one")) })
                            .chain(stream::pending()),
                    )
                }),
            );
        let ended = tokio::spawn(async move {
            serve(listener, router, limits, async { drop(ending.await) }, Duration::from_secs(20)).await;
        });
        Server { address, end, ended }
    }

    fn limits() -> HttpLimits {
        HttpLimits { head: 1, pause: 1, idle: 2, ..HttpLimits::DEFAULT }
    }

    async fn connect(house: &Server) -> TcpStream {
        TcpStream::connect(house.address).await.expect("it listens")
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.expect("it reads");
    }

    /// All that comes until the other end closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut all = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut all)).await.expect("it closes");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// How many `drain` took of what a listener says, one after another, the last for ever; and whether nothing was left.
    async fn drained(said: &[Option<ErrorKind>]) -> (usize, bool) {
        let (mut asked, mut taken) = (0, 0);
        let all = drain(|| {
            asked += 1;
            match said[(asked - 1).min(said.len() - 1)] {
                Some(kind) => Err(kind.into()),
                None => {
                    taken += 1;
                    Ok(())
                }
            }
        });
        let ended = all.await.is_ok();
        (taken, ended)
    }

    #[tokio::test]
    async fn the_last_connections_are_taken_past_one_that_is_gone() {
        let (gone, busy) = (Some(ErrorKind::ConnectionAborted), Some(ErrorKind::QuotaExceeded));
        assert_eq!(drained(&[None, gone, None, busy, None, Some(ErrorKind::WouldBlock), None]).await, (3, true));
        assert_eq!(drained(&[None, busy]).await, (1, false), "not for ever");
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_told_so() {
        let house = server(limits()).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n").await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("application/problem+json"), "{answer}");
    }

    #[tokio::test]
    async fn a_head_may_not_trickle_but_a_connection_may_idle() {
        let house = server(HttpLimits { head: 1, idle: 600, ..limits() }).await;
        let mut stream = connect(&house).await;
        for _ in 0..2 {
            send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let mut answer = vec![0; 4096];
            let read = stream.read(&mut answer).await.expect("an answer");
            assert!(String::from_utf8_lossy(&answer[..read]).ends_with("fine"));
            // Longer than a head may take.
            tokio::time::sleep(Duration::from_millis(1_600)).await;
        }
        let trickle = async {
            loop {
                if stream.write_all(b"x").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), trickle).await.expect("it is closed");
    }

    #[tokio::test]
    async fn an_idle_connection_ends() {
        let house = server(limits()).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = rest(&mut stream).await;
        assert!(answer.ends_with("fine"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_pauses_is_an_error_to_who_reads_it() {
        let house = server(limits()).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\nhalf").await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("false"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let house = server(limits()).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        house.end.send(()).expect("it runs");
        // The grace is far longer: what ends it is the client's pause.
        tokio::time::timeout(Duration::from_secs(15), house.ended)
            .await
            .expect("it does not wait for ever")
            .expect("it ends");
        drop(stream);
    }

    #[tokio::test]
    async fn heads_are_held_to_their_size() {
        let house = server(HttpLimits { headers: 8 << 10, ..limits() }).await;
        for (size, expected) in [(7_000, "200"), (100_000, "431")] {
            let mut stream = connect(&house).await;
            let head =
                format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: {}\r\n\r\n", "y".repeat(size));
            let _ = stream.write_all(head.as_bytes()).await;
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{size}: {answer}");
        }
    }

    #[tokio::test]
    async fn more_requests_than_allowed_are_told_to_come_back() {
        let house = server(HttpLimits { requests: 1, ..limits() }).await;
        let (mut first, mut second) = (connect(&house).await, connect(&house).await);
        send(&mut first, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        send(&mut second, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let answer = rest(&mut second).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
        assert!(rest(&mut first).await.starts_with("HTTP/1.1 200 "));
        let mut third = connect(&house).await;
        send(&mut third, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(rest(&mut third).await.starts_with("HTTP/1.1 200 "), "a place is free again");
    }

    #[tokio::test]
    async fn connections_past_the_limit_wait_and_idle_ones_make_room() {
        let house = server(HttpLimits { connections: 1, idle: 2, ..limits() }).await;
        let mut first = connect(&house).await;
        send(&mut first, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut second = connect(&house).await;
        send(&mut second, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(rest(&mut second).await.ends_with("fine"));
        assert!(rest(&mut first).await.ends_with("fine"), "it was closed to make room");
    }

    #[tokio::test]
    async fn a_body_that_panics_cuts_off_its_own_answer_alone() {
        let house = server(limits()).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "GET /broken HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = rest(&mut stream).await;
        assert!(answer.contains("half") && !answer.ends_with("0\r\n\r\n") && !answer.contains("private"), "{answer}");
        let mut stream = connect(&house).await;
        send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(rest(&mut stream).await.ends_with("fine"));
    }

    #[tokio::test]
    async fn the_end_ends_streams_of_events() {
        let house = server(HttpLimits { idle: 600, ..limits() }).await;
        let mut stream = connect(&house).await;
        send(&mut stream, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut begun = vec![0; 4096];
        let read = stream.read(&mut begun).await.expect("the first event");
        let begun = String::from_utf8_lossy(&begun[..read]).into_owned();
        house.end.send(()).expect("it runs");
        let all = begun + &rest(&mut stream).await;
        assert!(all.contains("data: one") && all.ends_with("0\r\n\r\n"), "to its end, not cut off: {all}");
        tokio::time::timeout(Duration::from_secs(15), house.ended).await.expect("at once").expect("it ends");
    }
}
