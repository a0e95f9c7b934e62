//! One trace over every edge, in one process: the embedded engine with a tracer.

use super::{Finished, Kind, Sampler, Sink, Tracer, Value};
use crate::clock::ManualClock;
use crate::ctx::{Ctx, Engines, Event, Observer, Options, Routed, Scope};
use crate::embedded::{Dispatcher, Embedded, Topology};
use crate::engine::{BoxFuture, Channel, EngineResult, Expect};
use crate::error::{Error, Result};
use crate::inflight::InFlight;
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use crate::router::router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;
use updraft_wire::Grants;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const fn handler(id: &'static str, dispatch: Dispatch) -> Handler {
    Handler { id, descriptor: &[], grants: Grants::None, timeout_millis: 60_000, dispatch }
}

async fn publish(scope: &Scope, channel: Channel, bodies: &[&'static str]) -> EngineResult<()> {
    let messages = bodies.iter().map(|body| scope.envelope(Bytes::from_static(body.as_bytes()), "", BTreeMap::new()));
    scope.publish(channel, messages.collect(), Duration::ZERO).await
}

fn place(scope: Scope, _: Request) -> BoxFuture<'static, Response> {
    Box::pin(async move {
        publish(&scope, Channel::Queue("orders"), &["order"]).await.unwrap();
        Response::default()
    })
}

fn ship(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        scope.store("stock")?.put("stock", b"tea", Bytes::from_static(b"1"), Expect::Anything, None).await?;
        if incoming.attempt == Some(1) {
            return Err(Error::new("not yet"));
        }
        publish(&scope, Channel::Topic("shipped"), &["one", "two"]).await?;
        Ok(())
    })
}

fn mail(_: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        if &incoming.message.body[..] == b"two" { Err(Error::permanent("no such address")) } else { Ok(()) }
    })
}

fn nightly(_: Scope, _: Tick) -> BoxFuture<'static, Result<()>> {
    Box::pin(async { Ok(()) })
}

static PLACE: Handler = handler("a::place", Dispatch::Http { method: "POST", route: "/orders/{id}", serve: place });
static SHIP: Handler = handler("a::ship", Dispatch::Consumer { queue: "orders", retries: 2, deliver: ship });
static MAIL: Handler =
    handler("a::mail", Dispatch::Subscriber { topic: "shipped", when: &[], retries: 2, deliver: mail });
static NIGHTLY: Handler = handler(
    "a::nightly",
    Dispatch::Schedule {
        cron: "0 3 * * *",
        timezone: "UTC",
        overlap: false,
        run_missed: true,
        retries: 0,
        run: nightly,
    },
);

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Finished>>>, Option<Tracer>);

impl Sink for Seen {
    fn take(&self, span: Finished) {
        self.0.lock().unwrap().push(span);
    }
}

impl Observer for Seen {
    fn observe(&self, _: &Event<'_>) {}

    fn tracer(&self) -> Option<Tracer> {
        self.1.clone()
    }
}

/// Places an order with this `traceparent` and lets everything come to rest; the spans, in the order of their ends.
async fn spans(sampler: Option<Sampler>, parent: Option<&str>) -> Vec<Finished> {
    let seen = Seen::default();
    let observer = Seen(seen.0.clone(), sampler.map(|sampler| Tracer::new(sampler, Arc::new(seen.clone()))));
    let handlers = [&PLACE, &SHIP, &MAIL, &NIGHTLY];
    let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let engine = Embedded::in_memory(Topology::of(handlers), Arc::new(clock.clone())).unwrap();
    let shared = Arc::new(engine.clone());
    let engines =
        Engines { stores: Routed::all(shared.clone()), buckets: Routed::all(shared.clone()), ..Engines::only(shared) };
    let observer = Arc::new(observer);
    let ctx = Ctx::new("a", engines, Options { clock: Arc::new(clock.clone()), observer, ..Options::default() });
    let dispatcher = Dispatcher::new(ctx.clone(), engine, InFlight::default(), 7).unwrap();
    dispatcher.drain().await.unwrap(); // schedules look ahead from here
    let router = router(&ctx, &handlers, &[], &InFlight::default(), 1 << 20).unwrap();
    let mut request = Request::post("/orders/7?secret=1").header("host", "shop.example:8443");
    if let Some(parent) = parent {
        request = request.header("traceparent", parent).header("tracestate", "vendor=1");
    }
    let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    dispatcher.drain().await.unwrap();
    clock.advance(Duration::from_secs(4 * 3600)); // past a retry's pause, and three o'clock
    dispatcher.drain().await.unwrap();
    let spans = seen.0.lock().unwrap();
    spans.clone()
}

fn text<'a>(span: &'a Finished, name: &str) -> Option<&'a str> {
    span.attributes.iter().find(|(known, _)| *known == name).and_then(|(_, value)| match value {
        Value::Text(text) => Some(&**text),
        Value::Number(_) => None,
    })
}

