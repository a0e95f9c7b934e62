//! What is made once for the whole application: shared values, layers, adopted routers, in a program of its own.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Extension, Router};
use std::sync::atomic::{AtomicUsize, Ordering};
use updraft::axum;
use updraft::prelude::*;
use updraft::test::{App, json};

#[secret]
struct ApiKey;

#[store(key = String, value = u32)]
struct Hits;

#[store(key = String, value = u32)]
struct Visits;

#[queue(message = u32)]
struct Numbers;

static BUILT: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone)]
struct Client {
    key: String,
}

#[shared]
async fn client(key: Secret<ApiKey>) -> Result<Client> {
    BUILT.fetch_add(1, Ordering::SeqCst);
    Ok(Client { key: key.expose().await?.expose_secret().to_owned() })
}

/// Not `Clone`: handlers share it all the same.
struct Counter {
    client: Shared<Client>,
    hits: Store<Hits>,
}

#[shared(timeout = "5s")]
async fn counter(client: Shared<Client>, hits: Store<Hits>) -> Result<Counter, std::io::Error> {
    Ok(Counter { client, hits })
}

#[http(post, "/count")]
async fn count(counter: Shared<Counter>) -> Result<String> {
    let hits = counter.hits.update(&"all".to_owned(), |hits| hits.unwrap_or(0) + 1).await?;
    Ok(format!("{} {hits}", counter.client.key))
}

/// axum's own way to the same value.
#[http(get, "/key")]
async fn key(State(client): State<Client>) -> String {
    client.key
}

#[consumer(Numbers)]
async fn add(number: u32, counter: Shared<Counter>) -> Result<()> {
    counter.hits.update(&"all".to_owned(), |hits| hits.unwrap_or(0) + number).await?;
    Ok(())
}

#[function]
async fn secretive(client: Shared<Client>, salt: String) -> Result<String> {
    Ok(client.key.clone() + &salt)
}

#[http(get, "/salted")]
async fn salted(secretive: Function<secretive>) -> Result<String> {
    Ok(secretive.call("!".into()).await?)
}

async fn mark(State(name): State<&'static str>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let before = response.headers().get("x-through").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value = format!("{name} {before}").trim_end().parse().expect("a header");
    response.headers_mut().insert("x-through", value);
    response
}

#[layer("/")]
fn outer() -> impl Layer {
    from_fn_with_state("outer", mark)
}

#[layer("/admin", order = 2)]
fn inner() -> impl Layer {
    from_fn_with_state("inner", mark)
}

/// Counts visits in a store of its own.
#[layer("/admin", order = 1)]
fn visits(visits: Store<Visits>) -> impl Layer {
    from_fn_with_state(visits, async |State(visits): State<Store<Visits>>, request: Request, next: Next| {
        let path = request.uri().path().to_owned();
        match visits.update(&path, |visits| visits.unwrap_or(0) + 1).await {
            Ok(_) => next.run(request).await,
            Err(error) => Error::from(error).into_response(),
        }
    })
}

#[layer("/broken", order = 1)]
fn broken() -> impl Layer {
    from_fn(async |request: Request, next: Next| {
        assert!(request.uri().query() != Some("boom"), "private words");
        next.run(request).await
    })
}

/// Its service fails: tower's own kind of answer.
#[layer("/broken", order = 2)]
fn failing() -> impl Layer {
    tower::layer::layer_fn(|routes: axum::routing::Route| {
        tower::service_fn(move |request: Request| {
            let routes = routes.clone();
            async move {
                match request.uri().query() {
                    Some("fail") => Err(std::io::Error::other("private words")),
                    _ => tower::ServiceExt::oneshot(routes, request).await.map_err(|error| match error {}),
                }
            }
        })
    })
}

#[http(get, "/broken")]
async fn behind() -> &'static str {
    "fine"
}

#[http(get, "/admin/{name}")]
async fn admin(Path(name): Path<String>) -> String {
    name
}

#[http(get, "/administrators")]
async fn administrators() -> &'static str {
    "not under /admin"
}

#[routes("/legacy", timeout = "5s")]
fn legacy(hits: Store<Hits>, client: Shared<Client>) -> Router {
    let orders = Router::new()
        .route("/{id}", get(async |axum::extract::Path(id): axum::extract::Path<String>| format!("old {id}")))
        .route("/", get(async || "old list").post(async || "old post"));
    Router::new()
        .nest("/orders", orders)
        .route("/admin/panel", get(async || "old panel"))
        .route("/boom", get(async || -> String { panic!("private words") }))
        .route("/matched", get(async |matched: MatchedPath| matched.as_str().to_owned()))
        .route(
            "/hits",
            get(async |State(hits): State<Store<Hits>>, Extension(client): Extension<Shared<Client>>| {
                let hits = hits.get(&"all".to_owned()).await.ok().flatten();
                format!("{hits:?} {}", client.key)
            }),
        )
        .fallback(async || (StatusCode::NOT_FOUND, "old nothing"))
        .layer(Extension(client))
        .with_state(hits)
}

/// A layer round a part of an adopted router.
#[layer("/legacy/admin", order = 5)]
fn old_admin() -> impl Layer {
    from_fn_with_state("old_admin", mark)
}

/// Taken over already.
#[http(get, "/legacy/orders/{order}")]
async fn order(Path(order): Path<String>) -> String {
    format!("new {order}")
}

async fn app() -> App {
    updraft::test::app!().secret::<ApiKey>("k").start().await
}

