//! How long a connection's client may take: to send a request's head, to take what it is sent, to come back with another
//! request. One look a second at all connections, by a clock that ticks in seconds, instead of timers that are set and
//! cleared for every request (hyper's own `header_read_timeout` costs a request a tenth of its time).

use crate::dispatch::panic_message;
use crate::engine::BoxFuture;
use axum::body::Body;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Method, Response, StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From a request's first byte to the end of its head.
    pub(crate) head_seconds: u32,
    /// Without taking a byte of what it is being sent.
    pub(crate) stalled_seconds: u32,
    /// Between requests. Longer than any proxy in front keeps a connection (load balancers: up to 600 s), else a request now
    /// and then meets a connection that is just being closed.
    pub(crate) idle_seconds: u32,
}

/// Between requests, in seconds, while other clients wait to be let in.
const CROWDED_IDLE_SECONDS: u32 = 5;

/// Why a head that took too long ends its connection: its client is told.
const HEAD: &str = "a request's head took too long";

/// All connections of a server. Dropped, it looks no more.
pub(crate) struct Watch {
    connections: Arc<Mutex<Vec<(Weak<Conduct>, AbortHandle)>>>,
    clock: Arc<AtomicU32>,
    requests: Arc<AtomicU32>,
    crowded: Arc<AtomicBool>,
    looking: AbortHandle,
}

impl Watch {
    /// Starts to look. In a tokio runtime.
    pub(crate) fn new(patience: Patience) -> Self {
        let connections: Arc<Mutex<Vec<(Weak<Conduct>, AbortHandle)>>> = Arc::default();
        let clock = Arc::new(AtomicU32::new(0));
        let crowded = Arc::new(AtomicBool::new(false));
        let (all, ticking, full) = (connections.clone(), clock.clone(), crowded.clone());
        let looking = tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                second.tick().await;
                let now = ticking.fetch_add(1, Relaxed) + 1;
                let mut patience = patience;
                if full.load(Relaxed) {
                    patience.idle_seconds = patience.idle_seconds.min(CROWDED_IDLE_SECONDS);
                }
                all.lock().unwrap_or_else(PoisonError::into_inner).retain(|(conduct, connection)| {
                    let Some(conduct) = conduct.upgrade() else { return false };
                    let Some(why) = conduct.tries(now, patience) else { return true };
                    if why == HEAD && !conduct.late.swap(true, Relaxed) {
                        conduct.waker.wake();
                        return true; // it closes itself, with a word; else the next look does
                    }
                    tracing::debug!(why, "a connection is closed");
                    connection.abort();
                    false
                });
            }
        });
        Watch { connections, clock, requests: Arc::default(), crowded, looking: looking.abort_handle() }
    }

    /// Whether others wait to be let in: then who only idles makes room.
    pub(crate) fn crowded(&self, crowded: bool) {
        self.crowded.store(crowded, Relaxed);
    }

    /// Wakes all connections: there is something to be seen.
    pub(crate) fn wake(&self) {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(|(conduct, _)| conduct.upgrade()).for_each(|conduct| conduct.waker.wake());
    }

    /// A new connection's conduct.
    pub(crate) fn conduct(&self) -> Arc<Conduct> {
        let (clock, requests) = (self.clock.clone(), self.requests.clone());
        let conduct = Conduct { clock, requests, ..Conduct::default() };
        conduct.moved.store(self.clock.load(Relaxed), Relaxed);
        conduct.since.store(self.clock.load(Relaxed), Relaxed);
        Arc::new(conduct)
    }

    /// Looks at a connection from now on.
    pub(crate) fn add(&self, conduct: &Arc<Conduct>, connection: AbortHandle) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push((Arc::downgrade(conduct), connection));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// What a connection's client does. Written without locks by the connection's own task, read once a second.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    clock: Arc<AtomicU32>,
    /// Requests of all connections whose answers have not been handed over whole.
    requests: Arc<AtomicU32>,
    /// When a byte last went either way.
    moved: AtomicU32,
    /// Since when it idles, or sends a head.
    since: AtomicU32,
    /// Requests whose answers have not been handed over whole.
    running: AtomicU32,
    /// A head has begun.
    head: AtomicBool,
    /// It has not taken all that it was sent.
    behind: AtomicBool,
    /// HTTP/2: bytes go both ways without requests.
    multiplexed: AtomicBool,
    /// A WebSocket or a tunnel now.
    upgraded: AtomicBool,
    /// A WebSocket.
    websocket: AtomicBool,
    /// Its head took too long: what the connection's task tells its client.
    late: AtomicBool,
    waker: AtomicWaker,
}

