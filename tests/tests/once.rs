//! Effects once in a cluster: processes of one unit, one Redis, and a broker that delivers as often as it likes.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use updraft_tests::http::{Answer, Http};
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::Redis;
use updraft_tests::sink::Sink;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");

fn setup(redis: &Redis, letters: &Sink) -> Setup {
    let engine = json!({ "engine": "redis", "url_secret": "redis-url" });
    Setup::depot()
        .bind("resources/store/done", engine.clone())
        .bind("once", engine)
        .bind("dead_letter_url", json!(letters.url()))
        .secret("redis-url", &redis.url())
}

async fn deliver(unit: &Running, id: &str, act: &str) -> Result<Answer, String> {
    post(unit.url("/_updraft/events/updraft_tests.depot.pay"), id, act).await
}

async fn post(url: String, id: &str, act: &str) -> Result<Answer, String> {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "//depot/test"),
        ("ce-type", "depot.queue.payments"),
        ("ce-time", "2026-11-23T07:00:00Z"),
        ("content-type", "application/json"),
    ];
    let job: Value = json!({ "name": format!("pay-{id}"), "act": act, "region": "eu" });
    Http::one().send("POST", &url, &headers, job.to_string()).await
}

/// How often the payment was taken.
fn effects(redis: &Redis, id: &str) -> String {
    redis.command(&["HGET", &format!("depot:done:e:pay-{id}"), "v"]).trim().to_owned()
}

#[tokio::test]
async fn many_deliveries_have_one_effect() {
    let Some(redis) = Redis::start() else { return };
    let letters = Sink::start().await;
    let setup = setup(&redis, &letters);
    let (one, two) =
        (setup.start(DEPOT, "pay", "internal").ready().await, setup.start(DEPOT, "pay", "internal").ready().await);
    let mut deliveries = tokio::task::JoinSet::new();
    for number in 0..20 {
        let unit = if number % 2 == 0 { &one } else { &two };
        deliveries.spawn(post(unit.url("/_updraft/events/updraft_tests.depot.pay"), "1", "slow"));
    }
    for answer in deliveries.join_all().await {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "{}", answer.text());
    }
    assert_eq!(effects(&redis, "1"), "1");
    assert_eq!(deliver(&two, "1", "slow").await.expect("an answer").status, 202);
    assert_eq!(effects(&redis, "1"), "1", "later, too");

    // A failure is no completion, and gives the message back at once.
    let started = Instant::now();
    assert_eq!(deliver(&one, "2", "fail").await.expect("an answer").status, 500);
    assert_eq!(deliver(&two, "2", "fail").await.expect("an answer").status, 202);
    assert_eq!(effects(&redis, "2"), "2");
    assert!(started.elapsed() < Duration::from_secs(5), "it waited for the claim's end");
    let life: u64 = redis
        .command(&["TTL", "depot:.once:e:updraft_tests::depot::pay/2"])
        .trim()
        .parse()
        .expect("a record that ends");
    assert!((604_000..=604_800).contains(&life), "{life}");
    assert!(letters.taken().is_empty());
}

#[tokio::test]
async fn an_end_between_effect_and_record_repeats_the_handler() {
    let Some(mut redis) = Redis::start() else { return };
    let letters = Sink::start().await;
    let setup = setup(&redis, &letters);
    let mut unit = setup.start(DEPOT, "pay", "internal").ready().await;
    assert!(deliver(&unit, "1", "crash").await.is_err(), "the process has ended");
    assert!(!unit.ended().await.success());
    assert_eq!(effects(&redis, "1"), "1");
    // The broker tries again. The dead process's claim ends by itself, and nothing is lost.
    let unit = setup.start(DEPOT, "pay", "internal").ready().await;
    let started = Instant::now();
    loop {
        let answer = deliver(&unit, "1", "crash").await.expect("an answer");
        if answer.status == 202 {
            break;
        }
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(started.elapsed() < Duration::from_secs(30), "the claim does not end");
    }
    assert_eq!(effects(&redis, "1"), "2", "the record came too late: this is what `once` can't do");
    assert_eq!(deliver(&unit, "1", "crash").await.expect("an answer").status, 202);
    assert_eq!(effects(&redis, "1"), "2");

    redis.down();
    assert_eq!(deliver(&unit, "3", "ok").await.expect("an answer").status, 503, "nobody can tell whether it is done");
}

#[tokio::test]
async fn a_unit_that_can_not_record_says_so() {
    let mut unit = Setup::depot().start(DEPOT, "pay", "internal");
    assert_eq!(unit.ended().await.code(), Some(3));
    let log = unit.log();
    assert!(log.contains("no engine for `once`, which `updraft_tests::depot::pay` has"), "{log}");
}
