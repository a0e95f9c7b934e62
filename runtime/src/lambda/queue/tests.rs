//! Batches, with handlers that do as the message's body says, and a queue that remembers what is asked of it.

use super::super::record::tests::{record, text};
use super::*;
use crate::batch::Report;
use crate::ctx::Scope;
use crate::engine::{BoxFuture, EngineResult};
use crate::error::{Error, Result};
use crate::lambda::fixture::{DEAD, Played, unit};
use crate::lambda::peers::Queues;
use crate::message::{SKEW_UNTIL, Skew};
use serde_json::json;
use std::sync::{Arc, Mutex};
use updraft_wire::aws::events::SqsRecord;
use updraft_wire::aws::{GivenUp, TRIED};

/// What ran, in its order: the bodies of each call, joined by `+`.
static RAN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn ran(handler: &str) -> Vec<String> {
    let all = RAN.lock().unwrap();
    all.iter().filter(|(id, _)| id == handler).map(|(_, bodies)| bodies.clone()).collect()
}

fn outcome(body: &str) -> Result<()> {
    match body.split(' ').next().unwrap_or_default() {
        "fail" => Err(Error::new("it failed")),
        "permanent" => Err(Error::permanent("never")),
        "panic" => panic!("ouch"),
        "newer" => {
            let until = Timestamp::now() + jiff::SignedDuration::from_secs(60);
            Err(Error::new("unknown schema").of_skew(Skew { until: Some(until) }))
        }
        "past" => Err(Error::new("unknown schema").of_skew(Skew { until: None })),
        _ => Ok(()),
    }
}

fn body(incoming: &Incoming) -> String {
    String::from_utf8_lossy(&incoming.message.body).into_owned()
}

fn note(scope: &Scope, bodies: String) {
    RAN.lock().unwrap().push((scope.handler().id.to_owned(), bodies));
}

fn deliver(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let body = body(&incoming);
        if body.starts_with("slow") {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        note(&scope, body.clone());
        outcome(&body)
    })
}

fn deliver_batch(scope: Scope, incoming: Vec<Incoming>, report: Report) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let bodies: Vec<String> = incoming.iter().map(body).collect();
        note(&scope, bodies.join("+"));
        bodies.iter().enumerate().for_each(|(place, body)| report.set(place, outcome(body)));
        Ok(())
    })
}

const ORDERS: &str = "https://sqs.eu-central-1.amazonaws.com/1/orders";
const CONSUMER: Dispatch = Dispatch::Consumer { queue: "orders", retries: 2, deliver };
const BATCH: Dispatch =
    Dispatch::Batch { queue: "orders", retries: 2, most: 2, window_millis: 0, deliver: deliver_batch };

/// A message of the queue: its body is its id too.
fn message(queue: &str, body: &str, attempt: u32, group: &str) -> SqsRecord {
    let attributes = json!({ "ApproximateReceiveCount": attempt.to_string(), "MessageGroupId": group });
    record(queue, body, body, json!({ "attributes": attributes }))
}

async fn failures(unit: &Unit, records: Vec<SqsRecord>) -> Vec<String> {
    failures_by(unit, records, FOREVER).await
}

const FOREVER: Ends = Ends { work: Timestamp::MAX, all: Timestamp::MAX };

/// With so many milliseconds for the work.
fn within(millis: i64) -> Ends {
    Ends { work: Timestamp::now() + jiff::SignedDuration::from_millis(millis), ..FOREVER }
}

