//! The application's routes as one axum router. Shared by embedded mode, server mode and the test harness.

use crate::answer::{Route, Serving};
use crate::ctx::Ctx;
use crate::http::layers::Layers;
use crate::http::{adopted, limit};
use crate::inflight::InFlight;
use crate::problem::problem;
use crate::registry::{Dispatch, Handler};
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{MethodFilter, on, on_service};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A router of `mine`'s routes, whose requests have bodies up to `body` bytes unless a handler says otherwise; those of
/// `others`, which another unit serves, answer 421. Handlers of other triggers are
/// passed over.
///
/// # Errors
/// Two handlers with the same route and method, or a route that axum can't tell from another: which. Layers whose order is
/// not said; what panics while it is made.
pub fn router(
    ctx: &Ctx,
    mine: &[&'static Handler],
    others: &[&'static Handler],
    in_flight: &InFlight,
    body: u64,
) -> Result<Router, String> {
    refuse_conflicts(mine.iter().chain(others))?;
    let layers = Layers::make(ctx, mine)?;
    // Routes with the same layers round them, and the longest that one of their handlers may take.
    let mut groups: BTreeMap<Vec<usize>, (Router, Duration)> = BTreeMap::new();
    for handler in mine {
        let Dispatch::Http { method, route, serve } = &handler.dispatch else { continue };
        let limit = limit::of(handler, body);
        let serving = Route { ctx: ctx.clone(), handler, serve: *serve, in_flight: in_flight.clone(), body: limit };
        let serving = Serving(Arc::new(serving));
        let (router, longest) = groups.entry(layers.round(route)).or_default();
        *router = std::mem::take(router).route(route, on_service(filter(method)?, serving));
        *longest = (*longest).max(Duration::from_millis(handler.timeout_millis));
    }
    for handler in others {
        let Dispatch::Http { method, route, .. } = &handler.dispatch else { continue };
        let (router, _) = groups.entry(layers.round(route)).or_default();
        *router = std::mem::take(router).route(route, on(filter(method)?, || async { misdirected() }));
    }
    let not_allowed = || async { problem(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", None) };
    let router = groups.into_iter().fold(Router::new(), |all, (round, (router, longest))| {
        all.merge(layers.wrap(router.method_not_allowed_fallback(not_allowed), &round, longest))
    });
    let router = router.fallback(|| async { problem(StatusCode::NOT_FOUND, "No such page", None) });
    adopted::mount(router, ctx, mine, others, &layers, in_flight, body)
}

/// 421: the request is for another unit of this application.
pub(crate) fn misdirected() -> Response {
    problem(StatusCode::MISDIRECTED_REQUEST, "Another part of this application serves this", None)
}

fn filter(method: &str) -> Result<MethodFilter, String> {
    let unknown = || format!("no handler can serve the method `{method}`");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| unknown())?;
    MethodFilter::try_from(method).map_err(|_| unknown())
}

/// axum panics at these; a program that was checked has none.
fn refuse_conflicts<'a>(handlers: impl Iterator<Item = &'a &'static Handler>) -> Result<(), String> {
    let mut methods: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut routes = matchit::Router::new();
    for handler in handlers {
        let Dispatch::Http { method, route, .. } = &handler.dispatch else { continue };
        let known = methods.entry(route).or_default();
        if known.is_empty() {
            routes.insert(*route, ()).map_err(|error| format!("the route `{route}` of `{}`: {error}", handler.id))?;
        }
        if let Some(other) = known.insert(method, handler.id) {
            return Err(format!("`{other}` and `{}` both serve `{method} {route}`", handler.id));
        }
    }
    Ok(())
}

/// A future that, once begun, runs to its end: dropped before (the client hung up), it goes on by itself.
pub(crate) struct Undropped<F: Future + Send + 'static>(pub(crate) Option<Pin<Box<F>>>);

impl<F: Future + Send + 'static> Future for Undropped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let result = work.as_mut().poll(context);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }
}

impl<F: Future + Send + 'static> Drop for Undropped<F> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                work.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::{Engines, Options, Routed, Scope, Unobserved};
    use crate::engine::{BoxFuture, Channel, Clock, EngineResult, Message, Messaging, SecretEngine};
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;
    use updraft_wire::Grants;

    struct Nothing;

    impl Messaging for Nothing {
        fn publish(&self, _: Channel, _: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
            Box::pin(async { Ok(()) })
        }
    }

    impl SecretEngine for Nothing {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
            Box::pin(async { Ok(None) })
        }
        fn how_to_provide(&self, _: &str) -> String {
            String::new()
        }
    }

    impl Clock for Nothing {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::now()
        }
        fn sleep_until(&self, _: jiff::Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(async {})
        }
    }

    fn ctx() -> Ctx {
        let engines = Engines {
            messaging: Arc::new(Nothing),
            stores: Routed { default: None, by_id: BTreeMap::new() },
            buckets: Routed { default: None, by_id: BTreeMap::new() },
            databases: Default::default(),
            functions: Default::default(),
            secrets: Arc::new(Nothing),
            configs: BTreeMap::new(),
            externals: BTreeMap::new(),
        };
        let observer = Arc::new(Unobserved);
        Ctx::new("app", engines, Options { clock: Arc::new(Nothing), observer, faults: None, serialise_calls: false })
    }

    fn handler(
        id: &'static str,
        (method, route): (&'static str, &'static str),
        serve: fn(Scope, Request) -> BoxFuture<'static, Response>,
    ) -> &'static Handler {
        let dispatch = Dispatch::Http { method, route, serve };
        Box::leak(Box::new(Handler { id, descriptor: &[], grants: Grants::None, timeout_millis: 100, dispatch }))
    }

    fn fine(_: Scope, _: Request) -> BoxFuture<'static, Response> {
        Box::pin(async { Response::new(Body::from("fine")) })
    }

    async fn status(router: &Router, method: &str, path: &str) -> u16 {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        if !response.status().is_success() {
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{method} {path}");
        }
        response.status().as_u16()
    }

    #[tokio::test]
    async fn answers_for_every_kind_of_miss() {
        let mine = [
            handler("a", ("GET", "/a/{id}"), fine),
            handler("boom", ("GET", "/boom"), |_, _| Box::pin(async { panic!("private words") })),
            handler("slow", ("GET", "/slow"), |_, _| Box::pin(std::future::pending())),
        ];
        let others = [handler("b", ("POST", "/a/{id}"), fine), handler("c", ("GET", "/c"), fine)];
        let router = router(&ctx(), &mine, &others, &InFlight::default(), 1 << 20).expect("a router");
        for (method, path, expected) in [
            ("GET", "/a/1", 200),
            ("POST", "/a/1", 421),
            ("PUT", "/a/1", 405),
            ("GET", "/c", 421),
            ("GET", "/nowhere", 404),
            ("GET", "/boom", 500),
            ("GET", "/slow", 504),
        ] {
            assert_eq!(status(&router, method, path).await, expected, "{method} {path}");
        }
    }

    #[test]
    fn conflicts_are_errors_and_no_panics() {
        let refused = |a, b| {
            let both = [handler("a", a, fine), handler("b", b, fine)];
            router(&ctx(), &both[..1], &both[1..], &InFlight::default(), 1 << 20).err()
        };
        assert!(refused(("GET", "/a"), ("GET", "/a")).is_some_and(|error| error.contains("`GET /a`")));
        assert!(refused(("GET", "/{a}/x"), ("PUT", "/{b}/x")).is_some_and(|error| error.contains("conflict")));
        assert!(refused(("GET", "/{a}/x"), ("PUT", "/{b}/y")).is_none());
        assert!(refused(("GET", "/{*a}"), ("GET", "/{a}")).is_some());
        assert!(refused(("GET", "/a"), ("BREW", "/b")).is_some_and(|error| error.contains("BREW")));
    }

    #[test]
    fn a_process_ends_though_a_handler_outlives_its_client() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let in_flight = InFlight::default();
        runtime.block_on(async {
            let slow = handler("slow", ("GET", "/slow"), |_, _| Box::pin(std::future::pending()));
            let router = router(&ctx(), &[slow], &[], &in_flight, 1 << 20).expect("a router");
            let request = Request::builder().uri("/slow").body(Body::empty()).expect("a request");
            let client = tokio::time::timeout(Duration::from_millis(5), router.oneshot(request));
            assert!(client.await.is_err(), "the client gave up");
        });
        assert_eq!(in_flight.count(), 1);
        drop(runtime);
        assert_eq!(in_flight.count(), 0);
    }

    #[tokio::test]
    async fn a_handler_outlives_its_client() {
        static FINISHED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        let slow = handler("slow", ("GET", "/slow"), |_, _| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                FINISHED.store(true, std::sync::atomic::Ordering::SeqCst);
                Response::default()
            })
        });
        let in_flight = InFlight::default();
        let router = router(&ctx(), &[slow], &[], &in_flight, 1 << 20).expect("a router");
        let request = Request::builder().uri("/slow").body(Body::empty()).expect("a request");
        let client = tokio::time::timeout(Duration::from_millis(5), router.clone().oneshot(request));
        assert!(client.await.is_err(), "the client gave up");
        drop(router);
        assert_eq!(in_flight.count(), 1);
        in_flight.idle().await;
        assert!(FINISHED.load(std::sync::atomic::Ordering::SeqCst));
    }
}
