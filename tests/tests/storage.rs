//! Redis and S3 keep the promises of every store and bucket, and tell what is wrong from what is away.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft::conformance::{self, Conditions};
use updraft::engine::{BucketEngine, EngineError, Expect, StoreEngine};
use updraft::engines::Probe;
use updraft::engines::redis::{Connection, RedisStore};
use updraft::engines::s3::{S3Bucket, S3Settings};
use updraft::key::partition;
use updraft_tests::servers::{MiniStack, Redis, S3, Secrets, free_port};

fn redis(secrets: &Secrets) -> (Arc<Connection>, Arc<RedisStore>) {
    let connection = Arc::new(Connection::new(Arc::new(secrets.clone()), "redis-url"));
    (connection.clone(), Arc::new(RedisStore::new(connection, "shop", None)))
}

fn settings(endpoint: String, prefix: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint),
        bucket: "reports".to_owned(),
        region: S3::REGION.to_owned(),
        credentials_secret: Some("s3".to_owned()),
        prefix: prefix.to_owned(),
    }
}

fn s3(settings: S3Settings, secrets: &Secrets) -> Arc<S3Bucket> {
    Arc::new(S3Bucket::new(settings, Arc::new(secrets.clone())).expect("a bucket"))
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    let Some(server) = Redis::start() else { return };
    let (connection, store) = redis(&Secrets::with("redis-url", server.url()));
    let ordered = RedisStore::new(connection, "ordered", None).partitioned(partition::<String>);
    let conditions = Conditions::default();
    // Together, since both wait for entries to end.
    tokio::join!(conformance::store(store, &conditions), conformance::ordered_store(Arc::new(ordered), &conditions));
    // What nobody needs any more leaves no index behind.
    let left = server.command(&["--raw", "KEYS", "ordered:times:p:*"]);
    assert_eq!(left.lines().filter(|line| !line.is_empty()).count(), 2, "{left}");
}

#[tokio::test]
async fn redis_away_is_unavailable_and_comes_back() {
    let Some(mut server) = Redis::stopped(None) else { return };
    let (connection, store) = redis(&Secrets::with("redis-url", server.url()));
    let started = Instant::now();
    let error = store.get("stock", b"a").await.expect_err("nothing listens");
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());

    server.up();
    let started = Instant::now();
    while connection.probe().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let put = |value| store.put("stock", b"a", Bytes::from_static(value), Expect::Anything, None);
    assert!(put(b"1").await.expect("put"));

    // Restarted while a connection is open: what only reads does not even notice, and scripts are known anew.
    server.down();
    server.up();
    assert_eq!(store.get("stock", b"a").await.expect("reads are repeated"), None);
    assert!(put(b"2").await.expect("put"));
    // What writes can't be repeated, so a connection that idled is tried first.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    server.down();
    server.up();
    assert!(put(b"2").await.expect("put"));

    server.down();
    let started = Instant::now();
    for _ in 0..200 {
        let error = put(b"3").await.expect_err("it is away");
        assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "an outage is told at once: {:?}", started.elapsed());
}