impl Conduct {
    fn now(&self) -> u32 {
        self.clock.load(Relaxed)
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket.load(Relaxed)
    }

    /// Whom to wake when there is something to be seen. Before it looks, each time it is polled.
    pub(crate) fn woken_by(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Requests that the process works on.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    /// A request's head is there.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> Running {
        self.running.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head.store(false, Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Relaxed);
        }
        Running(self.clone())
    }

    fn came(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        let between =
            self.running.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed) && !self.upgraded.load(Relaxed);
        if between && !self.head.swap(true, Relaxed) {
            self.since.store(now, Relaxed);
        }
    }

    fn went(&self, all: bool) {
        if all {
            self.moved.store(self.now(), Relaxed);
        }
        if self.behind.load(Relaxed) == all {
            self.behind.store(!all, Relaxed);
        }
    }

    /// Why patience is over, if it is.
    fn tries(&self, now: u32, patience: Patience) -> Option<&'static str> {
        let over = |since: u32, seconds: u32| now.saturating_sub(since) > seconds;
        let moved = self.moved.load(Relaxed);
        if self.behind.load(Relaxed) && over(moved, patience.stalled_seconds) {
            return Some("its client does not take what it is sent");
        }
        if self.running.load(Relaxed) > 0 || self.upgraded.load(Relaxed) {
            return None;
        }
        let since = self.since.load(Relaxed);
        match self.head.load(Relaxed) {
            true => over(since, patience.head_seconds).then_some(HEAD),
            false => over(since, patience.idle_seconds).then_some("it was idle"),
        }
    }
}

/// A request whose answer has not been handed over whole. (Its client may reset an HTTP/2 stream any time.)
pub(crate) struct Running(Arc<Conduct>);

impl Running {
    /// The answer is there. One whose length isn't known is handed over when its last byte is.
    pub(crate) fn end(self, tunnel: bool, response: Response<Body>, ending: &watch::Sender<bool>) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS || (tunnel && response.status().is_success()) {
            let upgrade = response.headers().get(header::UPGRADE);
            let websocket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
            self.0.websocket.store(websocket, Relaxed);
            self.0.upgraded.store(true, Relaxed);
        }
        match response.body().size_hint().exact() {
            Some(_) => response,
            None => {
                let kind = response.headers().get(header::CONTENT_TYPE);
                let endless = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
                let end = endless.then(|| ended(ending.subscribe()));
                response.map(|body| Body::new(Stream { body, end, _running: self }))
            }
        }
    }
}

