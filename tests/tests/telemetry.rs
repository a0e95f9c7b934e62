//! Traces, metrics and logs of a unit in server mode, as a collector, Prometheus and a log's reader see them.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use updraft_tests::collector::{Collector, Mood, tree};
use updraft_tests::http::{Answer, Http};
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::{Redis, S3, free_port};
use updraft_tests::sink::Sink;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");
const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(setup: Setup, collector: &Collector) -> Setup {
    // Soon enough for a test, late enough that only the drain's flush could send what is looked for after an end.
    setup.variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()).variable("OTEL_BSP_SCHEDULE_DELAY", "50")
}

async fn deliver(unit: &Running, id: &str, act: &str) -> Answer {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "//depot/updraft_tests::depot::send"),
        ("ce-type", "depot.queue.jobs"),
        ("ce-time", "2026-11-23T03:00:00Z"),
        ("ce-traceparent", PARENT),
        ("traceparent", "00-11111111111111111111111111111111-2222222222222222-01"),
        ("content-type", "application/json"),
    ];
    let job = json!({ "name": id, "act": act, "region": "eu" });
    let url = unit.url("/_updraft/events/updraft_tests.depot.work");
    Http::one().send("POST", &url, &headers, job.to_string()).await.expect("an answer")
}

/// A bucket that nobody asks for anything.
fn nowhere() -> Value {
    json!({ "engine": "s3", "endpoint": "http://127.0.0.1:9", "bucket": "depot", "region": S3::REGION,
        "credentials_secret": "s3" })
}

fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn a_delivery_belongs_to_its_senders_trace_and_so_do_its_lines() {
    let Some(redis) = Redis::start() else { return };
    let (collector, sink) = (Collector::listen().await, Sink::start().await);
    let setup = Setup::depot()
        .bind("resources/store/done", json!({ "engine": "redis", "url_secret": "redis-url" }))
        .secret("redis-url", &redis.url())
        .bind("resources/bucket/papers", nowhere())
        .secret("s3", &S3::credentials())
        .bind("dead_letter_url", json!(sink.url()));
    let setup = traced(setup, &collector).variable("OTEL_METRIC_EXPORT_INTERVAL", "50");
    let mut unit = setup.start(DEPOT, "work", "internal");
    unit.answers(503).await;
    assert_eq!(deliver(&unit, "one", "ok").await.status, 202);
    assert_eq!(deliver(&unit, "two", "fail").await.status, 500);
    assert_eq!(deliver(&unit, "two", "permanent").await.status, 202);
    let metrics = Http::one().get(&unit.url("/_updraft/metrics")).await;
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());

    let spans = collector.spans();
    assert_eq!(
        tree(&spans),
        "depot-work: process jobs\n  depot-work: get done\n  depot-work: put done\n\
         depot-work: process jobs ! this job can't be done\n  depot-work: get done\n  depot-work: put done\n\
         depot-work: process jobs ! this job failed\n  depot-work: get done\n  depot-work: put done\n"
    );
    assert!(spans.iter().all(|told| told.trace() == TRACE), "the sender's context wins over a hop's: {}", tree(&spans));
    let process = spans.iter().find(|told| told.attribute("messaging.message.id").as_deref() == Some("one"));
    let process = process.expect("a span of the first message");
    assert_eq!(process.span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert_eq!(process.span.links[0].span_id, process.span.parent_span_id);
    assert_eq!(process.span.kind, 5, "CONSUMER");
    assert!(process.span.start_time_unix_nano <= process.span.end_time_unix_nano);
    let get = spans.iter().find(|told| told.span.name == "get done").expect("an operation");
    assert_eq!(get.attribute("db.system.name").as_deref(), Some("redis"));

    let log = unit.log();
    let line = lines(&log).into_iter().find(|line| line["message"] == "doing a job" && line["job"] == "one");
    let line = line.unwrap_or_else(|| panic!("no line of the handler's own:\n{log}"));
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"], process.id());
    assert_eq!((&line["handler"], &line["message_id"]), (&json!("updraft_tests::depot::work"), &json!("one")));
    let failed = lines(&log).into_iter().find(|line| line["message"] == "a message failed").expect("a failure's line");
    assert_eq!((&failed["trace_id"], &failed["message_id"]), (&json!(TRACE), &json!("two")));

    let page = exposition(&metrics.text());
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let work = "handler=\"updraft_tests::depot::work\"";
    for (outcome, count) in [("ok", 1.0), ("error", 1.0), ("permanent", 1.0), ("panic", 0.0), ("timeout", 0.0)] {
        let series = format!("updraft_attempts_total{{{work},trigger=\"consumer\",outcome=\"{outcome}\"}}");
        assert_eq!(page.get(&series), Some(&count), "{series}\n{}", metrics.text());
    }
    assert_eq!(page[&format!("updraft_retries_total{{{work}}}")], 1.0);
    assert_eq!(page[&format!("updraft_message_age_seconds_count{{{work}}}")], 3.0);
    assert_eq!(page["updraft_operation_duration_seconds_count{kind=\"store\",resource=\"done\"}"], 6.0);
    assert_eq!(page["updraft_in_flight"], 0.0);

    let told = collector.metrics();
    let last = told.iter().rev().find(|(_, metric)| metric.name == "updraft.attempts").expect("metrics by OTLP");
    assert_eq!(last.0, "depot-work");
    let Some(updraft_tests::collector::Data::Sum(sum)) = &last.1.data else { panic!("{last:?}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{sum:?}");
    let duration =
        told.iter().rev().find(|(_, metric)| metric.name == "updraft.handler.duration").expect("a histogram");
    let Some(updraft_tests::collector::Data::Histogram(histogram)) = &duration.1.data else { panic!("{duration:?}") };
    for point in &histogram.data_points {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    }
    assert!(histogram.data_points.iter().any(|point| point.count == 3), "{histogram:?}");
}

/// Reads Prometheus' text format strictly: every series after its family's `# TYPE`, buckets that grow, `+Inf` as the count.
fn exposition(text: &str) -> BTreeMap<String, f64> {
    let (mut series, mut family, mut kind) = (BTreeMap::new(), String::new(), String::new());
    let mut before: Option<(String, f64)> = None;
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().expect("a name").to_owned();
            assert!(rest.len() > family.len() + 1, "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').expect("a type");
            assert_eq!(name, family, "one family after another");
            assert!(["counter", "gauge", "histogram"].contains(&of), "{line}");
            assert_eq!(name.ends_with("_total"), of == "counter", "{line}");
            kind = of.to_owned();
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (bare, labels) = name.split_once('{').map_or((name, ""), |(bare, labels)| (bare, labels));
        assert!(bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        match kind.as_str() {
            "histogram" => {
                let part = bare.strip_prefix(&family).unwrap_or_else(|| panic!("{line} in {family}"));
                assert!(["_bucket", "_sum", "_count"].contains(&part), "{line}");
                if part == "_bucket" {
                    let (of, bound) = labels.rsplit_once("le=\"").expect("a bound");
                    let bound = bound.trim_end_matches("\"}");
                    assert!(bound == "+Inf" || bound.parse::<f64>().is_ok(), "{line}");
                    if let Some((same, less)) = &before {
                        assert!(same != of || *less <= value, "buckets grow: {line}");
                    }
                    before = Some((of.to_owned(), value));
                }
                if part == "_count" {
                    assert_eq!(before.take().map(|(_, inf)| inf), Some(value), "+Inf is the count: {line}");
                }
            }
            _ => assert_eq!(bare, family, "{line}"),
        }
        assert!(series.insert(name.to_owned(), value).is_none(), "twice: {name}");
    }
    series
}

#[tokio::test]
async fn requests_are_spans_and_the_metrics_of_a_public_face_have_a_port_of_their_own() {
    let (collector, port) = (Collector::listen().await, free_port());
    let setup = traced(Setup::depot(), &collector)
        .variable("OTEL_SERVICE_NAME", "mine")
        .variable("OTEL_METRICS_EXPORTER", "prometheus")
        .variable("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
        .variable("OTEL_EXPORTER_PROMETHEUS_PORT", &port.to_string());
    let unit = setup.start(DEPOT, "plain", "public").ready().await;
    let http = Http::one();
    let hello = [("traceparent", PARENT), ("tracestate", "vendor=1")];
    assert_eq!(
        http.send("GET", &unit.url("/hello/you?token=private"), &hello, "").await.expect("an answer").status,
        200
    );
    assert_eq!(http.post(&unit.url("/echo"), &json!({ "name": 1 })).await.status, 422);
    assert_eq!(http.get(&unit.url("/_updraft/metrics")).await.status, 404, "not for the world");
    let spans = collector.until(PATIENCE, |spans| spans.len() >= 2).await;
    let hello = spans.iter().find(|told| told.span.name == "GET /hello/{name}").expect("a span");
    assert_eq!((hello.trace().as_str(), hello.span.trace_state.as_str()), (TRACE, "vendor=1"));
    assert_eq!(hello.attribute("url.path").as_deref(), Some("/hello/you"));
    assert_eq!(hello.attribute("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(hello.service, "mine");
    let echo = spans.iter().find(|told| told.span.name == "POST /echo").expect("a span");
    assert!(echo.span.status.is_none(), "the client's mistake");
    assert!(echo.span.parent_span_id.is_empty() && echo.trace() != TRACE);
    assert!(!format!("{spans:?}").contains("private"));
    let page = http.get(&format!("http://127.0.0.1:{port}/_updraft/metrics")).await;
    let page = exposition(&page.text());
    let of = |path: &str, outcome: &str| {
        page[&format!(
            "updraft_attempts_total{{handler=\"updraft_tests::depot::{path}\",trigger=\"http\",outcome=\"{outcome}\"}}"
        )]
    };
    assert_eq!((of("hello", "2xx"), of("echo", "4xx"), of("echo", "5xx")), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn a_collector_that_is_away_or_slow_harms_nobody() {
    for mood in [Mood::Asleep, Mood::Busy] {
        let collector = Collector::listen().await;
        collector.set(mood);
        let setup = traced(Setup::depot(), &collector).variable("OTEL_BSP_MAX_QUEUE_SIZE", "4");
        let mut unit = setup.start(DEPOT, "plain", "public").ready().await;
        let http = Http::one();
        for _ in 0..50 {
            assert_eq!(http.get(&unit.url("/hello/you")).await.status, 200);
        }
        unit.terminate();
        assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
        let log = lines(&unit.log());
        let lost = log.iter().find(|line| line["dropped"].is_u64()).unwrap_or_else(|| panic!("{}", unit.log()));
        assert!(lost["dropped"].as_u64().is_some_and(|dropped| (40..=50).contains(&dropped)), "{lost}");
    }
    // Nobody listens there.
    let away = Setup::depot().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{}", free_port()));
    let mut unit = away.start(DEPOT, "plain", "public").ready().await;
    assert_eq!(Http::one().get(&unit.url("/hello/you")).await.status, 200);
    let started = Instant::now();
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
    assert!(started.elapsed() < PATIENCE);
    // And it may come back.
    let collector = Collector::listen().await;
    collector.set(Mood::Busy);
    let mut unit = traced(Setup::depot(), &collector).start(DEPOT, "plain", "public").ready().await;
    assert_eq!(Http::one().get(&unit.url("/hello/you")).await.status, 200);
    collector.set(Mood::Well);
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0), "{}", unit.log());
    assert_eq!(tree(&collector.spans()), "depot-plain: GET /hello/{name}\n", "{}", unit.log());
}

#[tokio::test]
async fn a_laptop_tells_a_collector_too() {
    let collector = Collector::listen().await;
    let setup = traced(Setup::depot(), &collector).variable("UPDRAFT_STATE_DIR", "state");
    let setup = setup.variable("UPDRAFT_SECRET_PASSWORD", "x");
    let mut laptop = setup.start_without_binding(DEPOT);
    laptop.answers(404).await; // nobody probes a laptop
    let headers = [("traceparent", PARENT)];
    let answer = Http::one().send("GET", &laptop.url("/done/a"), &headers, "").await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", laptop.log());
    collector.until(PATIENCE, |spans| spans.len() == 2).await;
    laptop.terminate();
    assert_eq!(laptop.ended().await.code(), Some(0), "{}", laptop.log());
    let spans = collector.spans();
    assert_eq!(tree(&spans), "updraft-tests: GET /done/{name}\n  updraft-tests: get done\n");
    assert!(spans.iter().all(|told| told.trace() == TRACE), "{}", tree(&spans));
}

#[tokio::test]
async fn off_is_off_and_what_came_is_passed_on() {
    let collector = Collector::listen().await;
    let disabled = traced(Setup::depot(), &collector).variable("OTEL_SDK_DISABLED", "true");
    let broker = Sink::start().await;
    let setup = disabled
        .bind("broker_url", json!(broker.url()))
        .bind("resources/store/done", json!({ "engine": "redis", "url_secret": "redis-url" }))
        .bind("resources/bucket/papers", nowhere())
        .secret("redis-url", "redis://127.0.0.1:1")
        .secret("s3", &S3::credentials())
        .secret("password", "x");
    let mut unit = setup.start(DEPOT, "web", "public");
    unit.answers(503).await;
    let job = json!({ "name": "a", "act": "ok", "region": "eu" }).to_string();
    let headers = [("content-type", "application/json"), ("traceparent", PARENT), ("tracestate", "vendor=1")];
    let answer = Http::one().send("POST", &unit.url("/jobs"), &headers, job).await.expect("an answer");
    assert_eq!(answer.status, 202, "{}", unit.log());
    for (headers, _) in broker.taken() {
        for name in ["traceparent", "ce-traceparent"] {
            assert_eq!(headers[name], PARENT);
        }
        assert_eq!(
            (&headers["tracestate"], &headers["ce-tracestate"]),
            (&"vendor=1".parse().unwrap(), &"vendor=1".parse().unwrap())
        );
    }
    unit.terminate();
    unit.ended().await;
    assert_eq!(tree(&collector.spans()), "");
}
