//! Dead letters of a cluster in the hands of a job of the same image: `UPDRAFT_DEAD_LETTERS` against one Redis, and units that
//! take back what is redriven.

use serde_json::{Value, json};
use updraft_tests::http::Http;
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::{Redis, S3};
use updraft_tests::sink::Sink;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");

fn setup(redis: &Redis, s3: &S3) -> Setup {
    let engine = json!({ "engine": "redis", "url_secret": "redis-url" });
    let bucket = json!({ "engine": "s3", "endpoint": s3.endpoint(), "bucket": "depot", "region": S3::REGION,
        "credentials_secret": "s3" });
    Setup::depot()
        .bind("resources/store/done", engine.clone())
        .bind("resources/bucket/papers", bucket)
        .bind("dead_letters", engine)
        .secret("redis-url", &redis.url())
        .secret("s3", &S3::credentials())
}

/// A job's exit code and answer.
async fn job(setup: &Setup, command: Value) -> (Option<i32>, Value) {
    let setup = setup.clone().variable("UPDRAFT_DEAD_LETTERS", &command.to_string());
    let mut process = setup.start(DEPOT, "dead-letter", "internal");
    let code = process.ended().await.code();
    let log = process.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let answer = lines.into_iter().find_map(|mut line| line.get_mut("dead_letters").map(Value::take));
    (code, answer.unwrap_or_else(|| panic!("no answer:\n{log}")))
}

async fn keep(unit: &Running, handler: &str, id: &str, act: &str) {
    let body = json!({ "name": format!("job-{id}"), "act": act, "region": "ü %41" }).to_string();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "//depot/test"),
        ("ce-type", if handler == "listen" { "depot.topic.news" } else { "depot.queue.jobs" }),
        ("ce-time", "2026-11-23T07:00:00Z"),
        ("ce-region", "%C3%BC%20%2541"),
        ("ce-knativeerrorcode", "500"),
        ("content-type", "application/json"),
    ];
    let url = unit.url(&format!("/_updraft/dead-letters/updraft_tests.depot.{handler}"));
    let answer = Http::one().send("POST", &url, &headers, body).await.expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn ids(answer: &Value) -> Vec<(String, String)> {
    let letters = answer["ok"]["letters"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let short =
        |letter: &Value| letter["handler"].as_str().expect("text").rsplit(':').next().expect("a name").to_owned();
    letters.iter().map(|letter| (short(letter), letter["id"].as_str().expect("text").to_owned())).collect()
}

fn named(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(handler, id)| ((*handler).to_owned(), (*id).to_owned())).collect()
}

#[tokio::test]
async fn a_job_lists_shows_redrives_and_drops() {
    let (Some(redis), Some(s3)) = (Redis::start(), S3::start(&["depot"])) else { return };
    let sink = Sink::start().await;
    let setup = setup(&redis, &s3);
    let keeper = setup.start(DEPOT, "dead-letter", "internal").ready().await;
    let own = setup.clone().bind("dead_letter_url", json!(sink.url())).bind("broker_url", json!(sink.url()));
    let unit = own.start(DEPOT, "work", "internal").ready().await;
    let setup = setup.bind("units/work/events_url", json!(unit.url("")));
    let letters = [
        ("work", "1", "ok"),
        ("work", "2", "permanent"),
        ("work", "3", "fail"),
        ("listen", "1", "ok"),
        ("gone", "4", "ok"),
    ];
    for (handler, id, act) in letters {
        keep(&keeper, handler, id, act).await;
    }
    let all = [("gone", "4"), ("listen", "1"), ("work", "1"), ("work", "2"), ("work", "3")];
    let work = "updraft_tests::depot::work";

    let (code, answer) = job(&setup, json!({ "do": "list" })).await;
    assert_eq!((code, ids(&answer)), (Some(0), named(&all)));
    let letter = &answer["ok"]["letters"][3];
    assert_eq!((&letter["resource"], &letter["kind"]), (&json!("jobs"), &json!("error")));
    assert_eq!(letter["reason"], "the broker gave up: answer 500");
    assert!(letter["bytes"].as_u64() > Some(0) && letter.get("body").is_none(), "{letter}");

    // In pages, and by every condition.
    let mut seen = Vec::new();
    let mut next = Value::Null;
    loop {
        let mut command = json!({ "do": "list", "limit": 2 });
        if next.is_string() {
            command["from"] = next.take();
        }
        let (_, answer) = job(&setup, command).await;
        seen.extend(ids(&answer));
        next = answer["ok"]["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(seen, named(&all));
    let listed = async |command: Value| ids(&job(&setup, command).await.1);
    assert_eq!(listed(json!({ "do": "list", "handler": work })).await, named(&all[2..]));
    assert_eq!(listed(json!({ "do": "list", "resource": "news" })).await, named(&all[1..2]));
    assert_eq!(listed(json!({ "do": "list", "older_than": 3600 })).await, []);
    assert_eq!(listed(json!({ "do": "list", "newer_than": 3600 })).await, named(&all));

    for action in ["show", "redrive", "drop"] {
        let (code, answer) = job(&setup, json!({ "do": action, "id": "1" })).await;
        assert_eq!(code, Some(3));
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("--handler")), "{answer}");
    }
    let (code, answer) = job(&setup, json!({ "do": "show", "id": "2", "handler": work })).await;
    assert_eq!((code, &answer["ok"]["headers"]["ce-region"]), (Some(0), &json!("ü %41")), "{answer}");
    let whole = answer["ok"].clone();
    assert!(whole["body"].is_string());

    // To the handler that gave them up, and to no other; what fails stays as it was.
    let (code, answer) = job(&setup, json!({ "do": "redrive", "handler": work })).await;
    let failed = json!([
        { "id": "2", "handler": work, "reason": "permanent: this job can't be done" },
        { "id": "3", "handler": work, "reason": "error: this job failed" },
    ]);
    assert_eq!((code, answer), (Some(0), json!({ "ok": { "done": 1, "failed": failed } })));
    assert_eq!(redis.command(&["HGET", "depot:done:e:job-1", "v"]).trim(), "1");
    assert_eq!(redis.command(&["EXISTS", "depot:done:e:news/job-1"]).trim(), "0", "the subscriber did not get it");
    assert!(sink.taken().is_empty(), "nothing was published, and no letter was made of a letter");
    let left = [("gone", "4"), ("listen", "1"), ("work", "2"), ("work", "3")];
    assert_eq!(listed(json!({ "do": "list" })).await, named(&left));
    assert_eq!(job(&setup, json!({ "do": "show", "id": "2" })).await.1["ok"], whole, "not even its time has changed");
    let (_, answer) = job(&setup, json!({ "do": "redrive", "id": "4" })).await;
    let reason = answer["ok"]["failed"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("no unit of this deployment"), "{reason}");
    drop(unit);
    let (_, answer) = job(&setup, json!({ "do": "redrive", "id": "3" })).await;
    assert_eq!(answer["ok"]["done"], 0, "nobody is there: {answer}");
    assert_eq!(listed(json!({ "do": "list" })).await, named(&left));

    let (_, answer) = job(&setup, json!({ "do": "drop", "handler": work })).await;
    assert_eq!(answer, json!({ "ok": { "done": 2, "failed": [] } }));
    assert_eq!(listed(json!({ "do": "list" })).await, named(&left[..2]));

    for wrong in [json!({ "do": "burn" }), json!({ "do": "drop", "handlers": "a" }), json!("list")] {
        let (code, answer) = job(&setup, wrong).await;
        assert_eq!(code, Some(3));
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("no command")), "{answer}");
    }
}
