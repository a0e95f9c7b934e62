//! Requests' bodies, which must not pause for ever.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// What a request's body fails with if its client pauses for too long. Rejections are told by these words.
pub(crate) const TOO_SLOW: &str = "the rest of the body did not come in time";

/// A request's body; one without any takes no room.
pub(crate) fn paced(incoming: Incoming, pause: Duration) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::new(Paced { incoming, pause, paused: None }) }
}

struct Paced {
    incoming: Incoming,
    pause: Duration,
    /// Since the client last sent something, if it is waited for.
    paused: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.paused = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let pause = self.pause;
        ready!(self.paused.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, TOO_SLOW)))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