#[tokio::test]
async fn redis_refusing_is_told_apart_and_credentials_rotate() {
    let Some(server) = Redis::with_password("right") else { return };
    let port = server.port();
    let secrets = Secrets::default();
    let (connection, store) = redis(&secrets);
    for (url, refused) in [
        (None, false),
        (Some("not a url".to_owned()), false),
        (Some(format!("redis://127.0.0.1:{port}")), true),
        (Some(format!("redis://:wrong@127.0.0.1:{port}")), true),
        (Some(format!("redis://nobody:right@127.0.0.1:{port}")), true),
    ] {
        if let Some(url) = &url {
            secrets.set("redis-url", url);
        }
        let error = connection.probe().await.expect_err("it can't work");
        let text = error.to_string();
        match error {
            EngineError::Refused(_) => assert!(refused, "{url:?}: {text}"),
            EngineError::Misconfigured(_) => assert!(!refused && text.contains("`redis-url`"), "{url:?}: {text}"),
            other => panic!("{url:?}: {other:?}"),
        }
        assert!(!text.contains("wrong") && !text.contains("not a url"), "a secret in an error: {text}");
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    secrets.set("redis-url", server.url());
    connection.probe().await.expect("the new secret is read");
    assert_eq!(store.get("stock", b"a").await.expect("get"), None);
}

/// A server that takes connections and says nothing: the worst kind of away.
#[tokio::test]
async fn servers_that_hang_are_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let silent = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok(connection) = listener.accept().await {
            taken.push(connection);
        }
    });
    let (connection, _) = redis(&Secrets::with("redis-url", format!("redis://{address}/1")));
    let started = Instant::now();
    let error = connection.probe().await.expect_err("it is silent");
    assert!(matches!(error, EngineError::Unavailable(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    silent.abort();
}

/// Somebody without credentials.
fn anybody() -> conformance::Ask {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    Box::new(move |request| {
        let client = client.clone();
        Box::pin(async move {
            let (head, body) = client.request(request.map(Full::new)).await.expect("an answer").into_parts();
            http::Response::from_parts(head, body.collect().await.expect("its body").to_bytes())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_conforms() {
    let Some(server) = S3::start(&["reports"]) else { return };
    let secrets = Secrets::with("s3", S3::credentials());
    let conditions = Conditions { blobs_are_files: true, conditions_are_atomic: false, ..Conditions::default() };
    let (one, other) = (settings(server.endpoint(), "one/"), settings(server.endpoint(), "other/"));
    let (one, other) = (s3(one, &secrets), s3(other, &secrets));
    conformance::bucket(one.clone(), "reports", &conditions).await;
    conformance::buckets_do_not_meet((&*one, "one"), (&*other, "other")).await;
    let whole = s3(settings(server.endpoint(), ""), &secrets);
    conformance::bucket(whole, "reports", &conditions).await;
    conformance::presigned(one, "reports", &anybody(), &conditions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_of_another_make_conforms() {
    let Some(server) = MiniStack::start("reports").await else { return };
    let secrets = Secrets::with("s3", MiniStack::credentials());
    let bucket = s3(settings(server.endpoint(), "all/"), &secrets);
    let conditions = Conditions::default();
    conformance::bucket(bucket.clone(), "reports", &conditions).await;
    conformance::presigned(bucket, "reports", &anybody(), &conditions).await;
}

#[tokio::test]
async fn s3_away_or_refusing_is_told_apart() {
    let Some(mut server) = S3::start(&["reports"]) else { return };
    let secrets = Secrets::with("s3", r#"{"access_key_id": "AKIAUPDRAFTTEST", "secret_access_key": "wrong"}"#);
    let bucket = s3(settings(server.endpoint(), ""), &secrets);
    let error = bucket.probe().await.expect_err("the key is wrong");
    assert!(matches!(error, EngineError::Refused(_)), "{error:?}");

    for unusable in ["no JSON: hush", "{}"] {
        secrets.set("s3", unusable);
        let error = bucket.probe().await.expect_err("the secret is no JSON");
        assert!(matches!(error, EngineError::Misconfigured(_)), "{error:?}");
        assert!(!error.to_string().contains("hush"), "a secret in an error: {error}");
    }
    secrets.set("s3", S3::credentials());
    bucket.probe().await.expect("the new credentials are read");

    let missing = s3(S3Settings { bucket: "missing".to_owned(), ..settings(server.endpoint(), "") }, &secrets);
    let error = missing.probe().await.expect_err("there is no such bucket");
    assert!(matches!(error, EngineError::Misconfigured(_)), "{error:?}");

    server.down();
    let started = Instant::now();
    let error = bucket.get("reports", "a").await.expect_err("it is away");
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    server.up();
    assert_eq!(bucket.get("reports", "a").await.expect("it is back"), None);

    let nobody = s3(settings(format!("http://127.0.0.1:{}", free_port()), ""), &secrets);
    assert!(matches!(nobody.probe().await, Err(EngineError::Unavailable(_))));
}
