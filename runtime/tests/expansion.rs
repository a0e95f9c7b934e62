//! What the attributes expand to, written by hand: the contract between macros and runtime, and that it does what it says.
#![allow(missing_docs, unused_qualifications, clippy::unwrap_used)]

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use updraft::__private::v1;
use updraft::ctx::{Ctx, Engines, Invocation, Options, Routed, Unobserved};
use updraft::engine::{BoxFuture, Channel, Clock, EngineResult, Message, Messaging, SecretEngine};
use updraft::prelude::*;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Order {
    sku: String,
    quantity: u32,
}

// #[queue(message = Order)] pub struct Orders;
pub struct Orders;
const _: () = {
    impl v1::ResourceType for Orders {
        const ID: &'static str = "orders";
    }
    impl v1::QueueResource for Orders {
        type Message = Order;
        fn forms() -> &'static v1::Forms<Order> {
            static FORMS: v1::Forms<Order> = v1::queue_forms::<Orders>(&[]);
            &FORMS
        }
    }
    impl v1::Delivers<Order> for Orders {}
    const _: Orders = Orders; // else rustc calls a private one that nothing names "never constructed"
    const __RECORD: v1::Record = v1::Record {
        id: "orders",
        kind: "resource:queue",
        file: ::core::file!(),
        line: ::core::line!(),
        options: &[("message", "Order")],
        grants: v1::Grants::None,
    };
    #[used]
    #[allow(unsafe_code)]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__updraft"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".updraft"))]
    static __DESCRIPTOR: [u8; __RECORD.encoded_len()] = __RECORD.encode();
    #[v1::linkme::distributed_slice(v1::RESOURCES)]
    #[linkme(crate = v1::linkme)]
    static __RESOURCE: v1::Resource = v1::Resource {
        id: "orders",
        kind: "queue",
        descriptor: &__DESCRIPTOR,
        validate: None,
        partition: None,
        migrations: None,
    };
};

// #[http(post, "/orders")]
async fn place_order(orders: Queue<Orders>, Json(order): Json<Order>) -> Result<StatusCode> {
    orders.send(&order).await?;
    Ok(StatusCode::ACCEPTED)
}
const _: () = {
    const __RECORD: v1::Record = v1::Record {
        id: "app::place_order",
        kind: "http",
        file: ::core::file!(),
        line: ::core::line!(),
        options: &[("method", "post"), ("path", "/orders"), ("timeout", "30000")],
        grants: {
            #[allow(unused_imports)]
            use v1::Undeclared as _;
            v1::Grants::All(&[v1::Probe::<Queue<Orders>>::GRANTS, v1::Probe::<Json<Order>>::GRANTS])
        },
    };
    #[v1::linkme::distributed_slice(v1::HANDLERS)]
    #[linkme(crate = v1::linkme)]
    static __HANDLER: v1::Handler = v1::Handler {
        id: __RECORD.id,
        descriptor: &[],
        grants: __RECORD.grants,
        timeout_millis: 30_000,
        dispatch: v1::Dispatch::Http { method: "POST", route: "/orders", serve: __serve },
    };
    fn __serve(scope: v1::Scope, request: axum::extract::Request) -> v1::BoxFuture<'static, axum::response::Response> {
        v1::serve(scope, request, (v1::part::<Queue<Orders>>(), v1::last::<Json<Order>, _>()), |(a, b)| {
            place_order(a, b)
        })
    }
};

// #[consumer(Orders)]
async fn ship(order: Order, delivery: Delivery, quote: Function<quote>) -> Result<()> {
    let price = quote.call(order.sku, order.quantity).await?;
    assert_eq!((price, delivery.attempt()), (30, Some(1)));
    Ok(())
}
const _: () = {
    #[v1::linkme::distributed_slice(v1::HANDLERS)]
    #[linkme(crate = v1::linkme)]
    static __HANDLER: v1::Handler = v1::Handler {
        id: "app::ship",
        descriptor: &[],
        grants: {
            #[allow(unused_imports)]
            use v1::Undeclared as _;
            v1::Grants::All(&[v1::Probe::<Delivery>::GRANTS, v1::Probe::<Function<quote>>::GRANTS])
        },
        timeout_millis: 60_000,
        dispatch: v1::Dispatch::Consumer { queue: <Orders as v1::ResourceType>::ID, retries: 5, deliver: __deliver },
    };
    fn __deliver(scope: v1::Scope, incoming: v1::Incoming) -> v1::BoxFuture<'static, updraft::Result<()>> {
        v1::consume(scope, incoming, v1::delivered::<Orders, Order>().within(900), |message, given| {
            ship(message, v1::message_argument::<Delivery>(given), v1::message_argument::<Function<quote>>(given))
        })
    }
};

