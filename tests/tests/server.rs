//! Server mode as whole processes: what a cluster sees of a unit.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use updraft_tests::http::{Answer, Http};
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::{Redis, S3, free_port};
use updraft_tests::sink::Sink;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");

/// The depot with Redis.
fn with_redis(redis: &Redis) -> Setup {
    let engine = json!({ "engine": "redis", "url_secret": "redis-url" });
    Setup::depot()
        .bind("resources/store/done", engine.clone())
        .bind("dead_letters", engine)
        .secret("redis-url", &redis.url())
}

/// The depot's bucket on S3.
fn with_s3(setup: Setup, s3: &S3) -> Setup {
    let engine = json!({ "engine": "s3", "endpoint": s3.endpoint(), "bucket": "depot", "region": S3::REGION,
        "credentials_secret": "s3" });
    setup.bind("resources/bucket/papers", engine).secret("s3", &S3::credentials())
}

async fn deliver(unit: &Running, handler: &str, id: &str, job: &Value) -> Answer {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "//depot/updraft_tests::depot::send"),
        ("ce-type", "depot.queue.jobs"),
        ("ce-time", "2026-11-23T07:00:00Z"),
        ("content-type", "application/json"),
    ];
    let url = unit.url(&format!("/_updraft/events/updraft_tests.depot.{handler}"));
    Http::one().send("POST", &url, &headers, job.to_string()).await.expect("an answer")
}

fn job(name: &str, act: &str) -> Value {
    json!({ "name": name, "act": act, "region": "eu" })
}

fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.json()["status"], status);
}

#[tokio::test]
async fn a_unit_serves_its_own_routes_over_both_versions_of_http() {
    let words = json!({ "words": { "greeting": "good day" } });
    let unit = Setup::depot().bind("configs", words).start(DEPOT, "plain", "public").ready().await;
    for client in [Http::one, Http::two] {
        let http = client();
        let answer = http.get(&unit.url("/hello/you")).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "good day, you"));
        assert_eq!(http.get(&unit.url("/_updraft/readyz")).await.status, 200);
        assert_eq!(http.get(&unit.url("/_updraft/livez")).await.status, 200);
        refused(&http.post(&unit.url("/jobs"), &json!({})).await, 421);
        refused(&http.get(&unit.url("/done/x")).await, 421);
        refused(&http.get(&unit.url("/nowhere")).await, 404);
        refused(&http.post(&unit.url("/hello/you"), &json!({})).await, 405);
        assert_eq!(http.get(&unit.url("/who")).await.text(), "127.0.0.1");
        assert_eq!(http.post(&unit.url("/echo"), &job("a", "b")).await.json(), job("a", "b"));
        refused(&http.post(&unit.url("/echo"), &json!({ "name": 1 })).await, 422);
        let large = "x".repeat(3 << 20);
        // Its connection may be closed before the body is read, and is not for what follows.
        let answer = client().send("POST", &unit.url("/echo"), &[("content-type", "application/json")], large).await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413), "no body is read without end");
        // What is internal is not there for the public.
        refused(&http.post(&unit.url("/_updraft/events/updraft_tests.depot.work"), &json!({})).await, 404);
        refused(&http.post(&unit.url("/_updraft/dead-letters"), &json!({})).await, 404);
    }
}

