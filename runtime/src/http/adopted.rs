//! `#[routes]`: axum routers that the application brings along, each under a prefix, beside routes of handlers.
//!
//! A handler's route wins over an adopted router whose prefix it is under, for its own methods: so routes can be taken over
//! one by one. Of two prefixes the longer wins. An adopted router keeps its own ways, fallback and answers included.

use super::layers::{Layers, is_under, made};
use super::limit;
use crate::answer::{Route, Serving};
use crate::ctx::{Ctx, Scope};
use crate::engine::BoxFuture;
use crate::inflight::InFlight;
use crate::registry::{Dispatch, Handler};
use crate::router::misdirected;
use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Service, ServiceExt};

/// `own` with the adopted routers of `mine` beside it; those of `others`, which another unit serves, answer 421.
///
/// # Errors
/// If one panics while it is made, or if two have one prefix.
pub(crate) fn mount(
    own: Router,
    ctx: &Ctx,
    mine: &[&'static Handler],
    others: &[&'static Handler],
    layers: &Layers,
    in_flight: &InFlight,
    body: u64,
) -> Result<Router, String> {
    let mut adopted: Vec<(&'static str, &'static Handler, Option<Router>)> = Vec::new();
    for (handlers, is_mine) in [(mine, true), (others, false)] {
        for handler in handlers {
            let Dispatch::Routes { prefix, make } = handler.dispatch else { continue };
            if let Some((_, other, _)) = adopted.iter().find(|(known, ..)| *known == prefix) {
                return Err(format!("`{}` and `{}` both adopt a router under `{prefix}`", other.id, handler.id));
            }
            let router = if is_mine { Some(made(ctx, handler, make)?) } else { None };
            adopted.push((prefix, handler, router));
        }
    }
    if adopted.is_empty() {
        return Ok(own);
    }
    let mut table = matchit::Router::new();
    for handler in mine.iter().chain(others) {
        let Dispatch::Http { method, route, .. } = &handler.dispatch else { continue };
        if !adopted.iter().any(|(prefix, ..)| is_under(route, prefix)) {
            continue;
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        match routes_at(&mut table, route) {
            Some(methods) => methods.push(method),
            None => table.insert(*route, (*route, vec![method])).map_err(|error| error.to_string())?,
        }
    }
    let mut places = Vec::new();
    for (prefix, handler, router) in adopted {
        let Some(router) = router else {
            places.push((prefix, Router::new().fallback(|| async { misdirected() })));
            continue;
        };
        // Layers round a part of it stand round requests for that part.
        let mut paths: Vec<&'static str> =
            layers.paths().filter(|path| is_under(path, prefix)).chain([prefix]).collect();
        paths.sort_unstable();
        paths.dedup();
        let router = if prefix == "/" { router } else { Router::new().nest(prefix, router) };
        for path in paths {
            let held =
                Router::new().fallback_service(held(router.clone(), ctx, handler, in_flight, limit::of(handler, body)));
            let longest = Duration::from_millis(handler.timeout_millis);
            places.push((path, layers.wrap(held, &layers.round(path), longest)));
        }
    }
    places.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    Ok(Router::new().fallback_service(Front(Arc::new(Inner { own, table, places }))))
}

type Table = matchit::Router<(&'static str, Vec<Method>)>;

/// The methods at this very route.
fn routes_at<'t>(table: &'t mut Table, route: &str) -> Option<&'t mut Vec<Method>> {
    let (known, methods) = table.at_mut(route).ok()?.value;
    (*known == route).then_some(methods)
}

/// Decides between handlers and adopted routers.
#[derive(Clone)]
struct Front(Arc<Inner>);

struct Inner {
    own: Router,
    /// The handlers' routes under adopted prefixes.
    table: Table,
    /// The longest first.
    places: Vec<(&'static str, Router)>,
}

impl Front {
    fn choose(&self, request: &Request) -> &Router {
        let Front(inner) = self;
        let (path, method) = (request.uri().path(), request.method());
        let Some((_, adopted)) = inner.places.iter().find(|(prefix, _)| is_under(path, prefix)) else {
            return &inner.own;
        };
        let taken = inner.table.at(path).is_ok_and(|found| {
            let (_, methods) = found.value;
            methods.contains(method) || (*method == Method::HEAD && methods.contains(&Method::GET))
        });
        if taken { &inner.own } else { adopted }
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.choose(&request).clone().call(request)
    }
}

/// An adopted router as a handler is held: its time, its panics, its place in the count of what runs.
fn held(
    router: Router,
    ctx: &Ctx,
    handler: &'static Handler,
    in_flight: &InFlight,
    body: u64,
) -> Serving<impl Fn(Scope, Request) -> BoxFuture<'static, Response> + Clone + use<>> {
    let serve = move |_: Scope, request: Request| -> BoxFuture<'static, Response> {
        let router = router.clone();
        Box::pin(async move {
            let Ok(response) = router.oneshot(request).await;
            response
        })
    };
    Serving(Arc::new(Route { ctx: ctx.clone(), handler, serve, in_flight: in_flight.clone(), body }))
}
