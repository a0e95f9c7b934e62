//! The end of connections that are no longer HTTP: a WebSocket's client is told that the server goes away, and its handler
//! reads the end of the connection soon after. hyper no longer knows these connections, so their bytes are where it is done.

use crate::inflight::Guard;
use crate::server::patience::Conduct;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// How long a handler has after its client was told.
const LEFT: Duration = Duration::from_secs(1);
/// A WebSocket's close frame, unmasked as a server's are: 1001, going away (RFC 6455, 5.5.1 and 7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xE9];

/// A connection, which counts as open as long as anybody has it.
pub(crate) struct Farewell<IO> {
    io: IO,
    conduct: Arc<Conduct>,
    ending: watch::Receiver<bool>,
    state: State,
    /// Whether all that was written is on its way: only then does a frame of ours stand between two others.
    whole: bool,
    _open: Guard,
}

enum State {
    Open,
    Awaited(Pin<Box<dyn Future<Output = ()> + Send + Sync>>),
    Said(Pin<Box<Sleep>>),
    Over,
}

impl<IO: AsyncWrite + Unpin> Farewell<IO> {
    pub(crate) fn new(io: IO, conduct: Arc<Conduct>, ending: watch::Receiver<bool>, open: Guard) -> Self {
        Farewell { io, conduct, ending, state: State::Open, whole: true, _open: open }
    }

    /// Ready when the end has begun and the handler had its time.
    fn said(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Open => {
                    let mut ending = self.ending.clone();
                    self.state = State::Awaited(Box::pin(async move {
                        let _ = ending.wait_for(|ending| *ending).await;
                    }));
                }
                State::Awaited(ending) => {
                    ready!(ending.as_mut().poll(context));
                    if self.whole && self.conduct.is_websocket() {
                        let _ = Pin::new(&mut self.io).poll_write(context, &GOING_AWAY);
                    }
                    self.state = State::Said(Box::pin(sleep(LEFT)));
                }
                State::Said(left) => {
                    ready!(left.as_mut().poll(context));
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(()),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Farewell<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_pending() && self.conduct.is_upgraded() && self.said(context).is_ready() {
            return Poll::Ready(Ok(())); // nothing more comes
        }
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Farewell<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.whole = matches!(&written, Poll::Ready(Ok(count)) if *count == bytes.len());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices) // hyper's alone, before an upgrade
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
    use crate::inflight::InFlight;
    use crate::server::patience::{Patience, Watch};
    use axum::body::Body;
    use http::{Response, StatusCode, Version, header};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_websocket_is_told_and_then_read_to_its_end() {
        let looking = Watch::new(Patience { head_seconds: 30, stalled_seconds: 30, idle_seconds: 30 });
        let (ending, conduct, open) = (watch::Sender::new(false), looking.conduct(), InFlight::default());
        let mut upgrade = Response::new(Body::empty());
        *upgrade.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        upgrade.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("WebSocket"));
        drop(conduct.begin(Version::HTTP_11).end(false, upgrade, &ending));
        let (server, mut client) = tokio::io::duplex(64);
        let mut server = Farewell::new(server, conduct, ending.subscribe(), open.enter());
        let handler = tokio::spawn(async move {
            let mut all = Vec::new();
            server.write_all(b"hello").await.expect("it is taken");
            server.read_to_end(&mut all).await.expect("it ends in order");
            all
        });
        client.write_all(b"before").await.expect("it is read");
        let mut said = [0; 5];
        client.read_exact(&mut said).await.expect("words");
        ending.send_replace(true);
        let mut last = [0; 4];
        client.read_exact(&mut last).await.expect("a frame");
        assert_eq!((&said, last), (b"hello", GOING_AWAY));
        client.write_all(b"after").await.expect("it is read still");
        assert_eq!(handler.await.expect("it ends"), b"beforeafter");
        assert_eq!(open.count(), 0, "and counts no more");
    }
}