#[tokio::test]
async fn what_cannot_run_here_says_why() {
    let cases = [
        ("another program's graph", Setup::depot().bind("graph", json!("00")), "web", "of another program"),
        ("another format", Setup::depot().bind("format", json!(7)), "web", "format 7"),
        ("an unknown member", Setup::depot().bind("surprise", json!(1)), "web", "surprise"),
        ("an unknown unit", Setup::depot(), "nobody", "`plain`, `streams`, `web`, `work`"),
        ("no engine", Setup::depot(), "work", "store `done`: the binding names no engine"),
        ("a missing secret", Setup::depot(), "web", "secret `password`: it has no value: mount it at"),
        ("no broker", Setup::depot(), "web", "`broker_url`"),
        ("no place for dead letters", Setup::depot(), "dead-letter", "no engine for dead letters"),
        ("Lambda", Setup::depot().variable("AWS_LAMBDA_RUNTIME_API", "x"), "plain", "Lambda"),
        (
            "a wrong config",
            Setup::depot().bind("configs", json!({ "words": { "greeting": 1 } })),
            "plain",
            "config `words`: `greeting` is 1: invalid type: integer `1`, expected a string (`greeting` stands in `[config.words]`",
        ),
        (
            "a wrong config's second mistake",
            Setup::depot().bind("configs", json!({ "words": { "greeting": 1, "spare": 2 } })),
            "plain",
            "config `words`: unknown field `spare`",
        ),
        ("https", Setup::depot().bind("broker_url", json!("https://b/")), "plain", "no `http://…` URL"),
    ];
    for (what, setup, unit, expected) in cases {
        // A process needs what its own face runs, and no more.
        let face = if matches!(unit, "web" | "plain") { "public" } else { "internal" };
        let mut process = setup.start(DEPOT, unit, face);
        assert_eq!(process.ended().await.code(), Some(3), "{what}");
        assert!(process.log().contains(expected), "{what}:\n{}", process.log());
    }
    let redis = json!({ "engine": "redis", "url_secret": "redis-url" });
    let mut process = Setup::depot().bind("dead_letters", redis).start(DEPOT, "dead-letter", "internal");
    assert_eq!(process.ended().await.code(), Some(3), "an engine's missing credentials");
    assert!(process.log().contains("the secret `redis-url` has no value: mount it at"), "{}", process.log());
    let mut process = Setup::depot().start(DEPOT, "plain", "both");
    assert_eq!(process.ended().await.code(), Some(3));
    assert!(process.log().contains("`public` or `internal`"), "{}", process.log());

    let missing = Setup::depot().variable("UPDRAFT_BINDING", "/nowhere/binding.json");
    let mut process = missing.start_without_binding(DEPOT);
    assert_eq!(process.ended().await.code(), Some(3));
    assert!(process.log().contains("/nowhere/binding.json can't be read"), "{}", process.log());
    for variable in ["K_SERVICE", "KUBERNETES_SERVICE_HOST", "AWS_LAMBDA_RUNTIME_API"] {
        let mut process = Setup::depot().variable(variable, "x").start_without_binding(DEPOT);
        assert_eq!(process.ended().await.code(), Some(3));
        assert!(process.log().contains(&format!("{variable} is set, so this is a cluster")), "{}", process.log());
    }

    let first = Setup::depot().start(DEPOT, "plain", "public").ready().await;
    let port = first.url("").rsplit(':').next().expect("a port").to_owned();
    let taken = Setup::depot();
    let mut second = taken.start_at(DEPOT, "plain", "public", port.parse().expect("a port"));
    assert_eq!(second.ended().await.code(), Some(3));
    assert!(second.log().contains(&format!("can't listen on port {port}")), "{}", second.log());
}

