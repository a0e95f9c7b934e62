//! Answers that leave as they come: requests of a function's URL, which streams them to its clients.
//!
//! An answer's head leaves when its handler returned, and each piece of its body when it is there; a few pieces at most wait to
//! be taken, so that a body is made no faster than Lambda takes it. One that breaks off can't become another answer any more: it
//! ends with trailers that say why, and its client sees no end.

use super::api::{Api, Problem};
use super::{Ends, Unit, http, left};
use crate::dispatch::panic_message;
use crate::problem::{problem, problem_id};
use crate::server::client::chain;
use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use hyper::body::Frame;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use updraft_wire::aws::events::HEAD_ENDS;

/// Pieces that wait for Lambda: a head, what ends it, a body's first and why that was its last.
const WAITING: usize = 4;
/// How much of a body is looked at before its head leaves, to know whether it is there as a whole.
const LOOKED_AT: usize = 64 * 1024;

impl Unit {
    /// Answers a request as the response comes.
    ///
    /// # Errors
    /// If that was not taken.
    pub(super) async fn stream(&self, api: &Api, id: &str, response: Response, ends: Ends) -> Result<(), String> {
        let refused = {
            let (pieces, taken) = mpsc::channel(WAITING);
            // First what is there, so that it leaves with what asks for it.
            let feeding = pin!(self.feed(response, pieces, ends));
            let asking = pin!(api.stream(id, Body::new(Taken(taken))));
            match select(feeding, asking).await {
                Either::Left(((), asking)) => return asking.await,
                // Stand-ins for Lambda say so before they have all of it.
                Either::Right((Ok(()), feeding)) => return feeding.map(Ok).await,
                Either::Right((Err(reason), _)) => reason,
            }
        };
        // Without the body, which may hold on to what is handed back here.
        self.rest(ends).await;
        Err(refused)
    }

    /// Hands over a response, piece by piece, to its end.
    async fn feed(&self, response: Response, pieces: mpsc::Sender<Frame<Bytes>>, ends: Ends) {
        let mut answer = Looked::at(response);
        if let Some(Err(problem)) = &answer.end {
            // Nobody has seen anything of it.
            answer = Looked::at(broke_off(problem));
        }
        let whole = answer.end.is_some();
        if whole {
            // What was committed is on its way before anybody is told.
            self.rest(ends).await;
        }
        for piece in answer.begins {
            if pieces.send(Frame::data(piece)).await.is_err() {
                return;
            }
        }
        if whole {
            return;
        }
        let mut body = answer.body;
        let broken = match tokio::time::timeout(left(ends.work), hand_over(&mut body, &pieces)).await {
            Ok(outcome) => outcome.err(),
            Err(_) => Some(Problem::new("timed-out", "the answer was not complete by the end of the function's time")),
        };
        drop(body);
        self.rest(ends).await;
        if let Some(problem) = broken {
            tracing::error!(kind = problem.kind, reason = problem.message, "an answer broke off");
            // One that takes nothing until the end of all time is told by it.
            let _ = tokio::time::timeout(left(ends.all), pieces.send(Frame::trailers(problem.trailers()))).await;
        }
    }
}

/// A response, and as much of its body as was there at once.
struct Looked {
    begins: Vec<Bytes>,
    /// How the body ends, if that is known.
    end: Option<Result<(), Problem>>,
    /// The rest.
    body: Body,
}

impl Looked {
    fn at(response: Response) -> Self {
        let (parts, mut body) = response.into_parts();
        let head = serde_json::to_vec(&http::head(&parts)).unwrap_or_default();
        // Each a chunk of its own, by which some stand-ins for Lambda tell them apart.
        let mut begins = vec![Bytes::from(head), Bytes::from_static(&HEAD_ENDS)];
        let mut size = 0;
        let end = loop {
            match next(&mut body).now_or_never() {
                Some(Ok(Some(piece))) => {
                    size += piece.len();
                    begins.push(piece);
                    if size > LOOKED_AT {
                        break None;
                    }
                }
                Some(Ok(None)) => break Some(Ok(())),
                Some(Err(problem)) => break Some(Err(problem)),
                None => break None,
            }
        };
        Looked { begins, end, body }
    }
}

/// What a client gets whose answer broke before it began to leave.
fn broke_off(why: &Problem) -> Response {
    let id = problem_id();
    tracing::error!(id, kind = why.kind, reason = why.message, "an answer broke off");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "The answer broke off", Some(&id))
}

/// Hands over what is left of a body, to its end or until nobody takes it.
async fn hand_over(body: &mut Body, pieces: &mpsc::Sender<Frame<Bytes>>) -> Result<(), Problem> {
    while let Some(piece) = next(body).await? {
        if pieces.send(Frame::data(piece)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The next piece of a body. Trailers get to no client here, and what is empty is none.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = AssertUnwindSafe(body.frame()).catch_unwind().await;
        let frame = frame.map_err(|panic| Problem::new("panic", panic_message(&*panic)))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|error| Problem::new("broke-off", chain(&error)))?;
        if let Ok(piece) = frame.into_data()
            && !piece.is_empty()
        {
            return Ok(Some(piece));
        }
    }
}

/// The body of what Lambda is told.
struct Taken(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Taken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

#[cfg(test)]
mod tests;
