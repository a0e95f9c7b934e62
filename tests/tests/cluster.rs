//! The shop in a cluster, as far as one can be had without Kubernetes: the emitted manifests, the linked program, Redis, an
//! S3 server, and a broker that retries, delivers twice and now and then refuses.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use updraft_tests::cluster::{Cluster, Outside, World};
use updraft_tests::collector::{Collector, Told, tree};
use updraft_tests::servers::{Redis, S3, program};

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Redis server's.
const PASSWORD: &str = "hunter2";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shop's program with the engines of its bindings, linked once; or the one that `UPDRAFT_SHOP` names, such as what
/// `cargo updraft build -p shop --target knative` put into the image.
fn shop() -> PathBuf {
    if let Some(program) = std::env::var_os("UPDRAFT_SHOP") {
        return program.into();
    }
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        // Beside this package, so that both are built with the same features and nothing is compiled twice.
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells a test about its package would make it build others anew.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--quiet", "--package", "shop", "--package", "updraft-tests", "--message-format", "json"]);
        let output = cargo.current_dir(workspace()).output().expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_shop = |message: &Value| message["target"]["name"] == "shop" && message["executable"].is_string();
        let artifact = messages.into_iter().find(is_shop).expect("the shop's program");
        PathBuf::from(artifact["executable"].as_str().expect("a path"))
    };
    PROGRAM.get_or_init(build).clone()
}