fn ended(mut ending: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let _ = ending.wait_for(|ending| *ending).await;
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.since.store(self.0.now(), Relaxed);
        self.0.running.fetch_sub(1, Relaxed);
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// Whether a request asks for a tunnel.
pub(crate) fn is_tunnel(method: &Method) -> bool {
    *method == Method::CONNECT
}

/// A body of unknown length.
struct Stream {
    body: Body,
    /// For server-sent events, which have no end of their own: that of the process.
    end: Option<BoxFuture<'static, ()>>,
    _running: Running,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.body).poll_frame(context))) {
            Ok(Poll::Pending) => match &mut self.end {
                Some(end) => end.as_mut().poll(context).map(|()| None), // between two events
                None => Poll::Pending,
            },
            Ok(frame) => frame,
            Err(panic) => {
                let panic = panic_message(&*panic);
                tracing::error!(panic, "the body of an answer panicked, so the answer is cut off");
                self.body = Body::empty();
                Poll::Ready(Some(Err(axum::Error::new(io::Error::other("the answer broke off")))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose bytes are noticed.
pub(crate) struct Noticed<IO> {
    pub(crate) io: IO,
    pub(crate) conduct: Arc<Conduct>,
}

/// The whole answer to a request whose head is not there.
const TOO_LATE: &str = "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
    content-length: 78\r\n\r\n{\"status\":408,\"title\":\"The request did not come in time\",\"type\":\"about:blank\"}";

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Noticed<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(context, buffer) {
            Poll::Ready(read) => read?,
            Poll::Pending => {
                // Of a head that comes in pieces alone.
                let pieces = self.conduct.head.load(Relaxed) && self.conduct.running.load(Relaxed) == 0;
                if pieces && self.conduct.late.load(Relaxed) {
                    // No request is open, so nobody else writes.
                    let _ = Pin::new(&mut self.io).poll_write(context, TOO_LATE.as_bytes());
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, HEAD)));
                }
                return Poll::Pending;
            }
        }
        if buffer.filled().len() > before {
            self.conduct.came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Noticed<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.conduct.went(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.conduct.went(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conduct() -> Arc<Conduct> {
        Arc::new(Conduct { clock: Arc::new(AtomicU32::new(0)), ..Conduct::default() })
    }

    /// The first second at which patience is over, and why.
    fn over(conduct: &Conduct) -> Option<(u32, &'static str)> {
        let patience = Patience { head_seconds: 30, stalled_seconds: 60, idle_seconds: 620 };
        (conduct.now()..2_000).find_map(|now| conduct.tries(now, patience).map(|why| (now, why)))
    }

    #[test]
    fn each_phase_has_its_patience() {
        let conduct = conduct();
        assert_eq!(over(&conduct), Some((621, "it was idle")), "a client that says nothing");

        conduct.came();
        conduct.clock.store(20, Relaxed);
        conduct.came();
        assert_eq!(over(&conduct), Some((31, HEAD)), "bytes in between gain no time");

        let running = conduct.begin(Version::HTTP_11);
        assert_eq!(over(&conduct), None, "the handler has a time of its own");
        conduct.clock.store(100, Relaxed);
        let response = running.end(false, Response::new(Body::from("fine")), &watch::Sender::new(false));
        conduct.went(true);
        assert_eq!(over(&conduct), Some((721, "it was idle")));

        conduct.went(false);
        assert_eq!(over(&conduct), Some((161, "its client does not take what it is sent")));
        conduct.went(true);
        assert_eq!(response.body().size_hint().exact(), Some(4));
    }

    #[test]
    fn streams_and_upgrades_may_be_silent() {
        let streaming = conduct();
        let running = streaming.begin(Version::HTTP_11);
        let endless = Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, io::Error>,
        >()));
        let response = running.end(false, Response::new(endless), &watch::Sender::new(false));
        assert_eq!(over(&streaming), None);
        drop(response);
        assert_eq!(over(&streaming), Some((621, "it was idle")));

        let upgraded = conduct();
        let running = upgraded.begin(Version::HTTP_11);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        running.end(false, response, &watch::Sender::new(false));
        upgraded.came();
        assert_eq!(over(&upgraded), None);
    }

    #[test]
    fn frames_between_requests_of_http2_are_no_heads() {
        let conduct = conduct();
        drop(conduct.begin(Version::HTTP_2));
        conduct.clock.store(600, Relaxed);
        conduct.came();
        assert_eq!(over(&conduct), Some((621, "it was idle")), "a ping is no request");
    }
}