#[tokio::test]
async fn shared_values_are_built_once_and_reach_what_they_were_made_of() {
    let before = BUILT.load(Ordering::SeqCst);
    let app = app().await;
    assert!(BUILT.load(Ordering::SeqCst) > before);
    assert_eq!(app.post("/count").await.text(), "k 1");
    app.queue::<Numbers>().send(&4).await.unwrap();
    app.drain().await;
    assert_eq!(app.post("/count").await.text(), "k 6");
    assert_eq!(app.get("/key").await.text(), "k");
    assert_eq!(app.get("/salted").await.text(), "k!");
}

#[tokio::test]
#[should_panic(expected = "the shared value of `wide::client` could not be made")]
async fn what_can_not_be_built_is_said_at_the_start() {
    updraft::test::app!().start().await;
}

#[tokio::test]
async fn layers_stand_in_their_order_round_what_is_under_their_path() {
    let app = app().await;
    let answer = app.get("/admin/users").await;
    assert_eq!((answer.text().as_str(), answer.header("x-through")), ("users", Some("outer inner")));
    assert_eq!(app.store::<Visits>().get(&"/admin/users".to_owned()).await.unwrap(), Some(1));
    let answer = app.get("/administrators").await;
    assert_eq!((answer.status().as_u16(), answer.header("x-through")), (200, Some("outer")));
    // The answers of a route's own kind pass through its layers too.
    let answer = app.post("/admin/users").await;
    assert_eq!((answer.status().as_u16(), answer.header("x-through")), (405, Some("outer inner")));
    assert_eq!(app.get("/nowhere").await.header("x-through"), None);
}

#[tokio::test]
async fn a_layer_that_panics_or_fails_is_an_answer() {
    let app = app().await;
    assert_eq!(app.get("/broken").await.text(), "fine");
    for (path, status) in [("/broken?boom", 500), ("/broken?fail", 503)] {
        let answer = app.get(path).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(!answer.text().contains("private"), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_adopted_router_has_what_no_handler_took_over() {
    let app = app().await;
    app.post("/count").await;
    for (method, path, status, text) in [
        ("GET", "/legacy/orders/7", 200, "new 7"),
        ("HEAD", "/legacy/orders/7", 200, ""),
        ("POST", "/legacy/orders/7", 405, ""),
        ("GET", "/legacy/orders", 200, "old list"),
        ("POST", "/legacy/orders", 200, "old post"),
        ("GET", "/legacy/hits", 200, "Some(1) k"),
        ("GET", "/legacy/matched", 200, "/legacy/matched"),
        ("GET", "/legacy/nothing", 404, "old nothing"),
        ("GET", "/legacyx", 404, r#"{"status":404,"title":"No such page","type":"about:blank"}"#),
    ] {
        let answer = app.request(method, path).await;
        assert_eq!((answer.status().as_u16(), answer.text().as_str()), (status, text), "{method} {path}");
    }
    let answer = app.get("/legacy/boom").await;
    assert_eq!((answer.status().as_u16(), answer.header("x-through")), (500, Some("outer")));
    assert!(!answer.text().contains("private"));
}

#[tokio::test]
async fn a_layer_round_a_part_of_an_adopted_router() {
    let app = app().await;
    let answer = app.get("/legacy/admin/panel").await;
    assert_eq!((answer.text().as_str(), answer.header("x-through")), ("old panel", Some("outer old_admin")));
    assert_eq!(app.get("/legacy/orders").await.header("x-through"), Some("outer"));
}

#[tokio::test]
async fn a_handler_is_tested_with_a_value_of_the_tests_own() {
    let answer = secretive(Shared::new(Client { key: "test".into() }), "s".into()).await;
    assert_eq!(answer.unwrap(), "tests");
}

#[test]
fn descriptors_say_what_each_reaches() {
    let handlers = updraft::registry::handlers().expect("ids are unique");
    let grants = |id: &str| -> Vec<String> {
        let [record] = updraft_wire::descriptor::decode(handlers[id].descriptor).unwrap().try_into().unwrap();
        record.grants.iter().map(|grant| format!("{} {} {}", grant.kind, grant.resource, grant.access)).collect()
    };
    let of_client = ["secret api-key read", "shared wide::client read"];
    assert_eq!(grants("wide::client"), ["secret api-key read"]);
    assert_eq!(grants("wide::key"), of_client);
    let of_counter = [of_client[0], of_client[1], "shared wide::counter read", "store hits read-write"];
    assert_eq!(grants("wide::count"), of_counter);
    assert_eq!(grants("wide::add"), of_counter);
    assert_eq!(grants("wide::legacy"), [of_client[0], of_client[1], "store hits read-write"]);
    // What a layer takes is its own, and not of the handlers below it.
    assert_eq!(grants("wide::visits"), ["store visits read-write"]);
    assert_eq!(grants("wide::admin"), [""; 0]);
    let options = |id: &str| {
        let [record] = updraft_wire::descriptor::decode(handlers[id].descriptor).unwrap().try_into().unwrap();
        (record.kind, json!(record.options))
    };
    assert_eq!(options("wide::inner"), ("layer".into(), json!({"order": "2", "path": "/admin", "timeout": "30"})));
    assert_eq!(options("wide::legacy"), ("routes".into(), json!({"prefix": "/legacy", "timeout": "5"})));
    assert_eq!(options("wide::counter"), ("shared".into(), json!({"timeout": "5", "value": "Counter"})));
}
