//! Lambda mode as whole processes: what Lambda sees of a unit.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use updraft_tests::collector::Collector;
use updraft_tests::http::Http;
use updraft_tests::lambda::{Lambda, Outcome};
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::{Process, Redis, free_port, program};
use updraft_tests::sink::Sink;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");
const QUEUE: &str = "arn:aws:sqs:eu-central-1:1:depot-jobs";
const NIGHTS: &str = "arn:aws:sqs:eu-central-1:1:depot-nights";
const PAYMENTS: &str = "arn:aws:sqs:eu-central-1:1:depot-payments";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
const WEIGH: &str = "arn:aws:lambda:eu-central-1:1:function:depot-calls:live";

/// What a function is started with.
fn function(lambda: &Lambda, setup: Setup) -> Setup {
    let resources = json!({
        format!("consumes/{QUEUE}"): "updraft_tests::depot::work",
        format!("consumes/{PAYMENTS}"): "updraft_tests::depot::pay",
        format!("consumes/{NIGHTS}"): "updraft_tests::depot::nightly",
        "dead-letters/updraft_tests::depot::work": "https://sqs.eu-central-1.amazonaws.com/1/depot-dead",
        "function/updraft_tests::depot::weigh": WEIGH,
    });
    setup.variable("AWS_LAMBDA_RUNTIME_API", &lambda.address()).variable("UPDRAFT_RESOURCES", &resources.to_string())
}

fn start(lambda: &Lambda, setup: Setup, unit: &str) -> Running {
    start_at(lambda, setup, unit, NOWHERE)
}

/// The same with AWS at this address.
fn start_at(lambda: &Lambda, setup: Setup, unit: &str, aws: &str) -> Running {
    function(lambda, setup)
        .variable("AWS_ENDPOINT_URL", aws)
        .variable("AWS_REGION", "eu-central-1")
        .variable("AWS_ACCESS_KEY_ID", "AKID")
        .variable("AWS_SECRET_ACCESS_KEY", "hush-hush")
        .start(DEPOT, unit, "public")
}

fn with_redis(redis: &Redis) -> Setup {
    let engine = json!({ "engine": "redis", "url_secret": "redis-url" });
    Setup::depot().bind("resources/store/done", engine.clone()).bind("once", engine).secret("redis-url", &redis.url())
}

fn request(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "host": "api.example.org", "content-type": "application/json" },
        "requestContext": { "stage": "$default", "http": {
            "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7" } },
        "isBase64Encoded": false
    })
}

async fn status(lambda: &Lambda, event: &Value) -> (u64, String) {
    let answer = lambda.invoke(event).await.answer();
    (answer["statusCode"].as_u64().unwrap_or_default(), answer["body"].as_str().unwrap_or_default().to_owned())
}

fn job(id: &str, act: &str, attempt: u32) -> Value {
    json!({
        "messageId": id, "receiptHandle": id, "eventSource": "aws:sqs", "eventSourceARN": QUEUE,
        "body": json!({ "name": id, "act": act, "region": "eu" }).to_string(),
        "attributes": { "ApproximateReceiveCount": attempt.to_string(), "SentTimestamp": "1764000000000" },
        "messageAttributes": {}
    })
}

/// The messages of a batch that come again.
async fn again(lambda: &Lambda, records: Vec<Value>) -> Vec<Value> {
    let answer = lambda.invoke(&json!({ "Records": records })).await.answer();
    let failures = answer["batchItemFailures"].as_array().expect("failures");
    failures.iter().map(|failure| failure["itemIdentifier"].clone()).collect()
}

