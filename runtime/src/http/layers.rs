//! `#[layer]`: tower layers round the routes under a path, made once, each with the grants of its own parameters.

use crate::ctx::{Ctx, Invocation, Scope};
use crate::dispatch::panic_message;
use crate::error::Boxed;
use crate::problem::{problem, problem_id, unavailable};
use crate::registry::{Dispatch, Handler};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::FutureExt;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Service, ServiceExt};

/// A tower layer that can stand round routes: what `#[layer]` functions return, `-> impl Layer`.
///
/// Every layer that axum's `Router::layer` takes is one, and those whose services fail too: their error is logged, and the
/// request answered with 503. As with axum, each route has a clone of the layer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't stand round routes",
    label = "no tower layer for requests and responses of axum",
    note = "it is a tower layer whose service takes axum's requests, can be cloned and sent, and answers with a response: `axum::middleware::from_fn(…)`, or one of tower-http's"
)]
pub trait Layer: Send + Sync + 'static {
    #[doc(hidden)]
    fn wrap(&self, routes: Router, guard: Guard) -> Router;
}

impl<L> Layer for L
where
    L: tower::Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request>>::Response: IntoResponse + 'static,
    <L::Service as Service<Request>>::Error: Into<Boxed> + 'static,
    <L::Service as Service<Request>>::Future: Send + 'static,
{
    fn wrap(&self, routes: Router, guard: Guard) -> Router {
        let layer = self.clone();
        routes.layer(tower::layer::layer_fn(move |route| Guarded { inner: layer.layer(route), guard: guard.clone() }))
    }
}

/// For expansions: a layer is called with its routes when all is made.
pub fn layered<L: Layer>(layer: L) -> Arc<dyn Layer> {
    Arc::new(layer)
}

/// What a layer's requests are held to.
#[derive(Clone, Debug)]
pub struct Guard {
    handler: &'static str,
    timeout: Duration,
}

/// A layer's service that neither panics nor fails nor takes for ever.
#[derive(Clone)]
struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Error: Into<Boxed>,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // the clone below is asked
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (inner, Guard { handler, timeout }) = (self.inner.clone(), self.guard.clone());
        let work = AssertUnwindSafe(async move { inner.oneshot(request).await.map(IntoResponse::into_response) });
        let work = tokio::time::timeout(timeout, work.catch_unwind());
        Box::pin(async move {
            Ok(match work.await {
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(error))) => {
                    let (id, error): (_, Boxed) = (problem_id(), error.into());
                    tracing::warn!(id, handler, %error, "a layer refused a request");
                    unavailable("The request was not taken for now", Some(&id))
                }
                Ok(Err(panic)) => {
                    let id = problem_id();
                    tracing::error!(id, handler, panic = panic_message(&*panic), "a layer panicked");
                    problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", Some(&id))
                }
                Err(_) => {
                    let id = problem_id();
                    tracing::error!(id, handler, seconds = timeout.as_secs_f64(), "a layer took too long");
                    problem(StatusCode::GATEWAY_TIMEOUT, "The answer took too long", Some(&id))
                }
            })
        })
    }
}

/// The layers of a unit, outermost first.
pub(crate) struct Layers(Vec<Made>);

struct Made {
    handler: &'static Handler,
    path: &'static str,
    layer: Arc<dyn Layer>,
}

impl Layers {
    /// Makes those among `handlers`.
    ///
    /// # Errors
    /// If one panics, or if two that meet say the same order.
    pub(crate) fn make(ctx: &Ctx, handlers: &[&'static Handler]) -> Result<Self, String> {
        let layers = handlers.iter().filter_map(|handler| match handler.dispatch {
            Dispatch::Layer { path, order, make } => Some((order, path, *handler, make)),
            _ => None,
        });
        let mut layers: Vec<_> = layers.collect();
        layers.sort_by_key(|(order, path, handler, _)| (*order, *path, handler.id));
        for (at, (order, path, handler, _)) in layers.iter().enumerate() {
            for (_, other_path, other, _) in layers[..at].iter().filter(|(other, ..)| other == order) {
                if is_under(path, other_path) || is_under(other_path, path) {
                    return Err(format!(
                        "the layers `{}` and `{}` stand round the same routes and have the same order, {order}",
                        other.id, handler.id
                    ));
                }
            }
        }
        let made = layers.into_iter().map(|(_, path, handler, make)| {
            let layer = made(ctx, handler, make)?;
            Ok(Made { handler, path, layer })
        });
        Ok(Layers(made.collect::<Result<_, String>>()?))
    }

    /// Which stand round a route, outermost first.
    pub(crate) fn round(&self, route: &str) -> Vec<usize> {
        (0..self.0.len()).filter(|at| is_under(route, self.0[*at].path)).collect()
    }

    /// The paths of layers, each once.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|made| made.path)
    }

    /// Puts layers round a router whose slowest handler may take `longest`.
    pub(crate) fn wrap(&self, router: Router, round: &[usize], longest: Duration) -> Router {
        let mut timeout = longest;
        round.iter().rev().fold(router, |router, at| {
            let Made { handler, layer, .. } = &self.0[*at];
            timeout = timeout.saturating_add(Duration::from_millis(handler.timeout_millis));
            layer.wrap(router, Guard { handler: handler.id, timeout })
        })
    }
}

/// What a function makes at the start, for as long as the application runs.
///
/// # Errors
/// If it panics.
pub(crate) fn made<T>(ctx: &Ctx, handler: &'static Handler, make: fn(&Scope) -> T) -> Result<T, String> {
    let scope = ctx.scope(handler, Invocation { deadline: jiff::Timestamp::MAX, trace: None });
    catch_unwind(AssertUnwindSafe(|| make(&scope)))
        .map_err(|panic| format!("`{}` panicked at the start: {}", handler.id, panic_message(&*panic)))
}

/// Whether a path is `prefix` or below it. The prefix is plain: text alone.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