// #[function]
async fn quote(sku: String, quantity: u32) -> Result<u32> {
    if sku == "none" { Err(Error::permanent("no such item")) } else { Ok(quantity * 10) }
}
/// The function `quote` as others take it: `Function<quote>`.
#[allow(non_camel_case_types)]
#[derive(Clone, Debug)]
struct quote {
    caller: v1::Caller<quote>,
}
const _: () = {
    type __Output = <Result<u32> as v1::Fallible>::Output;
    type __Error = <Result<u32> as v1::Fallible>::Error;
    impl quote {
        #[allow(dead_code)]
        async fn call(&self, sku: String, quantity: u32) -> Result<__Output, updraft::CallError<__Error>> {
            self.caller.call((sku, (quantity, ()))).await
        }
    }
    impl v1::ResourceType for quote {
        const ID: &'static str = "app::quote";
    }
    impl v1::FunctionResource for quote {
        type Arguments = (String, (u32, ()));
        type Output = __Output;
        type Error = __Error;
        fn travellers() -> <Self::Arguments as v1::Arguments>::Travellers {
            (v1::travels::<String>("sku"), (v1::travels::<u32>("quantity"), ()))
        }
        fn handler() -> &'static v1::Handler {
            &__HANDLER
        }
        #[allow(unused_variables)]
        fn dispatch(
            scope: v1::Scope,
            (sku, (quantity, ())): Self::Arguments,
        ) -> v1::BoxFuture<'static, v1::Outcome<Self>> {
            ::std::boxed::Box::pin(self::quote(sku, quantity))
        }
        fn with(caller: v1::Caller<Self>) -> Self {
            quote { caller }
        }
    }
    #[v1::linkme::distributed_slice(v1::HANDLERS)]
    #[linkme(crate = v1::linkme)]
    static __HANDLER: v1::Handler = v1::Handler {
        id: "app::quote",
        descriptor: &[],
        grants: v1::Grants::None,
        timeout_millis: 10_000,
        dispatch: v1::Dispatch::Function { call: v1::call_with_json::<quote> },
    };
};

/// A `traceparent`.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<Message>>>);

impl Messaging for World {
    fn publish(&self, _: Channel, messages: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        self.0.lock().expect("no panic while held").extend(messages);
        Box::pin(async { Ok(()) })
    }
}

impl SecretEngine for World {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async { Ok(None) })
    }
    fn how_to_provide(&self, _: &str) -> String {
        "no way".to_owned()
    }
}