/// Names by their parents' names, sorted: `POST /orders/{id} > send orders`.
fn edges(spans: &[Finished]) -> Vec<String> {
    let name = |id: [u8; 8]| spans.iter().find(|span| span.context.span_id == id).map_or("?", |span| &*span.name);
    let edge = |span: &Finished| {
        let error = span.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{} > {}{error}", span.parent.map_or("", name), span.name)
    };
    let mut edges: Vec<String> = spans.iter().map(edge).collect();
    edges.sort();
    edges
}

#[tokio::test]
async fn one_trace_leads_over_every_edge() {
    let spans = spans(Some(Sampler::default()), Some(PARENT)).await;
    assert_eq!(
        edges(&spans),
        [
            " > run a::nightly",
            "? > POST /orders/{id}",
            "POST /orders/{id} > send orders",
            "create shipped > dead_letter shipped (no such address)",
            "create shipped > process shipped",
            "create shipped > process shipped (no such address)",
            "process orders > create shipped",
            "process orders > create shipped",
            "process orders > put stock",
            "process orders > put stock",
            "process orders > send shipped",
            "send orders > process orders",
            "send orders > process orders (not yet)",
        ]
    );
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let root = named("POST /orders/{id}");
    assert_eq!(root.parent, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
    for span in spans.iter().filter(|span| span.name != "run a::nightly") {
        assert_eq!(span.context.trace_id, root.context.trace_id, "{}", span.name);
        assert_eq!(span.context.state.as_deref(), Some("vendor=1"), "{}", span.name);
        assert!(span.start <= span.end);
    }
    let kinds = ["POST /orders/{id}", "send orders", "process orders", "put stock", "send shipped", "create shipped"];
    let kinds = kinds.map(|name| named(name).kind);
    use Kind::{Client, Consumer, Producer, Server};
    assert_eq!(kinds, [Server, Producer, Consumer, Client, Client, Producer]);
    assert_eq!(text(root, "http.route"), Some("/orders/{id}"));
    assert_eq!(text(root, "url.path"), Some("/orders/7"));
    assert_eq!(text(root, "server.address"), Some("shop.example"));
    assert!(!format!("{spans:?}").contains("secret"), "queries are not recorded");
    let process = named("process orders");
    assert_eq!(text(process, "messaging.message.id"), text(named("send orders"), "messaging.message.id"));
    assert_eq!(process.links.len(), 1, "its message's creation");
    assert_eq!(named("send shipped").links.len(), 2, "both messages' creations");
    assert_eq!(text(process, "error.type"), Some("error"));
}

#[tokio::test]
async fn what_is_not_sampled_or_not_traced_is_silent_and_passed_on() {
    assert_eq!(spans(None, Some(PARENT)).await, []);
    let unsampled = PARENT.replace("-01", "-00");
    let only_nightly = spans(Some(Sampler::default()), Some(&unsampled)).await;
    assert_eq!(edges(&only_nightly), [" > run a::nightly"]);
    assert_eq!(spans(Some(Sampler { parent_based: true, ratio: 0.0 }), None).await, []);
    let garbage = spans(Some(Sampler::default()), Some("garbage")).await;
    assert_eq!(garbage.iter().filter(|span| span.parent.is_none()).count(), 2, "a new trace begins");
}