#[tokio::test]
async fn events_are_answered_as_brokers_want_it() {
    let (Some(redis), Some(s3)) = (Redis::start(), S3::start(&["depot"])) else { return };
    let letters = Sink::start().await;
    let setup = with_s3(with_redis(&redis), &s3).bind("dead_letter_url", json!(letters.url()));
    let unit = setup.start(DEPOT, "work", "internal").ready().await;
    let web = setup
        .bind("broker_url", json!(letters.url()))
        .secret("password", "hush")
        .start(DEPOT, "web", "public")
        .ready()
        .await;
    let tries = async |name: &str| Http::one().get(&web.url(&format!("/done/{name}"))).await.text();

    let answer = deliver(&unit, "work", "1", &job("fine", "ok")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "202 without a body, else it counts as failed");
    assert_eq!(tries("fine").await, "1");

    let structured = json!({ "specversion": "1.0", "id": "2", "source": "/s", "type": "depot.queue.jobs",
        "datacontenttype": "application/json", "data": job("structured", "ok") });
    let url = unit.url("/_updraft/events/updraft_tests.depot.work");
    let headers = [("content-type", "application/cloudevents+json; charset=utf-8")];
    let answer = Http::two().send("POST", &url, &headers, structured.to_string()).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "{}", answer.text());
    assert_eq!(tries("structured").await, "1");

    for (act, kind) in [("fail", "error"), ("panic", "panic"), ("slow", "timeout")] {
        let answer = deliver(&unit, "work", "3", &job(act, act)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["kind"].as_str()),
            (500, Some(kind)),
            "retried by the broker"
        );
    }
    assert_eq!(deliver(&unit, "listen", "4", &job("heard", "ok")).await.status, 202);
    assert_eq!(tries("news%2Fheard").await, "1");
    assert_eq!(deliver(&unit, "unheard_of", "5", &job("x", "ok")).await.status, 503, "never 4xx");
    assert_eq!(deliver(&unit, "hello", "5", &job("x", "ok")).await.status, 503, "another unit's");
    refused(&Http::one().get(&unit.url("/hello/you")).await, 404);
    assert!(letters.taken().is_empty());

    // What can't succeed becomes a dead letter before it is accepted.
    letters.refuse([503]);
    assert_eq!(deliver(&unit, "work", "6", &job("never", "permanent")).await.status, 500, "it was not kept");
    assert_eq!(deliver(&unit, "work", "6", &job("never", "permanent")).await.status, 202);
    let unreadable: [(&str, Value); 2] = [("7", json!("no job")), ("8", json!({ "name": 1 }))];
    for (id, body) in &unreadable {
        assert_eq!(deliver(&unit, "work", id, body).await.status, 202);
    }
    let no_event = Http::one().send("POST", &url, &[("content-type", "application/json")], "{}").await;
    assert_eq!(no_event.expect("an answer").status, 202);
    let too_long = Http::one().send("POST", &url, &[("ce-id", "9")], vec![b'x'; 3 << 20]).await;
    assert!(too_long.is_err() || too_long.is_ok_and(|answer| answer.status == 202));
    let records: Vec<Value> =
        letters.taken().iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect();
    let field = |number: usize, name: &str| records[number][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (field(0, "id"), field(0, "kind"), field(0, "resource")),
        ("6".into(), "permanent".into(), "jobs".into())
    );
    assert_eq!(field(0, "reason"), "this job can't be done");
    assert_eq!((field(1, "id"), field(2, "id")), ("7".into(), "8".into()));
    assert!(field(3, "reason").contains("not a CloudEvent"), "{:?}", records[3]);
    assert!(field(4, "reason").contains("longer than"), "{:?}", records[4]);

    let answer = deliver(&unit, "tidy", "10", &json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
}

#[tokio::test]
async fn dead_letters_are_kept_once() {
    let Some(redis) = Redis::start() else { return };
    let unit = with_redis(&redis).start(DEPOT, "dead-letter", "internal").ready().await;
    let post = async |path: &str, code: &str| {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/s"),
            ("ce-type", "depot.queue.jobs"),
            ("ce-time", "2026-11-23T07:00:00Z"),
            ("ce-knativeerrordest", "http://x.svc/_updraft/events/updraft_tests.depot.work"),
            ("ce-knativeerrorcode", code),
            ("content-type", "application/json"),
        ];
        let answer = Http::one().send("POST", &unit.url(path), &headers, "{}").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "{}", answer.text());
    };
    post("/_updraft/dead-letters", "500").await;
    post("/_updraft/dead-letters", "503").await;
    post("/_updraft/dead-letters/updraft_tests.depot.work", "503").await;
    post("/_updraft/dead-letters/updraft_tests.depot.listen", "503").await;
    let record = json!({ "id": "2", "resource": "jobs", "handler": "updraft_tests::depot::work", "reason": "r",
        "kind": "permanent", "first": "2026-11-23T07:00:00Z", "last": "2026-11-23T07:00:00Z",
        "headers": { "ce-time": "2026-11-23T07:00:00Z" }, "body": "e30=" });
    for _ in 0..2 {
        let headers = [("content-type", "application/vnd.updraft.dead-letter+json")];
        let sent = Http::one().send("POST", &unit.url("/_updraft/dead-letters"), &headers, record.to_string()).await;
        assert_eq!(sent.expect("an answer").status, 202);
    }
    let kept = redis.command(&["--scan", "--pattern", "depot:dead-letters:e:*"]);
    let mut kept: Vec<_> = kept.lines().map(|key| key.trim_start_matches("depot:dead-letters:e:")).collect();
    kept.sort_unstable();
    let key = |handler: &str, id: u32| format!("updraft_tests::depot::{handler}/2026-11-23T07:00:00Z/{id}");
    assert_eq!(kept, [key("listen", 1), key("work", 1), key("work", 2)]);
    refused(&Http::one().get(&unit.url("/hello/you")).await, 404);
}