#[tokio::test]
async fn requests_are_answered_one_after_the_other() {
    let lambda = Lambda::start().await;
    let mut unit = start(&lambda, Setup::depot(), "plain");
    assert_eq!(status(&lambda, &request("GET", "/hello/you")).await, (200, "hello, you".to_owned()));
    assert_eq!(status(&lambda, &request("GET", "/who")).await.1, "203.0.113.7");
    let mut echo = request("POST", "/echo");
    echo["body"] = json!(r#"{"name":"a","act":"b","region":"eu"}"#);
    assert_eq!(status(&lambda, &echo).await, (200, echo["body"].as_str().unwrap_or_default().to_owned()));
    for (method, path, expected) in
        [("GET", "/nowhere", 404), ("POST", "/hello/you", 405), ("POST", "/jobs", 421), ("GET", "/a b", 404)]
    {
        let (status, body) = status(&lambda, &request(method, path)).await;
        assert_eq!((status, body.contains("\"status\":")), (expected, true), "{method} {path}: {body}");
    }

    // More than the function's time has: the client gets an answer all the same, and so does the next.
    let late = lambda.invoke_within(&request("GET", "/slow/60000"), Duration::from_millis(400), None).await.answer();
    assert_eq!(
        (&late["statusCode"], &late["headers"]["content-type"]),
        (&json!(504), &json!("application/problem+json"))
    );
    assert_eq!(status(&lambda, &request("GET", "/hello/me")).await.0, 200);

    let unknown = lambda.invoke(&json!({ "hello": 1 })).await;
    assert!(matches!(&unknown, Outcome::Error(kind, _) if kind == "unknown-event"), "{unknown:?}");
    assert_eq!(lambda.extensions(), ["updraft"], "else no signal comes");

    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
    assert!(unit.log().contains("\"request_id\":\"request-10\""), "a line says of which event:\n{}", unit.log());
}

/// As a function's URL asks, and not an API.
fn by_url(path: &str) -> Value {
    let mut event = request("GET", path);
    event["requestContext"]["domainName"] = json!("x.lambda-url.eu-central-1.on.aws");
    event
}

#[tokio::test]
async fn what_a_url_asks_is_answered_piece_by_piece() {
    let Some(redis) = Redis::start() else { return };
    let lambda = Lambda::start().await;
    let handlers = json!(["updraft_tests::depot::hello", "updraft_tests::depot::ticks", "updraft_tests::depot::work"]);
    let setup = with_redis(&redis).bind("units/web", json!({ "handlers": handlers, "streams": true }));
    let mut unit = start(&lambda, setup, "web");
    let streamed = async |path: &str, millis: u64| {
        let outcome = lambda.invoke_within(&by_url(path), Duration::from_millis(millis), None).await;
        let Outcome::Streamed(head, body, broke) = outcome else { panic!("{path}: {outcome:?}") };
        (head, String::from_utf8(body).expect("text"), broke)
    };
    let (head, body, broke) = streamed("/hello/you", 60_000).await;
    assert_eq!((&head["statusCode"], body.as_str(), broke), (&json!(200), "hello, you", None));
    let (head, body, _) = streamed("/nowhere", 60_000).await;
    assert_eq!((&head["statusCode"], body.contains("\"status\":404")), (&json!(404), true), "{body}");

    // Past the handler's timeout of a second, to the end of the function's time, and the next has all of its own.
    let (head, body, broke) = streamed("/ticks", 3_000).await;
    assert_eq!((&head["statusCode"], &head["headers"]["content-type"]), (&json!(200), &json!("text/event-stream")));
    assert!(body.starts_with("data: 0\n\n") && body.ends_with("\n\n"), "{body}");
    let (kind, words) = broke.expect("it ended whole");
    assert_eq!((kind.as_str(), words.contains("the function's time")), ("timed-out", true), "{words}");
    assert_eq!(streamed("/hello/me", 60_000).await.1, "hello, me");

    // What is no request has an answer as ever.
    assert_eq!(again(&lambda, vec![job("1", "ok", 1), job("2", "fail", 1)]).await, ["2"], "{}", unit.log());
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
}

/// cargo-lambda's Runtime API, which is of another make than the one that these tests play, at this port.
fn another_runtime_api() -> Option<(u16, Process, tempfile::TempDir)> {
    let program = program("cargo-lambda")?;
    // It wants to know a package, which nobody builds.
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    std::fs::create_dir(folder.path().join("src")).expect("a folder");
    std::fs::write(folder.path().join("src/main.rs"), "fn main() {}\n").expect("a file");
    let manifest = "[package]\nname = \"nobody\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("a file");
    let mut watch = Command::new(program);
    watch.args(["lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", &port.to_string()]);
    Some((port, Process::listening(watch.current_dir(folder.path()), port), folder))
}

/// What is driven by it.
fn driven(setup: Setup, port: u16, unit: &str) -> Running {
    let setup = setup.variable("AWS_LAMBDA_RUNTIME_API", &format!("http://127.0.0.1:{port}/.rt"));
    let setup = setup.variable("UPDRAFT_RESOURCES", "{}").variable("AWS_LAMBDA_FUNCTION_NAME", "_");
    setup.start(DEPOT, unit, "public")
}

#[tokio::test]
async fn another_runtime_api_drives_it() {
    let Some((port, _api, _folder)) = another_runtime_api() else { return };
    let unit = driven(Setup::depot(), port, "plain");
    let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/_/invocations");
    for (path, expected) in [("/hello/you", 200), ("/nowhere", 404), ("/hello/me", 200)] {
        let answer = Http::one().post(&url, &request("GET", path)).await;
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), unit.log());
        assert_eq!(answer.json()["statusCode"], expected, "{path}: {}\n{}", answer.text(), unit.log());
    }
}