/// The shop and what stands around it. Dropped in this order.
struct Shop {
    cluster: Cluster,
    mailer: Arc<Outside>,
    redis: Redis,
    s3: S3,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shop {
    /// `None` if a server is not installed here.
    async fn open() -> Option<Self> {
        Self::open_with(BTreeMap::new()).await
    }

    /// The same with variables in every container.
    async fn open_with(variables: BTreeMap<String, String>) -> Option<Self> {
        let (redis, s3) = (Redis::with_password(PASSWORD)?, S3::start(&["shop"])?);
        let mailer = Outside::listen().await;
        let secret = |value: String| BTreeMap::from([("value".to_owned(), value)]);
        let world = World {
            program: shop(),
            secrets: BTreeMap::from([
                ("shop-redis-url".to_owned(), secret(redis.url())),
                ("shop-s3-credentials".to_owned(), secret(S3::credentials())),
                ("shop-mailer-key".to_owned(), secret("mail-key".to_owned())),
                ("shop-admin-key".to_owned(), secret("admin-key".to_owned())),
            ]),
            origins: BTreeMap::from([("https://s3.example.com".to_owned(), s3.endpoint())]),
            externals: BTreeMap::from([("mailer".to_owned(), mailer.url())]),
            variables,
        };
        let cluster = Cluster::apply(&workspace().join("examples/shop/expected/knative"), world).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Some(Shop { cluster, mailer, redis, s3, client })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let uri = format!("{}{path}", self.cluster.public("web"));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let request =
            request.header("authorization", "Bearer admin-key").body(Full::new(body.into())).expect("a request");
        let answer = self.client.request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    async fn place(&self, id: &str, quantity: u32) {
        let order = json!({"id": id, "sku": "teapot", "quantity": quantity});
        let (status, receipt) = self.ask(Method::POST, "/orders", Some(order)).await;
        assert_eq!(
            (status, &receipt),
            (StatusCode::ACCEPTED, &json!({"id": id, "status": "placed"})),
            "{}",
            self.cluster.logs()
        );
    }

    async fn stands_at(&self, id: &str, status: &str) {
        let started = Instant::now();
        loop {
            let (_, receipt) = self.ask(Method::GET, &format!("/orders/{id}"), None).await;
            if receipt["status"] == status {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{id} is {receipt}, not {status}\n{}", self.cluster.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keys of dead letters, `<handler>/<time>/<id>`, and what the letters say.
    fn dead_letters(&self) -> Vec<(String, String)> {
        let ask = |arguments: &[&str]| {
            let program = program("redis-cli").expect("redis-cli, which comes with redis-server");
            let port = self.redis.port().to_string();
            let output = Command::new(program)
                .args(["-p", &port, "-a", PASSWORD, "--no-auth-warning", "--raw"])
                .args(arguments)
                .output();
            String::from_utf8_lossy(&output.expect("redis-cli").stdout).trim().to_owned()
        };
        let keys = ask(&["KEYS", "*dead-letters:e:*"]);
        let letter = |key: &str| (key.to_owned(), ask(&["HVALS", key]));
        keys.lines().filter(|key| !key.is_empty()).map(letter).collect()
    }

    /// Ends everything; each unit must have gone by itself, and the broker must have lost nothing.
    async fn close(self) {
        self.cluster.quiet(PATIENCE).await;
        assert_eq!(self.cluster.broker().lost(), [""; 0], "{}", self.cluster.logs());
        for (service, code) in self.cluster.stop().await {
            assert_eq!(code, Some(0), "{service}\n{}", self.cluster.logs());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_shipped_mailed_and_audited() {
    let Some(shop) = Shop::open().await else { return };
    let (status, count) = shop.ask(Method::PUT, "/admin/stock/teapot", Some(json!({"left": 10}))).await;
    assert_eq!((status, count), (StatusCode::OK, json!({"left": 10})), "{}", shop.cluster.logs());
    // Enough of them that the broker refuses some at first and delivers some twice.
    let ids: Vec<String> = (0..8).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        shop.place(id, 1).await;
    }
    for id in &ids {
        shop.stands_at(id, "shipped").await;
    }
    shop.cluster.quiet(PATIENCE).await;

    let letters = shop.mailer.sent();
    for id in &ids {
        let to = |letter: &&updraft_tests::cluster::Sent| letter.headers["idempotency-key"] == id.as_str();
        let letter = letters.iter().find(to).unwrap_or_else(|| panic!("no letter for {id}\n{}", shop.cluster.logs()));
        assert_eq!(
            (letter.request.as_str(), &letter.headers["authorization"]),
            ("POST /messages", &"Bearer mail-key".parse().expect("a value"))
        );
        assert!(letter.body.contains(&format!("Your order {id} is on its way")), "{}", letter.body);
        let trail = shop.s3.read("shop", &format!("trail/shipments/{id}.txt"));
        assert_eq!(trail.as_deref(), Some("1 × teapot\n".as_bytes()), "{id}");
    }
    // Delivered twice or not, eight pieces left the shelf.
    let (status, price) = shop.ask(Method::GET, "/quotes/teapot?quantity=2", None).await;
    assert_eq!((status, price), (StatusCode::OK, json!({"cents": 2 * 1_990})));
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=3", None).await;
    assert_eq!(status, StatusCode::CONFLICT);

    shop.cluster.fire("shop-reports-nightly-report").await;
    shop.cluster.quiet(PATIENCE).await;
    let report = shop.s3.read("shop", "reports/stock/2026-11-23.csv");
    assert_eq!(report.as_deref(), Some(&b"sku,left\nteapot,2\n"[..]), "{}", shop.cluster.logs());
    assert_eq!(shop.dead_letters(), []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_is_kept_with_its_reason() {
    let Some(shop) = Shop::open().await else { return };
    shop.mailer.fail(true);
    shop.place("good", 1).await;
    shop.place("poison", 1_000_000).await;
    shop.stands_at("good", "shipped").await;
    shop.stands_at("poison", "failed").await;
    shop.cluster.quiet(PATIENCE).await;

    // The permanent error after one attempt each time it was delivered, the mailer's after all retries.
    let letters = shop.dead_letters();
    let of = |handler: &str| letters.iter().filter(|(key, _)| key.contains(handler)).collect::<Vec<_>>();
    let [(_, poison)] = of("shop::orders::ship")[..] else { panic!("{letters:?}\n{}", shop.cluster.logs()) };
    assert!(poison.contains("are more than there are") && poison.contains("\"kind\":\"permanent\""), "{poison}");
    let [(_, mail)] = of("shop::mail::email_customer")[..] else { panic!("{letters:?}\n{}", shop.cluster.logs()) };
    assert!(mail.contains("asking the mailer") || mail.contains("503"), "{mail}");
    assert_eq!(letters.len(), 2, "{letters:?}");
    let attempts = shop.cluster.broker().attempts();
    let tried = |trigger: &str| attempts.iter().filter(|attempt| attempt.trigger == trigger).count();
    assert!(tried("shop-mail-email-customer") >= 9, "{attempts:?}");
    assert_eq!(shop.s3.read("shop", "trail/shipments/good.txt").as_deref(), Some("1 × teapot\n".as_bytes()));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_units_under_load_loses_no_request() {
    let Some(shop) = Shop::open().await else { return };
    let shop = Arc::new(shop);
    shop.place("first", 1).await;
    shop.stands_at("first", "shipped").await;
    let clients = (0..8).map(|client| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let mut placed = Vec::new();
            for number in 0..25 {
                let id = format!("{client}-{number}");
                shop.place(&id, 0).await;
                placed.push(id);
            }
            placed
        })
    });
    let clients: Vec<_> = clients.collect();
    for service in ["web", "orders", "web", "orders"] {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let code = shop.cluster.service(service).roll().await;
        assert_eq!(code, Some(0), "{service}\n{}", shop.cluster.logs());
    }
    let mut placed = Vec::new();
    for client in clients {
        placed.extend(client.await.expect("no client's request is lost"));
    }
    assert_eq!(placed.len(), 200);
    for id in &placed {
        shop.stands_at(id, "shipped").await;
    }
    let Some(shop) = Arc::into_inner(shop) else { panic!("a client still holds the shop") };
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_die_lose_no_message() {
    let Some(shop) = Shop::open().await else { return };
    for round in 0..6 {
        for number in 0..10 {
            shop.place(&format!("{round}-{number}"), 1).await;
        }
        tokio::time::sleep(Duration::from_millis(20 * round)).await;
        for service in ["orders", "audit", "mail"] {
            shop.cluster.service(service).crash();
        }
    }
    for round in 0..6 {
        for number in 0..10 {
            shop.stands_at(&format!("{round}-{number}"), "shipped").await;
        }
    }
    shop.cluster.quiet(PATIENCE).await;
    for round in 0..6 {
        for number in 0..10 {
            let id = format!("{round}-{number}");
            assert!(shop.s3.read("shop", &format!("trail/shipments/{id}.txt")).is_some(), "{id}");
            let letters = shop.mailer.sent();
            assert!(letters.iter().any(|letter| letter.headers["idempotency-key"] == id.as_str()), "{id}");
        }
    }
    // Sixty of the hundred that a shelf begins with, each once, however often it was tried.
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=40", None).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=41", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(shop.dead_letters(), []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faces_show_their_own_paths_alone() {
    let Some(shop) = Shop::open().await else { return };
    let event = "/_updraft/events/shop.orders.ship";
    let (status, _) = shop.ask(Method::POST, event, Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = shop.ask(Method::POST, "/_updraft/dead-letters", Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_over_all_units() {
    let collector = Collector::listen().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("OTEL_METRICS_EXPORTER", "none".to_owned())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let Some(shop) = Shop::open_with(BTreeMap::from(variables)).await else { return };
    shop.place("one", 1).await;
    shop.stands_at("one", "shipped").await;
    shop.cluster.quiet(PATIENCE).await;
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=2", None).await;
    assert_eq!(status, StatusCode::OK);
    shop.mailer.fail(true);
    shop.place("poison", 1_000_000).await;
    shop.stands_at("poison", "failed").await;
    shop.cluster.quiet(PATIENCE).await;
    let logs = shop.cluster.logs();
    shop.close().await; // each unit sends what it still has when it ends

    let spans = collector.spans();
    let trace_of = |route: &str, number: usize| {
        let mut roots: Vec<&Told> = spans.iter().filter(|told| told.span.name == route).collect();
        roots.sort_by_key(|told| told.span.start_time_unix_nano);
        let trace = roots.get(number).unwrap_or_else(|| panic!("no {route}: {}", tree(&spans))).trace();
        let of: Vec<Told> = spans.iter().filter(|told| told.trace() == trace).cloned().collect();
        (tree(&of), of)
    };
    let (order, _) = trace_of("POST /orders", 0);
    assert_eq!(
        order,
        "\
shop-web: POST /orders
  shop-web: put progress
  shop-web: send orders
    shop-orders: process orders
      shop-orders: get progress
      shop-orders: get stock
      shop-orders: put progress
      shop-orders: put stock
      shop-orders: send shipped
        shop-audit: process shipped
          shop-audit: put trail
        shop-mail: process shipped
          shop-mail: POST
"
    );
    let (quote, _) = trace_of("GET /quotes/{sku}", 0);
    assert_eq!(quote, "shop-web: GET /quotes/{sku}\n  shop-web: call shop::pricing::quote\n    shop-web: get stock\n");
    let (poison, of) = trace_of("POST /orders", 1);
    let reason = "order poison: 1000000 × teapot are more than there are";
    assert_eq!(
        poison,
        format!(
            "\
shop-web: POST /orders
  shop-web: put progress
  shop-web: send orders
    shop-dead-letter: dead_letter orders ! {reason}
    shop-orders: process orders ! {reason}
      shop-orders: get progress
      shop-orders: get stock
      shop-orders: put progress
      shop-orders: put stock
"
        )
    );
    let failed = of.iter().find(|told| told.span.name == "process orders").expect("an attempt");
    assert_eq!(failed.attribute("error.type").as_deref(), Some("permanent"));
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.into_iter().find(|line| line["message"] == "a message failed").expect("a line");
    assert_eq!(said["trace_id"], failed.trace().as_str());
    assert_eq!(said["message_id"], failed.attribute("messaging.message.id").expect("an id").as_str());
}