impl Clock for World {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
    fn sleep_until(&self, _: jiff::Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

fn ctx(world: &World) -> Ctx {
    ctx_with(world, Routed::default())
}

/// The same, where another process runs these functions.
fn ctx_with(world: &World, functions: Routed<dyn updraft::function::Remote>) -> Ctx {
    let engines = Engines {
        messaging: Arc::new(world.clone()),
        stores: Routed { default: None, by_id: BTreeMap::new() },
        buckets: Routed { default: None, by_id: BTreeMap::new() },
        databases: Default::default(),
        functions,
        secrets: Arc::new(world.clone()),
        configs: BTreeMap::new(),
        externals: BTreeMap::new(),
    };
    let (clock, observer) = (Arc::new(world.clone()), Arc::new(Unobserved));
    Ctx::new("app", engines, Options { clock, observer, faults: None, serialise_calls: true })
}

#[tokio::test]
async fn a_request_a_message_and_a_call() {
    let world = World::default();
    let ctx = ctx(&world);
    let handlers = updraft::registry::handlers().unwrap();
    let v1::Dispatch::Http { serve, .. } = handlers["app::place_order"].dispatch else { panic!("http") };
    let request = |body: &'static str| {
        let request = axum::http::Request::post("/orders").header("content-type", "application/json");
        let invocation =
            Invocation { deadline: jiff::Timestamp::MAX, trace: updraft::telemetry::TraceContext::parse(TRACE, None) };
        serve(ctx.scope(handlers["app::place_order"], invocation), request.body(body.into()).unwrap())
    };
    assert_eq!(request(r#"{"sku": "tea", "quantity": 3}"#).await.status(), StatusCode::ACCEPTED);
    let refused = request(r#"{"sku": "tea"}"#).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");

    let refused = request(r#"{"sku": "#).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let untyped = axum::http::Request::post("/orders").body(axum::body::Body::from("{}")).unwrap();
    let invocation = Invocation { deadline: jiff::Timestamp::MAX, trace: None };
    let refused = serve(ctx.scope(handlers["app::place_order"], invocation), untyped).await;
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let [message] = world.0.lock().unwrap().clone().try_into().unwrap();
    let trace = message.trace.as_ref().map(updraft::telemetry::TraceContext::parent);
    assert_eq!((message.source.as_str(), trace.as_deref()), ("//app/app::place_order", Some(TRACE)));
    let incoming = v1::Incoming { message: message.clone(), attempt: Some(1) };
    updraft::dispatch::deliver(&ctx, handlers["app::ship"], incoming).await.unwrap();

    let poison = Message { body: Bytes::from_static(b"{}"), ..message };
    let incoming = v1::Incoming { message: poison, attempt: Some(1) };
    let failure = updraft::dispatch::deliver(&ctx, handlers["app::ship"], incoming).await.unwrap_err();
    assert_eq!(failure.kind, updraft::dispatch::FailureKind::Permanent);

    let v1::Dispatch::Function { call } = handlers["app::quote"].dispatch else { panic!("function") };
    let ask = |body: &'static str| {
        let invocation = Invocation { deadline: jiff::Timestamp::MAX, trace: None };
        call(ctx.scope(handlers["app::quote"], invocation), Bytes::from_static(body.as_bytes()))
    };
    assert_eq!(ask(r#"{"sku": "tea", "quantity": 2}"#).await.unwrap(), "20");
    assert!(ask(r#"{"sku": "tea"}"#).await.unwrap_err().to_string().contains("`quantity` is missing"));
    assert!(ask(r#"{"sku": "none", "quantity": 2}"#).await.unwrap_err().to_string().contains("no such item"));
}

#[tokio::test]
async fn what_no_parameter_declares_is_refused_at_run_time_too() {
    let handlers = updraft::registry::handlers().unwrap();
    let invocation = Invocation { deadline: jiff::Timestamp::MAX, trace: None };
    let scope = ctx(&World::default()).scope(handlers["app::ship"], invocation);
    let stolen: Queue<Orders> = v1::argument(&scope);
    let refused = stolen.send(&Order { sku: "tea".into(), quantity: 1 }).await.unwrap_err();
    assert!(refused.to_string().contains("no parameter declares it"), "{refused}");
}

/// Calls that do not get through the first time.
mod calls {
    use super::{World, ctx};
    use std::sync::atomic::{AtomicU32, Ordering};
    use updraft::__private::v1;
    use updraft::ctx::Invocation;
    use updraft::prelude::*;

    static TRIES: [AtomicU32; 3] = [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)];

    #[function(idempotent)]
    async fn steady(good_at: u32) -> Result<u32> {
        let tries = TRIES[0].fetch_add(1, Ordering::SeqCst) + 1;
        assert!(tries >= good_at, "not yet");
        Ok(tries)
    }

    #[function(idempotent)]
    async fn failing() -> Result<u32> {
        TRIES[1].fetch_add(1, Ordering::SeqCst);
        Err(Error::new("no"))
    }

    #[function]
    async fn once() -> Result<u32> {
        let tries = TRIES[2].fetch_add(1, Ordering::SeqCst);
        panic!("try {tries}");
    }

    #[http(get, "/calls")]
    async fn caller(_: Function<steady>, _: Function<failing>, _: Function<once>) {}

    #[tokio::test]
    async fn only_an_idempotent_function_is_called_again_and_only_if_the_call_failed() {
        let handlers = updraft::registry::handlers().unwrap();
        let invocation = Invocation { deadline: jiff::Timestamp::MAX, trace: None };
        let scope = ctx(&World::default()).scope(handlers["expansion::calls::caller"], invocation);
        let steady: Function<steady> = v1::argument(&scope);
        assert_eq!(steady.call(3).await.unwrap(), 3);
        TRIES[0].store(0, Ordering::SeqCst);
        assert!(matches!(steady.call(9).await, Err(CallError::Panicked(_))), "in the end the caller is told");
        assert_eq!(TRIES[0].load(Ordering::SeqCst), 3);

        let failing: Function<failing> = v1::argument(&scope);
        assert!(matches!(failing.call().await, Err(CallError::Failed(_))));
        assert_eq!(TRIES[1].load(Ordering::SeqCst), 1);

        let once: Function<once> = v1::argument(&scope);
        assert!(matches!(once.call().await, Err(CallError::Panicked(_))));
        assert_eq!(TRIES[2].load(Ordering::SeqCst), 1);
    }
}

/// What holds for every call: in the process, and from outside.
mod promises {
    use super::{World, ctx, ctx_with};
    use bytes::Bytes;
    use jiff::{SignedDuration, Timestamp};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use updraft::__private::v1;
    use updraft::ctx::{Invocation, Routed, Scope};
    use updraft::prelude::*;

    static BEGUN: AtomicU32 = AtomicU32::new(0);
    static DROPPED: AtomicU32 = AtomicU32::new(0);

    /// Notes that it was dropped before its end.
    struct Cut;

    impl Drop for Cut {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[function(timeout = "60s")]
    async fn waits() -> Result<u32> {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let _cut = Cut;
        std::future::pending().await
    }

    #[function(timeout = "60s")]
    async fn waits_for_another(waits: Function<waits>) -> Result<String> {
        Ok(format!("{:?}", waits.call().await))
    }

    #[function]
    async fn refuses() -> Result<u32> {
        Err(Error::permanent("sold out").with_status(StatusCode::CONFLICT))
    }

    #[function]
    async fn refuses_for_another(refuses: Function<refuses>) -> Result<u32> {
        Ok(refuses.call().await?)
    }

    /// Own errors.
    #[updraft::data]
    #[derive(Debug, PartialEq)]
    pub(crate) enum Trouble {
        Short { left: u32 },
    }

    impl std::fmt::Display for Trouble {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let Trouble::Short { left } = self;
            write!(f, "only {left} left")
        }
    }

    impl std::error::Error for Trouble {}

    #[function]
    async fn counts() -> Result<u32, Trouble> {
        Err(Trouble::Short { left: 3 })
    }

    #[function]
    async fn panics() -> Result<u32> {
        panic!("out of paper")
    }

    #[http(get, "/promises")]
    async fn everything(_: Function<waits>, _: Function<refuses_for_another>, _: Function<counts>) {}

    fn scope(left: Duration) -> Scope {
        let handlers = updraft::registry::handlers().unwrap();
        let deadline = Timestamp::now() + SignedDuration::try_from(left).unwrap();
        let invocation = Invocation { deadline, trace: None };
        ctx(&World::default()).scope(handlers["expansion::promises::everything"], invocation)
    }

    /// A call from outside, whose caller has so much time left.
    async fn ask(function: &str, body: &'static str, left: Duration) -> updraft::function::Answered {
        let handlers = updraft::registry::handlers().unwrap();
        let v1::Dispatch::Function { call } = handlers[function].dispatch else { panic!("function") };
        call(scope(left), Bytes::from_static(body.as_bytes())).await
    }

    const SHORT: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_call_ends_when_its_caller_must_and_is_not_begun_after_that() {
        let counts = || (BEGUN.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst));
        let inside: Function<waits> = v1::argument(&scope(LONG));
        let mut call = Box::pin(inside.call());
        assert!(futures_util::FutureExt::now_or_never(&mut call).is_none());
        assert_eq!(counts(), (1, 0));
        drop(call);
        assert_eq!(counts(), (1, 1), "who drops a call drops the function where it waits");

        let late: Function<waits> = v1::argument(&scope(Duration::ZERO));
        assert!(matches!(late.call().await, Err(CallError::TimedOut)));
        assert!(matches!(ask("expansion::promises::waits", "", Duration::ZERO).await, Err(CallError::TimedOut)));
        assert_eq!(counts(), (1, 1), "nobody has the time to wait for it");

        // All of these may take a minute; what the first caller has left holds.
        let short: Function<waits> = v1::argument(&scope(SHORT));
        assert!(matches!(short.call().await, Err(CallError::TimedOut)));
        assert!(matches!(ask("expansion::promises::waits", "", SHORT).await, Err(CallError::TimedOut)));
        match ask("expansion::promises::waits_for_another", "{}", SHORT).await {
            Err(CallError::TimedOut) => {}
            Ok(told) => assert!(String::from_utf8_lossy(&told).contains("TimedOut"), "{told:?}"),
            Err(other) => panic!("{other}"),
        }
        let (begun, dropped) = counts();
        assert_eq!(begun, dropped, "nothing that was begun waits on");
    }

    #[tokio::test]
    async fn an_error_keeps_what_it_is_and_its_words() {
        let relayed: Function<refuses_for_another> = v1::argument(&scope(LONG));
        let inside = relayed.call().await.unwrap_err();
        let outside = ask("expansion::promises::refuses_for_another", "{}", LONG).await.unwrap_err();
        let (CallError::Failed(inside), CallError::Failed(outside)) = (inside, outside) else { panic!("own errors") };
        for error in [&inside, &*outside] {
            assert_eq!((error.status(), error.is_permanent()), (StatusCode::CONFLICT, true));
            assert_eq!(error.chain(), "sold out");
        }

        let own: Function<counts> = v1::argument(&scope(LONG));
        assert!(matches!(own.call().await, Err(CallError::Failed(Trouble::Short { left: 3 }))));
        let own = ask("expansion::promises::counts", "{}", LONG).await.unwrap_err();
        assert_eq!(own.to_string(), "only 3 left");
        let CallError::Failed(own) = own else { panic!("{own}") };
        assert_eq!(own.value(), Some(serde_json::json!({ "Short": { "left": 3 } })), "for who knows its type");
        let panicked = ask("expansion::promises::panics", "{}", LONG).await.unwrap_err();
        assert!(matches!(&panicked, CallError::Panicked(words) if words == "out of paper"), "{panicked:?}");
    }

    /// Another process: what it was asked, and what it answers.
    struct Away(std::sync::Mutex<Vec<(String, updraft::function::Outgoing)>>);

    impl updraft::function::Remote for Away {
        fn call<'a>(
            &'a self,
            function: &'a str,
            call: updraft::function::Outgoing,
        ) -> updraft::engine::BoxFuture<'a, Result<serde_json::Value, CallError<serde_json::Value>>> {
            Box::pin(async move {
                self.0.lock().unwrap().push((function.to_owned(), call));
                match function {
                    "expansion::promises::counts" => {
                        Err(CallError::Failed(serde_json::json!({ "Short": { "left": 9 } })))
                    }
                    "expansion::promises::refuses_for_another" => Ok(serde_json::json!("no number")),
                    _ => std::future::pending().await,
                }
            })
        }
    }

    #[tokio::test]
    async fn a_function_of_another_process_is_called_as_one_of_this() {
        let away = std::sync::Arc::new(Away(Default::default()));
        let scope = |left: Duration| {
            let handlers = updraft::registry::handlers().unwrap();
            let deadline = Timestamp::now() + SignedDuration::try_from(left).unwrap();
            let trace = updraft::telemetry::TraceContext::parse(super::TRACE, None);
            ctx_with(&World::default(), Routed::all(away.clone()))
                .scope(handlers["expansion::promises::everything"], Invocation { deadline, trace })
        };
        let own: Function<counts> = v1::argument(&scope(LONG));
        assert!(matches!(own.call().await, Err(CallError::Failed(Trouble::Short { left: 9 }))));
        let (function, call) = away.0.lock().unwrap().pop().unwrap();
        assert_eq!((function.as_str(), call.arguments), ("expansion::promises::counts", serde_json::json!({})));
        assert!(call.deadline > Timestamp::now() + SignedDuration::from_secs(3_000), "the caller's own");
        assert_eq!(call.trace.unwrap().parent(), super::TRACE);

        let unreadable: Function<refuses_for_another> = v1::argument(&scope(LONG));
        assert!(matches!(unreadable.call().await, Err(CallError::Unreadable(_))));
        let late: Function<waits> = v1::argument(&scope(SHORT));
        assert!(matches!(late.call().await, Err(CallError::TimedOut)));
        let asked = away.0.lock().unwrap().len();
        let never: Function<waits> = v1::argument(&scope(Duration::ZERO));
        assert!(matches!(never.call().await, Err(CallError::TimedOut)));
        assert_eq!(away.0.lock().unwrap().len(), asked, "nobody has the time to wait for it");
    }

    #[tokio::test]
    async fn what_is_no_call_is_refused() {
        for (body, reason) in [
            ("{", "no JSON object of arguments"),
            ("[]", "no JSON object of arguments"),
            (r#"{"sku": "tea"}"#, "the argument `quantity` is missing"),
            (r#"{"sku": 1, "quantity": 1}"#, "the argument `sku`"),
            (r#"{"sku": "tea", "quantity": -1}"#, "the argument `quantity`"),
            (r#"{"sku": "tea", "quantity": 1, "colour": 2}"#, "there is no argument `colour`"),
        ] {
            let refused = ask("app::quote", body, LONG).await.unwrap_err();
            assert!(matches!(&refused, CallError::Unreadable(words) if words.contains(reason)), "{body}: {refused}");
        }
    }
}