#[tokio::test]
async fn another_runtime_api_streams() {
    let (Some(redis), Some((port, _api, _folder))) = (Redis::start(), another_runtime_api()) else { return };
    let handlers = json!(["updraft_tests::depot::hello", "updraft_tests::depot::ticks"]);
    let setup = with_redis(&redis).bind("units/web", json!({ "handlers": handlers, "streams": true }));
    let unit = driven(setup, port, "web");
    for (path, status, said) in [("hello/you", 200, "hello, you"), ("nowhere", 404, "\"status\":404")] {
        let answer = Http::one().get(&format!("http://127.0.0.1:{port}/lambda-url/_/{path}")).await;
        assert_eq!(answer.status, status, "{path}: {}\n{}", answer.text(), unit.log());
        assert!(answer.text().contains(said), "{path}: {}", answer.text());
    }
    // Endless: what is read is there before its end.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    stream
        .write_all(b"GET /lambda-url/_/ticks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("it reads");
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    while String::from_utf8_lossy(&all).matches("data: 0").count() < 3 {
        let read = stream.read(&mut part).await.expect("it goes on");
        assert!(read > 0, "it ended: {}\n{}", String::from_utf8_lossy(&all), unit.log());
        all.extend_from_slice(&part[..read]);
    }
    assert!(String::from_utf8_lossy(&all).contains("content-type: text/event-stream"));
}

#[tokio::test]
async fn a_batchs_messages_are_reported_one_by_one() {
    let Some(redis) = Redis::start() else { return };
    let lambda = Lambda::start().await;
    let unit = start(&lambda, with_redis(&redis), "jobs");
    let records = vec![job("1", "ok", 1), job("2", "fail", 1), job("3", "panic", 1), job("4", "ok", 2)];
    assert_eq!(again(&lambda, records).await, ["2", "3"], "{}", unit.log());
    assert_eq!(again(&lambda, vec![job("2", "ok", 2)]).await, [""; 0]);
    let times = |name: &str| redis.command(&["HGET", &format!("depot:done:e:{name}"), "v"]).trim().to_owned();
    assert_eq!((times("1").as_str(), times("2").as_str(), times("4").as_str()), ("1", "2", "1"));
    // Nobody can be reached here who would keep it, so it stays where it is.
    assert_eq!(again(&lambda, vec![job("5", "permanent", 1)]).await, ["5"]);
    let mut foreign = job("6", "ok", 1);
    foreign["eventSourceARN"] = json!("arn:aws:sqs:eu-central-1:1:other");
    let outcome = lambda.invoke(&json!({ "Records": [foreign] })).await;
    assert!(matches!(&outcome, Outcome::Error(kind, _) if kind == "unknown-handler"), "{outcome:?}");
    let line =
        unit.log().lines().find(|line| line.starts_with('{') && line.contains("this job hurts")).map(str::to_owned);
    let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
    assert_eq!((&line["span"]["request_id"], &line["message_id"]), (&json!("request-1"), &json!("3")));
}

/// As SQS does, which takes all that is sent.
fn taken(asked: &Bytes) -> String {
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    let entries = asked["Entries"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    json!({ "Successful": entries.map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn what_fails_is_put_off_given_up_or_returned() {
    let Some(redis) = Redis::start() else { return };
    let (lambda, sqs) = (Lambda::start().await, Sink::answering(taken).await);
    let unit = start_at(&lambda, with_redis(&redis), "jobs", &sqs.url());
    let mut newer = job("newer", "ok", 9);
    newer["body"] = json!("{}");
    let metadata = json!({ "id": "m", "source": "//depot/x", "time": "2026-11-25T00:00:00Z", "schema": "blake3:ff" });
    newer["messageAttributes"] = json!({ "updraft": { "stringValue": metadata.to_string(), "dataType": "String" } });
    let records = vec![job("tried", "fail", 1), job("never", "permanent", 1), job("often", "fail", 6), newer];
    assert_eq!(again(&lambda, records).await, ["tried"], "{}", unit.log());

    let taken: Vec<(String, Value)> = sqs
        .taken()
        .into_iter()
        .map(|(headers, body)| {
            let target = headers["x-amz-target"].to_str().expect("text").to_owned();
            (target, serde_json::from_slice(&body).expect("JSON"))
        })
        .collect();
    let hidden: Vec<&Value> =
        taken.iter().filter(|(target, _)| target.ends_with("Visibility")).map(|(_, it)| it).collect();
    assert_eq!((hidden.len(), &hidden[0]["ReceiptHandle"]), (1, &json!("tried")));
    assert_eq!(hidden[0]["QueueUrl"], "https://sqs.eu-central-1.amazonaws.com/1/depot-jobs");
    assert!(hidden[0]["VisibilityTimeout"].as_u64().is_some_and(|seconds| seconds <= 1), "{hidden:?}");
    let sent = |queue: &str| -> Vec<(String, Value, Value)> {
        let to = taken.iter().filter(|(_, it)| it["QueueUrl"].as_str().is_some_and(|url| url.ends_with(queue)));
        let entries = to.flat_map(|(_, it)| it["Entries"].as_array().cloned().unwrap_or_default());
        let mut sent: Vec<_> = entries
            .map(|entry| {
                let metadata = entry["MessageAttributes"]["updraft"]["StringValue"].as_str().expect("metadata");
                let metadata: Value = serde_json::from_str(metadata).expect("JSON");
                (
                    metadata["id"].as_str().unwrap_or_default().to_owned(),
                    metadata["own"].clone(),
                    entry["DelaySeconds"].clone(),
                )
            })
            .collect();
        sent.sort_by(|one, other| one.0.cmp(&other.0));
        sent
    };
    let dead: Vec<(String, Value)> = sent("depot-dead")
        .into_iter()
        .map(|(id, own, _)| {
            let told: Value = serde_json::from_str(own["givenup"].as_str().expect("a reason")).expect("JSON");
            (id, json!([told["kind"], told["reason"], told["attempts"]]))
        })
        .collect();
    let expected = [
        ("never".to_owned(), json!(["permanent", "this job can't be done", 1])),
        ("often".to_owned(), json!(["error", "this job failed", 6])),
    ];
    assert_eq!(dead, expected);
    let [(id, own, delay)] = &sent("depot-jobs")[..] else { panic!("one comes back") };
    assert_eq!((id.as_str(), own["skewuntil"].is_string(), delay), ("m", true, &json!(2)));
}

#[tokio::test]
async fn a_message_is_handled_once() {
    let Some(redis) = Redis::start() else { return };
    let lambda = Lambda::start().await;
    let _unit = start(&lambda, with_redis(&redis), "pay");
    let mut payment = job("p1", "ok", 1);
    payment["eventSourceARN"] = json!(PAYMENTS);
    for _ in 0..2 {
        assert_eq!(again(&lambda, vec![payment.clone(), payment.clone()]).await, [""; 0]);
    }
    assert_eq!(redis.command(&["HGET", "depot:done:e:p1", "v"]).trim(), "1");
}

#[tokio::test]
async fn a_function_of_another_unit_is_invoked() {
    let lambda = Lambda::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let played = axum::Router::new().fallback(async |uri: http::Uri, body: String| {
        let event: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(uri.path(), format!("/2015-03-31/functions/{}/invocations", WEIGH.replace(':', "%3A")));
        match event["updraft"]["call"]["arguments"]["text"].as_str() {
            Some("") => (HeaderMap::new(), r#"{"error":{"kind":"failed","message":"no","error":"Weightless"}}"#),
            Some("away") => {
                let header =
                    (http::HeaderName::from_static("x-amz-function-error"), "Unhandled".parse().expect("a value"));
                (HeaderMap::from_iter([header]), r#"{"errorType":"Runtime.ExitError","errorMessage":"gone"}"#)
            }
            _ => (HeaderMap::new(), r#"{"ok":3}"#),
        }
    });
    tokio::spawn(async move { axum::serve(listener, played).await });
    let unit = start_at(&lambda, Setup::depot(), "callers", &url);
    assert_eq!(status(&lambda, &request("GET", "/weight/tea")).await, (200, "3".to_owned()), "{}", unit.log());
    assert_eq!(status(&lambda, &request("GET", "/weight/")).await.0, 404);
    assert_eq!(status(&lambda, &request("GET", "/weight/away")).await.0, 500);
}

#[tokio::test]
async fn a_schedule_is_run_and_its_failure_told() {
    let Some(redis) = Redis::start() else { return };
    let lambda = Lambda::start().await;
    let _unit = start(&lambda, with_redis(&redis), "jobs");
    let due = |attempt: u32| {
        let due = json!({ "handler": "updraft_tests::depot::nightly", "scheduled": "2026-11-25T03:00:00Z",
            "attempt": attempt.to_string() });
        json!({ "updraft": { "schedule": due } })
    };
    let failed = lambda.invoke(&due(1)).await;
    assert_eq!(failed, Outcome::Error("error".to_owned(), "no night begins well".to_owned()));
    assert_eq!(lambda.invoke(&due(2)).await, Outcome::Answer(Value::Null));
    assert_eq!(redis.command(&["HGET", "depot:done:e:2026-11-25T03:00:00Z", "v"]).trim(), "2");
}

#[tokio::test]
async fn a_schedules_queue_tells_of_its_runs() {
    let Some(redis) = Redis::start() else { return };
    let lambda = Lambda::start().await;
    let _unit = start(&lambda, with_redis(&redis), "jobs");
    let tick = |handler: &str, attempt: u32| {
        let due = json!({ "handler": handler, "scheduled": "2026-11-25T03:00:00Z", "attempt": "1" });
        let mut record = job("tick", "", attempt);
        record["eventSourceARN"] = NIGHTS.into();
        record["body"] = json!({ "updraft": { "schedule": due } }).to_string().into();
        record
    };
    let nightly = "updraft_tests::depot::nightly";
    assert_eq!(again(&lambda, vec![tick(nightly, 1)]).await, ["tick"], "no night begins well");
    assert!(again(&lambda, vec![tick(nightly, 2)]).await.is_empty());
    assert_eq!(redis.command(&["HGET", "depot:done:e:2026-11-25T03:00:00Z", "v"]).trim(), "2");
    assert_eq!(again(&lambda, vec![tick("somebody::else", 1)]).await, ["tick"], "nobody keeps its letter here");
}

#[tokio::test]
async fn a_function_is_called_from_another_unit() {
    let lambda = Lambda::start().await;
    let unit = start(&lambda, Setup::depot(), "calls");
    let call = async |text: &str, deadline: &str| {
        let call =
            json!({ "handler": "updraft_tests::depot::weigh", "deadline": deadline, "arguments": { "text": text } });
        lambda.invoke(&json!({ "updraft": { "call": call } })).await.answer()
    };
    let later = "2100-01-01T00:00:00Z";
    assert_eq!(call("tea", later).await, json!({ "ok": 3 }));
    let failed = call("", later).await;
    assert_eq!(
        failed["error"],
        json!({ "kind": "failed", "message": "nothing weighs nothing", "error": "Weightless" })
    );
    let panicked = call("panic", later).await;
    assert_eq!(panicked["error"], json!({ "kind": "panicked", "message": "the scales broke" }), "{}", unit.log());
    assert_eq!(call("tea", "2000-01-01T00:00:00Z").await["error"]["kind"], "timed-out");
    let unreadable = json!({ "handler": "updraft_tests::depot::weigh", "deadline": later, "arguments": {} });
    let answer = lambda.invoke(&json!({ "updraft": { "call": unreadable } })).await.answer();
    assert_eq!(answer["error"]["kind"], "unreadable");
}

#[tokio::test]
async fn a_start_that_fails_is_told() {
    let lambda = Lambda::start().await;
    let mut unit = start(&lambda, Setup::depot(), "jobs");
    assert_eq!(unit.ended().await.code(), Some(3));
    let Some(Outcome::Error(kind, message)) = lambda.start_error() else { panic!("{}", unit.log()) };
    assert_eq!(kind, "updraft.start");
    assert!(message.contains("store `done`: the binding names no engine"), "{message}");
    // Who serves a function of another unit, CloudFormation tells.
    let setup = Setup::depot().variable("AWS_LAMBDA_RUNTIME_API", &lambda.address());
    let mut unit = setup.start(DEPOT, "callers", "public");
    assert_eq!(unit.ended().await.code(), Some(3));
    assert!(unit.log().contains("function `updraft_tests::depot::weigh`: UPDRAFT_RESOURCES"), "{}", unit.log());
}

#[tokio::test]
async fn traces_leave_before_the_process_stands_still() {
    let (lambda, collector) = (Lambda::start().await, Collector::listen().await);
    let setup = Setup::depot().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let mut unit = start(&lambda, setup, "plain");
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    lambda.invoke_within(&request("GET", "/hello/you"), Duration::from_secs(60), Some(trace)).await.answer();
    // The second event is asked for once the first one's spans are out.
    lambda.invoke(&request("GET", "/hello/you")).await.answer();
    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|span| span.span.name == name);
    let first = named("GET /hello/{name}").expect("the request's span");
    assert_eq!(first.trace(), "5759e988bd862e3fe1be46a994272793");
    let cold = named("start plain").expect("the start's span");
    assert_eq!(cold.attribute("faas.coldstart").as_deref(), Some("true"));
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0));
}
