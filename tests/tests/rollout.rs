//! Two versions of one program round one broker and one Redis: messages of the one in the hands of the other.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use updraft_tests::http::{Answer, Http};
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::Redis;
use updraft_tests::sink::Sink;

const ONE: &str = env!("CARGO_BIN_EXE_rollout_one");
const TWO: &str = env!("CARGO_BIN_EXE_rollout_two");

/// A program's graph, as it says itself when it is given another's.
async fn graph(program: &str) -> String {
    let other = json!({ "format": 1, "app": "rollout", "graph": "another's", "units": {}, "resources": {} });
    let mut process = Setup::of(other).start(program, "work", "internal");
    assert_eq!(process.ended().await.code(), Some(3));
    let log = process.log();
    let (_, rest) = log.split_once("this program's is ").expect("its graph");
    rest.split('.').next().expect("a hash").to_owned()
}

async fn setup(program: &str, redis: &Redis, broker: &Sink, letters: &Sink) -> Setup {
    let binding = json!({
        "format": 1, "app": "rollout", "graph": graph(program).await,
        "units": {
            "web": { "handlers": ["rollout::send", "rollout::done"] },
            "work": { "handlers": ["rollout::work", "rollout::listen"] },
        },
        "resources": { "store": { "done": { "engine": "redis", "url_secret": "redis-url" } } },
        "broker_url": broker.url(), "dead_letter_url": letters.url(),
    });
    Setup::of(binding).secret("redis-url", &redis.url())
}

/// Hands an event that the broker took to a unit's handler.
async fn deliver(unit: &Running, handler: &str, (headers, body): &(HeaderMap, Bytes)) -> Answer {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("ce-") || *name == "content-type")
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    let url = unit.url(&format!("/_updraft/events/rollout.{handler}"));
    Http::one().send("POST", &url, &headers, body.clone()).await.expect("an answer")
}

fn accepted(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.body.len()), (202, 0), "{}", answer.text());
}

#[tokio::test]
async fn a_rollout_loses_no_message_and_spends_no_attempt() {
    let Some(redis) = Redis::start() else { return };
    let (broker, letters) = (Sink::start().await, Sink::start().await);
    let one = setup(ONE, &redis, &broker, &letters).await;
    let two = setup(TWO, &redis, &broker, &letters).await;
    let (old, new) =
        (one.start(ONE, "work", "internal").ready().await, two.start(TWO, "work", "internal").ready().await);
    let (old_web, new_web) =
        (one.start(ONE, "web", "public").ready().await, two.start(TWO, "web", "public").ready().await);
    let done = async |name: &str| Http::one().get(&new_web.url(&format!("/done/{name}"))).await.text();

    let sent = Http::one().post(&old_web.url("/jobs"), &json!({ "name": "first", "count": 3 })).await;
    assert_eq!(sent.status, 202, "{}", sent.text());
    let sent = Http::one().post(&new_web.url("/jobs"), &json!({ "name": "second", "pieces": ["a", "b"] })).await;
    assert_eq!(sent.status, 202, "{}", sent.text());
    let [of_one, news_of_one, of_two, news_of_two] = &broker.taken()[..] else { panic!("{:?}", broker.taken()) };
    let schema = |event: &(HeaderMap, Bytes)| event.0["ce-dataschema"].to_str().expect("text").to_owned();
    assert!(schema(of_one).starts_with("blake3:") && schema(of_one) == schema(news_of_one));
    assert_ne!(schema(of_one), schema(of_two));

    // The new program reads the older form.
    accepted(&deliver(&new, "work", of_one).await);
    assert_eq!(done("first").await, "3");

    // The old one publishes the newer form again, as often as it gets it: same id, same deadline.
    accepted(&deliver(&old, "work", of_two).await);
    let returned = broker.taken().pop().expect("published again");
    for name in ["ce-id", "ce-type", "ce-source", "ce-time", "ce-dataschema", "content-type"] {
        assert_eq!(returned.0[name], of_two.0[name], "{name}");
    }
    assert_eq!(returned.1, of_two.1);
    assert!(returned.0.contains_key("ce-skewuntil") && !returned.0.contains_key("ce-handler"));
    accepted(&deliver(&old, "work", &returned).await);
    let again = broker.taken().pop().expect("published again");
    assert_eq!(again.0["ce-skewuntil"], returned.0["ce-skewuntil"], "the deadline is the first one's");
    accepted(&deliver(&new, "work", &again).await);
    assert_eq!(done("second").await, "2");
    assert_eq!(broker.taken().len(), 6, "who can read it does");

    // A topic's message comes back for the one subscriber alone.
    accepted(&deliver(&old, "listen", news_of_two).await);
    let mut returned = broker.taken().pop().expect("published again");
    assert_eq!(returned.0["ce-handler"], "rollout::listen");
    accepted(&deliver(&new, "listen", &returned).await);
    assert_eq!(done("heard-second").await, "2");
    returned.0.insert("ce-handler", "rollout::other".parse().expect("a value"));
    accepted(&deliver(&new, "listen", &returned).await);
    assert_eq!(done("heard-second").await, "2", "another's");

    // A broker that is away: the event is not accepted, so it comes again.
    broker.refuse([503; 4]);
    assert_eq!(deliver(&old, "work", of_two).await.status, 503);
    assert!(letters.taken().is_empty());
}

#[tokio::test]
async fn what_no_version_reads_in_time_is_a_dead_letter() {
    let Some(redis) = Redis::start() else { return };
    let (broker, letters) = (Sink::start().await, Sink::start().await);
    let one = setup(ONE, &redis, &broker, &letters).await;
    let old = one.start(ONE, "work", "internal").ready().await;
    let event = |more: &[(&str, &str)]| {
        let core = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "//rollout/rollout::send"),
            ("ce-type", "rollout.queue.jobs"),
            ("ce-time", "2026-11-23T07:00:00Z"),
            ("content-type", "application/json"),
        ];
        let all = core.iter().chain(more);
        let headers = all.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        (headers.collect::<HeaderMap>(), Bytes::from_static(br#"{"name": "third", "pieces": []}"#))
    };
    let letter = |at: usize| serde_json::from_slice::<Value>(&letters.taken()[at].1).expect("JSON");
    let newer = [("ce-dataschema", "blake3:0123"), ("ce-skewuntil", "2026-11-23T08:00:00Z")];
    accepted(&deliver(&old, "work", &event(&newer)).await);
    assert_eq!((&letter(0)["kind"], &letter(0)["id"]), (&json!("skew"), &json!("1")));
    let reason = letter(0)["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("blake3:0123") && reason.contains("2026-11-23T08:00:00Z"), "{reason}");
    assert!(reason.contains("missing field `count`"), "{reason}");
    // Without a schema nobody says that it is newer.
    accepted(&deliver(&old, "work", &event(&[])).await);
    assert_eq!(letter(1)["kind"], "permanent");
    assert!(broker.taken().is_empty());
}