async fn failures_by(unit: &Unit, records: Vec<SqsRecord>, ends: Ends) -> Vec<String> {
    let answer = unit.batch(SqsEvent { records }, ends).await.expect("an answer");
    answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_fate() {
    let queues = Arc::new(Played::default());
    let unit = unit("fates", CONSUMER, queues.clone());
    let bodies = ["ok 1", "fail 1", "panic 1", "permanent 1", "newer 1", "past 1", "ok 2"];
    let records = bodies.map(|body| message("orders", body, 1, "")).into();
    assert_eq!(failures(&unit, records).await, ["fail 1", "panic 1"]);
    assert_eq!(ran("fates").len(), bodies.len());

    let hidden = queues.hidden.lock().unwrap().clone();
    assert_eq!(hidden.len(), 2);
    assert!(hidden.iter().all(|(receipt, pause)| receipt.starts_with("receipt-") && *pause <= Duration::from_secs(1)));
    let put = queues.put.lock().unwrap().clone();
    let [(back, newer, delay)] = &put[..] else { panic!("{put:?}") };
    assert_eq!((back.as_str(), *delay), (ORDERS, RETURN_PAUSE));
    assert_eq!((newer.id.as_str(), newer.attributes.contains_key(SKEW_UNTIL)), ("newer 1", true));
    let mut kept = queues.kept.lock().unwrap().clone();
    kept.sort_by_key(|(_, message, _)| message.id.clone());
    let [(one, _, past), (two, _, permanent)] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((one.as_str(), two.as_str()), (DEAD, DEAD));
    for (told, kind, reason) in [(past, "skew", "unknown schema"), (permanent, "permanent", "never")] {
        assert_eq!((told.kind.as_str(), told.reason.as_str(), told.attempts), (kind, reason, Some(1)));
        assert_eq!(told.first, "1970-01-01T00:00:02.000000Z");
    }
}

#[tokio::test]
async fn what_was_tried_often_enough_is_given_up_with_what_it_said_last() {
    let queues = Arc::new(Played::default());
    let unit = unit("often", CONSUMER, queues.clone());
    let records = |attempt| vec![message("orders", "fail 1", attempt, "")];
    assert_eq!(failures(&unit, records(2)).await, ["fail 1"]);
    assert_eq!(failures(&unit, records(3)).await, [""; 0]);
    let kept = queues.kept.lock().unwrap();
    let told = &kept[0].2;
    assert_eq!((told.kind.as_str(), told.reason.as_str(), told.attempts), ("error", "it failed", Some(3)));
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn what_cant_be_given_up_or_sent_again_comes_again() {
    let unit = unit("kept", CONSUMER, Arc::new(Played { away: true, ..Played::default() }));
    let all = ["permanent 1", "newer 1", "ok 1"].map(|body| message("orders", body, 1, ""));
    assert_eq!(failures(&unit, all.into()).await, ["permanent 1", "newer 1"]);
}

#[tokio::test]
async fn what_can_not_be_read_is_given_up_unseen() {
    let queues = Arc::new(Played::default());
    let unit = unit("unread", CONSUMER, queues.clone());
    let broken = record("orders", "m", "body", json!({ "messageAttributes": { "updraft": text("{") } }));
    assert_eq!(failures(&unit, vec![broken]).await, [""; 0]);
    assert_eq!(ran("unread"), [""; 0]);
    let kept = queues.kept.lock().unwrap();
    assert_eq!((kept[0].0.as_str(), kept[0].1.body.as_ref()), (DEAD, b"body".as_slice()));
    assert_eq!(kept[0].2.kind, "permanent");
}

#[tokio::test]
async fn a_groups_messages_keep_their_order_and_what_follows_a_failure_waits() {
    let queues = Arc::new(Played::default());
    let unit = unit("groups", CONSUMER, queues.clone());
    let first = Timestamp::now().as_millisecond().to_string();
    let fifo = |body, group| {
        let attributes = json!({ "MessageGroupId": group, "ApproximateFirstReceiveTimestamp": first });
        record("orders.fifo", body, body, json!({ "attributes": attributes }))
    };
    let records = vec![
        fifo("slow a1", "a"),
        fifo("b1", "b"),
        fifo("a2", "a"),
        fifo("fail b2", "b"),
        fifo("b3", "b"),
        fifo("permanent c1", "c"),
        fifo("c2", "c"),
        fifo("newer d1", "d"),
        fifo("d2", "d"),
    ];
    assert_eq!(failures(&unit, records).await, ["fail b2", "b3", "newer d1", "d2"]);
    let ran = ran("groups");
    let of = |group: &str| {
        ran.iter()
            .filter(|body| body.split(' ').next_back().is_some_and(|name| name.starts_with(group)))
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["slow a1", "a2"]);
    assert_eq!(of("b"), ["b1", "fail b2"]);
    assert_eq!(of("c"), ["permanent c1", "c2"], "what is given up leaves its group");
    assert_eq!(of("d"), ["newer d1"]);
    // Those that wait come again together, so that none overtakes another.
    let hidden: BTreeMap<_, _> = queues.hidden.lock().unwrap().iter().cloned().collect();
    assert_eq!(hidden["receipt-fail b2"], hidden["receipt-b3"]);
    assert_eq!(queues.put.lock().unwrap().len(), 0, "nothing of a group is sent again");
}

#[tokio::test]
async fn messages_run_side_by_side() {
    let unit = unit("side", CONSUMER, Arc::default());
    let records = ["slow 1", "quick 1"].map(|body| message("orders", body, 1, ""));
    assert_eq!(failures(&unit, records.into()).await, [""; 0]);
    assert_eq!(ran("side"), ["quick 1", "slow 1"]);
}

#[tokio::test]
async fn a_batchs_consumer_takes_several_at_once() {
    let queues = Arc::new(Played::default());
    let unit = unit("several", BATCH, queues.clone());
    let mut records: Vec<_> = ["1", "fail 2", "permanent 3"].map(|body| message("orders", body, 1, "")).into();
    records.push(message("orders", "again 4", 2, ""));
    records.push(record("orders", "m", "5", json!({ "messageAttributes": { "updraft": text("{") } })));
    assert_eq!(failures(&unit, records).await, ["fail 2"]);
    let mut ran = ran("several");
    ran.sort();
    assert_eq!(ran, ["1+fail 2", "again 4", "permanent 3"], "two at most, and a second attempt alone");
    assert_eq!(queues.kept.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_batch_holds_one_message_of_each_group() {
    let unit = unit("waves", BATCH, Arc::default());
    let fifo = |body, group| message("orders.fifo", body, 1, group);
    let records = vec![fifo("a1", "a"), fifo("a2", "a"), fifo("fail b1", "b"), fifo("b2", "b")];
    assert_eq!(failures(&unit, records).await, ["fail b1", "b2"]);
    assert_eq!(ran("waves"), ["a1+fail b1", "a2"]);
}

#[tokio::test]
async fn what_there_is_no_time_to_begin_goes_back_and_counts_no_attempt() {
    for (id, dispatch) in [("late", CONSUMER), ("late-batch", BATCH)] {
        let queues = Arc::new(Played::default());
        let unit = unit(id, dispatch, queues.clone());
        let records = vec![message("orders", "1", 1, ""), message("orders", "2", 3, "")];
        assert_eq!((failures_by(&unit, records, within(0)).await, ran(id).len()), (vec![], 0), "{id}");
        let put: Vec<_> =
            queues.put.lock().unwrap().iter().map(|(url, it, delay)| (url.clone(), it.clone(), *delay)).collect();
        assert!(put.iter().all(|(url, _, delay)| url == ORDERS && delay.is_zero()), "{put:?}");
        let tried = |body: &str| {
            let found = put.iter().find(|(_, it, _)| it.body == body).expect("it is back");
            found.1.attributes.get(TRIED).cloned()
        };
        assert_eq!((tried("1"), tried("2").as_deref()), (None, Some("2")), "{id}");
        assert!(queues.hidden.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_can_not_go_back_comes_again_at_once() {
    let broken = || record("orders", "broken", "", json!({ "messageAttributes": { "updraft": text("{") } }));
    for away in [true, false] {
        let queues = Arc::new(Played { away, ..Played::default() });
        let unit = unit("late-away", CONSUMER, queues.clone());
        let records = vec![message("orders", "1", 1, ""), broken()];
        let expected: &[&str] = if away { &["1", "broken"] } else { &["broken"] };
        assert_eq!(failures_by(&unit, records, within(0)).await, expected);
        let fifo = vec![message("orders.fifo", "3", 1, "g")];
        assert_eq!(failures_by(&unit, fifo, within(0)).await, ["3"], "it would lose its place");
        assert!(queues.hidden.lock().unwrap().iter().all(|(_, pause)| pause.is_zero()));
    }
}

/// Cut off by the event's end, one that began late would count as tried.
#[tokio::test]
async fn what_waited_begins_only_with_its_handlers_own_time() {
    for (id, dispatch, first) in [("waited", CONSUMER, 16), ("waited-batch", BATCH, 32)] {
        let queues = Arc::new(Played::default());
        let unit = unit(id, dispatch, queues.clone());
        let records = |name: &str| (0..first + 4).map(|n| message("orders", &format!("{name} {n}"), 1, "")).collect();
        // The handler's own time is a minute.
        assert_eq!(failures_by(&unit, records("short"), within(50_000)).await, [""; 0]);
        assert_eq!(queues.put.lock().unwrap().len(), 4, "{id}");
        assert_eq!(failures_by(&unit, records("long"), within(90_000)).await, [""; 0]);
        assert_eq!(queues.put.lock().unwrap().len(), 4, "{id}");
    }
    // Of a group's messages those that wait count as received, begun or not.
    let unit = unit("waited-group", CONSUMER, Arc::default());
    let records = (0..3).map(|n| message("orders.fifo", &n.to_string(), 1, "g")).collect();
    assert_eq!(failures_by(&unit, records, within(50_000)).await, [""; 0]);
    assert_eq!(ran("waited-group"), ["0", "1", "2"]);
}

/// An SQS that does not answer takes no more than the event's time: past it Lambda ends the process, and all comes again.
#[tokio::test]
async fn what_follows_an_attempt_ends_with_the_event() {
    let unit = unit("slow-queue", CONSUMER, Arc::new(Played { slow: true, ..Played::default() }));
    let all = Timestamp::now() + jiff::SignedDuration::from_millis(300);
    let records = ["ok", "fail", "permanent", "newer"].map(|body| message("orders", body, 1, ""));
    let failures = failures_by(&unit, records.into(), Ends { work: all, all }).await;
    assert_eq!(failures, ["fail", "permanent", "newer"]);
}

/// One after the other they would take for ever.
#[tokio::test]
async fn a_batchs_letters_are_kept_side_by_side() {
    struct Together(tokio::sync::Semaphore, std::sync::atomic::AtomicUsize);
    impl Queues for Together {
        fn put<'a>(&'a self, _: &'a str, _: Vec<Message>, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
            unreachable!("nothing goes back")
        }
        /// Returns once both are asked for.
        fn keep<'a>(&'a self, _: &'a str, _: Message, _: GivenUp) -> BoxFuture<'a, EngineResult<()>> {
            Box::pin(async {
                if self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                    self.0.add_permits(2);
                }
                self.0.acquire().await.expect("open").forget();
                Ok(())
            })
        }
        fn hide<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
            unreachable!("nothing comes again")
        }
    }
    let mut unit = unit("letters", BATCH, Arc::default());
    unit.queues = Arc::new(Together(tokio::sync::Semaphore::new(0), 0.into()));
    let records = ["permanent 1", "permanent 2"].map(|body| message("orders", body, 1, ""));
    assert_eq!(failures(&unit, records.into()).await, [""; 0]);
}

#[tokio::test]
async fn a_handler_that_outlasts_the_event_is_cut_off() {
    let unit = unit("cut", CONSUMER, Arc::default());
    let records = vec![message("orders", "slow 1", 1, "")];
    assert_eq!((failures_by(&unit, records, within(5)).await.len(), ran("cut").len()), (1, 0));
}

#[tokio::test]
async fn nobodys_queue_is_an_error() {
    let unit = unit("nobody", CONSUMER, Arc::default());
    for records in
        [vec![message("others", "1", 1, "")], vec![message("orders", "1", 1, ""), message("others", "1", 1, "")]]
    {
        assert!(unit.batch(SqsEvent { records }, FOREVER).await.is_err());
    }
    assert_eq!(unit.batch(SqsEvent { records: vec![] }, FOREVER).await, Ok(BatchAnswer::default()));
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn no_more_run_at_once_than_a_database_has_connections() {
    use crate::capability::Migrations;
    use crate::ctx::{Ctx, Engines, Options};
    use crate::database::Databases;
    use crate::engines::postgres::{Postgres, options};
    use crate::lambda::fixture::Nothing;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use updraft_wire::Grants;

    static NONE: Migrations = Migrations { package: "updraft", folder: "migrations", files: &[] };
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    async fn run() {
        MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        NOW.fetch_sub(1, SeqCst);
    }
    const BATCH: Dispatch = Dispatch::Batch {
        queue: "orders",
        retries: 9,
        most: 2,
        window_millis: 0,
        deliver: |_, incoming, report| {
            Box::pin(async move {
                run().await;
                (0..incoming.len()).for_each(|at| report.set(at, Ok(())));
                Ok(())
            })
        },
    };
    const CONSUMER: Dispatch = Dispatch::Consumer {
        queue: "orders",
        retries: 9,
        deliver: |_, _| {
            Box::pin(async {
                run().await;
                Ok(())
            })
        },
    };
    for (id, dispatch, connections) in [("one", BATCH, 1), ("three", BATCH, 3), ("each", CONSUMER, 2)] {
        let nowhere = options("postgres://nobody@localhost/books").expect("options");
        let mut databases = Databases::default();
        databases.add(Arc::new(Postgres::in_function("books", &nowhere, &NONE, Some(connections))));
        let mut unit = unit(id, CONSUMER, Arc::default());
        let engines = Engines { databases, ..Engines::only(Arc::new(Nothing)) };
        unit.ctx = Ctx::new("app", engines, Options::default());
        let grants = Grants::All(&[Grants::One { kind: "database", resource: "books", access: "read-write" }]);
        let handler = Handler { id, descriptor: &[], grants, timeout_millis: 60_000, dispatch };
        unit.handlers.insert(id, Box::leak(Box::new(handler)));
        MOST.store(0, SeqCst);
        // Tried before: each comes alone.
        let records = (0..9).map(|nth| message("orders", &nth.to_string(), 2, "")).collect();
        assert_eq!(failures(&unit, records).await, Vec::<String>::new());
        assert_eq!(MOST.load(SeqCst), connections as usize, "{id}");
    }
}
