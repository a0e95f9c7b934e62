//! One request on its way through its handler: deadline, panics, and a client that hangs up. A future of its own and not an
//! `async fn`: it is polled for every request, so it holds one box (the handler's work) and starts no timer for a handler
//! that answers at once.

use crate::ctx::{Ctx, Event, Invocation, Scope};
use crate::dispatch::panic_message;
use crate::engine::BoxFuture;
use crate::faults::Occasion;
use crate::http::limit::limited;
use crate::inflight::{Guard, InFlight};
use crate::problem::{problem, problem_id, unavailable};
use crate::registry::Handler;
use crate::telemetry::current::{Current, during};
use crate::telemetry::{Span, spans};
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower::Service;

/// What serves one route's requests with one method. (axum clones it for each request.)
pub(crate) struct Serving<S = fn(Scope, Request) -> BoxFuture<'static, Response>>(pub(crate) Arc<Route<S>>);

impl<S> Clone for Serving<S> {
    fn clone(&self) -> Self {
        Serving(self.0.clone())
    }
}

/// Who serves, and within which bounds.
pub(crate) struct Route<S> {
    pub(crate) ctx: Ctx,
    pub(crate) handler: &'static Handler,
    pub(crate) serve: S,
    pub(crate) in_flight: InFlight,
    /// Bytes that a request's body may have.
    pub(crate) body: u64,
}

impl<S: Fn(Scope, Request) -> BoxFuture<'static, Response>> Service<Request> for Serving<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        let Route { ctx, handler, serve, in_flight, body } = &*self.0;
        let timeout = Duration::from_millis(handler.timeout_millis);
        let told = ctx.watches_requests().then(|| {
            Box::new(Told { started: Instant::now(), method: request.method().clone(), uri: request.uri().clone() })
        });
        let (trace, span) = spans::request(ctx, handler, &request);
        let scope = ctx.scope(handler, Invocation { deadline: ctx.deadline(timeout), trace });
        let current = Some(Current::of(scope.clone(), None));
        let occasion = Occasion { handler: handler.id, message: None, number: 1, last: false };
        let work = match (ctx.engines().databases.reason(handler), limited(request, *body)) {
            (Some(reason), _) => {
                tracing::warn!(handler = handler.id, reason, "a handler can't run here");
                Box::pin(std::future::ready(unavailable(reason, None)))
            }
            (None, Err(refusal)) => Box::pin(std::future::ready(refusal)),
            (None, Ok(request)) => match ctx.begin(&occasion) {
                None => serve(scope, request),
                Some(attempt) => {
                    let work = attempt.run(serve(scope, request));
                    Box::pin(async move { work.await.unwrap_or_else(broke_off) })
                }
            },
        };
        Answer(Some(Running {
            current,
            work,
            _in_flight: in_flight.enter(),
            handler,
            alone: false,
            give_up: None,
            simulated: ctx.simulates().then(|| ctx.clone()),
            span,
            told,
        }))
    }
}

/// What a gateway says in the place of a handler that a fault ended.
fn broke_off() -> Response {
    problem(StatusCode::BAD_GATEWAY, "The connection to the application broke off", None)
}

/// The answer to a request. Dropped before it is there (the client hung up), the handler goes on by itself.
pub(crate) struct Answer(Option<Running>);

struct Running {
    work: BoxFuture<'static, Response>,
    /// As long as the handler runs.
    _in_flight: Guard,
    /// Whose work it is; away while it is polled.
    current: Option<Current>,
    handler: &'static Handler,
    /// Whether it goes on without its client.
    alone: bool,
    /// From the first time that the handler waits for something.
    give_up: Option<BoxFuture<'static, ()>>,
    /// Whose clock keeps the deadline, if not the system's.
    simulated: Option<Ctx>,
    span: Span,
    told: Option<Box<Told>>,
}

/// What an observer is told in the end.
struct Told {
    started: Instant,
    method: Method,
    uri: Uri,
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(running) = &mut self.0 else { return Poll::Pending };
        let Poll::Ready(response) = running.poll(context) else { return Poll::Pending };
        spans::answered(&mut running.span, response.status());
        if let (Some(told), Some(current)) = (&running.told, &running.current) {
            current.scope().ctx().observe(&Event::Answered {
                handler: running.handler.id,
                method: told.method.as_str(),
                path: told.uri.path(),
                status: response.status().as_u16(),
                elapsed: told.started.elapsed(),
            });
        }
        self.0 = None; // in place: what ran is large to move
        Poll::Ready(Ok(response))
    }
}

impl Running {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let mut current = self.current.take();
        let polled = during(&mut current, || self.poll_work(context));
        self.current = current;
        polled
    }

    fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        // After a panic it is not polled again.
        match catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context))) {
            Ok(Poll::Ready(response)) => return Poll::Ready(response),
            Ok(Poll::Pending) => {}
            Err(panic) => {
                let id = problem_id();
                tracing::error!(id, handler = self.handler.id, panic = panic_message(&*panic), "a handler panicked");
                return Poll::Ready(problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", Some(&id)));
            }
        }
        let timeout = Duration::from_millis(self.handler.timeout_millis);
        let give_up = self.give_up.get_or_insert_with(|| match &self.simulated {
            Some(ctx) => ctx.timer(timeout),
            None => Box::pin(tokio::time::sleep(timeout)),
        });
        if give_up.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let id = problem_id();
        let seconds = timeout.as_secs_f64();
        tracing::error!(id, handler = self.handler.id, seconds, "a handler took too long");
        Poll::Ready(problem(StatusCode::GATEWAY_TIMEOUT, "The answer took too long", Some(&id)))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Dropped once more, it is because the process ends.
        if let Some(mut running) = self.0.take()
            && !std::mem::replace(&mut running.alone, true)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(Answer(Some(running)));
        }
    }
}
