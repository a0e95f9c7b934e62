//! The shop in a played cluster, and what stands around it: Redis, an S3 server, a mailer. For tests and benchmarks.

use crate::cargo::{built, workspace};
use crate::cluster::{Cluster, Outside, World};
use crate::servers::{Redis, S3, program};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long anything may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The Redis server's.
const PASSWORD: &str = "hunter2";

/// The shop's program with the engines of its bindings, linked once; or the one that `UPDRAFT_SHOP` names, such as what
/// `cargo updraft build -p shop --target knative` put into the image.
pub(crate) fn shop() -> PathBuf {
    if let Some(program) = std::env::var_os("UPDRAFT_SHOP") {
        return program.into();
    }
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    // Beside this package, so that both are built with the same features and nothing is compiled twice.
    PROGRAM.get_or_init(|| built("shop", &["--package", "shop", "--package", "updraft-tests"])).clone()
}

/// The shop and what stands around it. Dropped in this order.
pub struct Shop {
    /// Its units.
    pub cluster: Cluster,
    /// What its letters are sent by.
    pub mailer: Arc<Outside>,
    redis: Redis,
    /// What its buckets lie on.
    pub s3: S3,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Shop {
    /// `None` if a server is not installed here.
    pub async fn open() -> Option<Self> {
        Self::open_with(BTreeMap::new()).await
    }

    /// The same with variables in every container.
    pub async fn open_with(variables: BTreeMap<String, String>) -> Option<Self> {
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

    /// Sends a request to the unit `web`; an error says why there was no answer.
    ///
    /// # Errors
    /// If there was none.
    pub async fn try_ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Value), Error> {
        let uri = format!("{}{path}", self.cluster.public("web"));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let request =
            request.header("authorization", "Bearer admin-key").body(Full::new(body.into())).expect("a request");
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into())))
    }

    /// The same where there has to be an answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.try_ask(method, path, body).await.expect("an answer")
    }

    /// Places an order.
    ///
    /// # Panics
    /// If it is not taken.
    pub async fn place(&self, id: &str, quantity: u32) {
        let order = json!({"id": id, "sku": "teapot", "quantity": quantity});
        let (status, receipt) = self.ask(Method::POST, "/orders", Some(order)).await;
        assert_eq!(
            (status, &receipt),
            (StatusCode::ACCEPTED, &json!({"id": id, "status": "placed"})),
            "{}",
            self.cluster.logs()
        );
    }

    /// Waits until an order has come so far.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn stands_at(&self, id: &str, status: &str) {
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
    ///
    /// # Panics
    /// If Redis can't be asked.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
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
    ///
    /// # Panics
    /// If not.
    pub async fn close(self) {
        self.cluster.quiet(PATIENCE).await;
        assert_eq!(self.cluster.broker().lost(), [""; 0], "{}", self.cluster.logs());
        for (service, code) in self.cluster.stop().await {
            assert_eq!(code, Some(0), "{service}\n{}", self.cluster.logs());
        }
    }
}