#[tokio::test]
async fn what_is_sent_reaches_the_broker() {
    let (Some(redis), Some(s3)) = (Redis::start(), S3::start(&["depot"])) else { return };
    let broker = Sink::start().await;
    let setup = with_s3(with_redis(&redis), &s3).bind("broker_url", json!(broker.url())).secret("password", "hush\n");
    let unit = setup.start(DEPOT, "web", "public").ready().await;
    broker.refuse([503, 404]);
    let answer = Http::one().post(&unit.url("/jobs"), &job("one", "ok")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let taken = broker.taken();
    assert_eq!(taken.len(), 2);
    for ((headers, body), event_type) in taken.iter().zip(["depot.queue.jobs", "depot.topic.news"]) {
        assert_eq!(headers["ce-type"], event_type);
        assert_eq!(headers["ce-specversion"], "1.0");
        assert_eq!(headers["ce-source"], "//depot/updraft_tests::depot::send");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["ce-id"].len(), 36);
        assert!(headers.contains_key("ce-time"));
        assert_eq!(serde_json::from_slice::<Value>(body).expect("JSON"), job("one", "ok"));
    }
    assert_eq!(taken[1].0["ce-region"], "eu", "a topic's attribute");

    broker.refuse([503; 4]);
    let answer = Http::one().post(&unit.url("/jobs"), &job("two", "ok")).await;
    refused(&answer, 503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(broker.taken().len(), 2, "nothing was half sent");

    assert_eq!(Http::one().get(&unit.url("/secrets")).await.text(), "4 0", "a trailing line end does not count");
    let _setup = setup.secret("password", "rotated");
    assert_eq!(Http::one().get(&unit.url("/secrets")).await.text(), "7 0", "rotation needs no restart");

    let paper = Http::one().send("PUT", &unit.url("/papers/a"), &[], "contents").await.expect("an answer");
    assert_eq!(paper.text(), "contents");
}

#[tokio::test]
async fn outages_are_told_and_survived() {
    let (Some(mut redis), Some(mut s3)) = (Redis::stopped(None), S3::start(&["depot"])) else { return };
    let setup = with_s3(with_redis(&redis), &s3)
        .bind("broker_url", json!(format!("http://127.0.0.1:{}", free_port())))
        .secret("password", "hush");
    let mut unit = setup.start(DEPOT, "web", "public");
    unit.answers(503).await;
    assert_eq!(Http::one().get(&unit.url("/_updraft/livez")).await.status, 200, "alive, if not ready");
    tokio::time::sleep(Duration::from_millis(300)).await;
    unit.answers(503).await;
    redis.up();
    unit.answers(200).await;
    let put = async |path: &str| Http::one().send("PUT", &unit.url(path), &[], "x").await.expect("an answer");
    assert_eq!(put("/done/x").await.text(), "1");

    redis.down();
    let started = Instant::now();
    for _ in 0..20 {
        let answer = put("/done/x").await;
        refused(&answer, 503);
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.text().contains("127.0.0.1"), "internals in an answer: {}", answer.text());
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(Http::one().get(&unit.url("/_updraft/readyz")).await.status, 200, "a shared outage takes nobody out");
    assert_eq!(Http::one().get(&unit.url("/hello/you")).await.status, 200, "what needs nothing goes on");
    redis.up();
    let started = Instant::now();
    while put("/done/y").await.status != 200 {
        assert!(started.elapsed() < Duration::from_secs(20), "it comes back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    s3.down();
    refused(&put("/papers/a").await, 503);
    s3.up();
    assert_eq!(put("/papers/a").await.text(), "x");
    refused(&Http::one().post(&unit.url("/jobs"), &job("x", "ok")).await, 503);
}

#[tokio::test]
async fn private_certificates_are_a_file_away() {
    let Some(redis) = Redis::encrypted() else { return };
    let setup = with_redis(&redis);
    let mut unit = setup.start(DEPOT, "dead-letter", "internal");
    unit.answers(503).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    unit.answers(503).await;
    assert!(unit.log().contains("UnknownIssuer"), "{}", unit.log());
    let trusting = setup.variable("SSL_CERT_FILE", &redis.ca().to_string_lossy());
    trusting.start(DEPOT, "dead-letter", "internal").ready().await;
    let mut unit = trusting.variable("SSL_CERT_FILE", "/nowhere").start(DEPOT, "dead-letter", "internal");
    assert_eq!(unit.ended().await.code(), Some(3));
    assert!(unit.log().contains("SSL_CERT_FILE names `/nowhere`"), "{}", unit.log());
}

#[tokio::test]
async fn refused_credentials_end_it() {
    let (Some(redis), Some(s3)) = (Redis::with_password("right"), S3::start(&["depot"])) else { return };
    let wrong = format!("redis://:wrong@127.0.0.1:{}/0", redis.port());
    let mut unit = with_s3(with_redis(&redis), &s3).secret("redis-url", &wrong).start(DEPOT, "work", "internal");
    assert_eq!(unit.ended().await.code(), Some(3));
    assert!(unit.log().contains("the Redis server of the secret `redis-url`: refused"), "{}", unit.log());
    assert!(!unit.log().contains("wrong"), "the secret is in the log");

    let setup = with_s3(with_redis(&redis), &s3);
    let wrong = S3::credentials().replace("only-for-tests", "wrong");
    let mut unit = setup.secret("s3", &wrong).start(DEPOT, "work", "internal");
    assert_eq!(unit.ended().await.code(), Some(3));
    assert!(unit.log().contains("the bucket `depot` at"), "{}", unit.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_loses_no_request() {
    for http in [Http::one(), Http::two()] {
        let mut unit = Setup::depot().start(DEPOT, "plain", "public").ready().await;
        let answered = Arc::new(AtomicUsize::new(0));
        let clients = (0..16).map(|client| {
            let (http, answered, url) = (http.clone(), answered.clone(), unit.url(&format!("/slow/{}", client * 7)));
            tokio::spawn(async move {
                loop {
                    match http.send("GET", &url, &[], "").await {
                        Ok(answer) => assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "slow")),
                        // Nobody listens any more: not a request that was taken and lost.
                        Err(error) if error.contains("legacy::Error(Connect") => return,
                        // HTTP/2 says that it has not taken this one: clients send it again.
                        Err(error) if error.contains("GoAway(b\"\", NO_ERROR, Remote)") => continue,
                        Err(error) => panic!("lost a request: {error}"),
                    }
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let long = {
            let (http, url) = (http.clone(), unit.url("/slow/2000"));
            tokio::spawn(async move { http.get(&url).await })
        };
        let started = Instant::now();
        while answered.load(Ordering::SeqCst) < 100 || started.elapsed() < Duration::from_millis(300) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        unit.terminate();
        assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
        assert_eq!(long.await.expect("a client").text(), "slow", "what is under way is finished");
        for client in clients {
            client.await.expect("no client lost a request, and all saw the end");
        }
    }
}

#[tokio::test]
async fn a_job_sends_a_schedules_tick() {
    let broker = Sink::start().await;
    let tick = |handler: &str, broker: &str| {
        let handler = format!("updraft_tests::depot::{handler}");
        Setup::depot().bind("broker_url", json!(broker)).variable("UPDRAFT_TICK", &handler)
    };
    let mut process = tick("tidy", &broker.url()).start(DEPOT, "work", "internal");
    assert_eq!(process.ended().await.code(), Some(0), "{}", process.log());
    let taken = broker.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0["ce-type"], "depot.schedule.updraft_tests.depot.tidy");
    assert_eq!(taken[0].1, "{}");
    let mut process = tick("work", &broker.url()).start(DEPOT, "work", "internal");
    assert_eq!(process.ended().await.code(), Some(3), "no schedule");
    let away = format!("http://127.0.0.1:{}/", free_port());
    let mut process = tick("tidy", &away).start(DEPOT, "work", "internal");
    assert_eq!(process.ended().await.code(), Some(3), "no broker");
}
