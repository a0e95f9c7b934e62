//! The engine's promises, in memory and on disk.

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::conformance::{self, Conditions};
use crate::ctx::{Ctx, Engines, Options, Routed, Scope};
use crate::deadletter::DeadLetter;
use crate::dispatch::{Failure, FailureKind};
use crate::engine::{BoxFuture, Channel, Message, Messaging};
use crate::error::{Error, Result};
use crate::inflight::InFlight;
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use bytes::Bytes;
use http_body_util::BodyExt;
use redb::ReadableTable;
use std::collections::BTreeMap;
use std::time::Duration;
use tower::ServiceExt;
use updraft_wire::Grants;

mod once;
mod versions;

const SECOND: Duration = Duration::from_secs(1);

const fn handler(id: &'static str, dispatch: Dispatch) -> Handler {
    Handler { id, descriptor: &[], grants: Grants::None, timeout_millis: 60_000, dispatch }
}

/// The one that is meant to be late.
static SLOW: Handler = Handler {
    timeout_millis: 20,
    ..handler("a::slow", Dispatch::Consumer { queue: "slow", retries: 2, deliver: keep })
};

/// Keeps what it gets, under the message's id and attempt; fails as the body says.
fn keep(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let key = format!("{}/{}/{}", scope.handler().id, incoming.message.id, incoming.attempt.unwrap_or(0));
        let store = scope.store("kept")?;
        store.put("kept", key.as_bytes(), incoming.message.body.clone(), crate::engine::Expect::Anything, None).await?;
        match (&incoming.message.body[..], incoming.attempt) {
            (b"once", Some(1)) => Err(Error::new("not yet")),
            (b"always", _) => Err(Error::new("never")),
            (b"permanent", _) => Err(Error::permanent("no use")),
            (b"panic", _) => panic!("as asked"),
            (b"slow", _) => std::future::pending().await,
            _ => Ok(()),
        }
    })
}

fn tick(scope: Scope, tick: Tick) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let key = format!("tick/{}", tick.scheduled);
        let store = scope.store("kept")?;
        store.put("kept", key.as_bytes(), Bytes::new(), crate::engine::Expect::Anything, None).await?;
        Ok(())
    })
}

static ORDERS: Handler = handler("a::orders", Dispatch::Consumer { queue: "orders", retries: 2, deliver: keep });
static ONE: Handler = handler("a::one", Dispatch::Subscriber { topic: "news", when: &[], retries: 2, deliver: keep });
static TWO: Handler =
    handler("a::two", Dispatch::Subscriber { topic: "news", when: &[("region", "eu")], retries: 2, deliver: keep });
static NIGHTLY: Handler = handler(
    "a::nightly",
    Dispatch::Schedule { cron: "0 3 * * *", timezone: "UTC", overlap: false, run_missed: true, retries: 0, run: tick },
);
static HOURLY: Handler = handler(
    "a::hourly",
    Dispatch::Schedule { cron: "0 * * * *", timezone: "UTC", overlap: false, run_missed: false, retries: 0, run: tick },
);

fn message(id: &str, body: &'static str) -> Message {
    Message {
        id: id.into(),
        source: "//a/test".into(),
        time: Timestamp::UNIX_EPOCH,
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

struct App {
    ctx: Ctx,
    clock: ManualClock,
    engine: Embedded,
    dispatcher: Dispatcher,
}

fn app(handlers: &[&'static Handler]) -> App {
    let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let engine = Embedded::in_memory(Topology::of(handlers.iter().copied()), Arc::new(clock.clone())).unwrap();
    on(engine, clock)
}

fn on(engine: Embedded, clock: ManualClock) -> App {
    let shared = Arc::new(engine.clone());
    let engines =
        Engines { stores: Routed::all(shared.clone()), buckets: Routed::all(shared.clone()), ..Engines::only(shared) };
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    let ctx = Ctx::new("a", engines, options);
    let dispatcher = Dispatcher::new(ctx.clone(), engine.clone(), InFlight::default(), 7).unwrap();
    App { ctx, clock, engine, dispatcher }
}

impl App {
    async fn send(&self, id: &str, body: &'static str) {
        self.engine.publish(Channel::Queue("orders"), vec![message(id, body)], Duration::ZERO).await.unwrap();
    }

    async fn settle(&self) {
        loop {
            self.dispatcher.drain().await.unwrap();
            let Some(next) = self.dispatcher.next_message().unwrap() else { break };
            self.clock.set(next);
        }
        assert!(self.dispatcher.idle().unwrap());
    }

    async fn kept(&self) -> Vec<String> {
        use crate::engine::StoreEngine;
        let page = self.engine.scan("kept", b"", None, 1000).await.unwrap();
        page.items.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }
}

async fn asked(router: axum::Router, request: http::Request<Bytes>) -> http::Response<Bytes> {
    let answer = router.oneshot(request.map(axum::body::Body::from)).await.unwrap();
    if !answer.status().is_success() {
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let (head, body) = answer.into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn keeps_the_promises_of_stores_and_buckets() {
    let clock = ManualClock::new(Timestamp::now());
    let pass = clock.clone();
    let conditions = Conditions {
        pass: Box::new(move |time| {
            pass.advance(time);
            Box::pin(async {})
        }),
        ..Conditions::default()
    };
    let directory = tempfile::tempdir().unwrap();
    for engine in [
        Embedded::in_memory(Topology::default(), Arc::new(clock.clone())).unwrap(),
        Embedded::open(directory.path(), Topology::default(), Arc::new(clock.clone())).unwrap(),
    ] {
        conformance::store(Arc::new(engine.clone()), &conditions).await;
        conformance::ordered_store(Arc::new(engine.clone()), &conditions).await;
        conformance::bucket(Arc::new(engine.clone()), "one", &conditions).await;
        conformance::buckets_do_not_meet((&engine, "one"), (&engine, "other")).await;
        let router = crate::local::presigned::router(engine.clone());
        let ask: conformance::Ask = Box::new(move |request| Box::pin(asked(router.clone(), request)));
        conformance::presigned(Arc::new(engine), "one", &ask, &conditions).await;
    }
}

#[tokio::test]
async fn retries_and_gives_up_as_the_outcome_asks() {
    let app = app(&[&ORDERS, &SLOW]);
    for (id, body) in [("1", "fine"), ("2", "once"), ("3", "always"), ("4", "permanent"), ("5", "panic")] {
        app.send(id, body).await;
    }
    let slow = vec![message("6", "slow")];
    app.engine.publish(Channel::Queue("slow"), slow, Duration::ZERO).await.unwrap();
    assert_eq!(app.dispatcher.drain().await.unwrap(), 6);
    assert_eq!(app.engine.depth("queue/orders").unwrap().later, 3, "all but the fine and the hopeless one");
    app.settle().await;
    let attempts = |id: &str, kept: &[String]| kept.iter().filter(|key| key.contains(&format!("/{id}/"))).count();
    let kept = app.kept().await;
    assert_eq!(["1", "2", "3", "4", "5", "6"].map(|id| attempts(id, &kept)), [1, 2, 3, 1, 3, 3]);

    let letters = app.engine.dead_letters().unwrap();
    let mut given_up: Vec<_> =
        letters.iter().map(|it| (it.id.as_str(), it.kind.as_str(), it.attempts, it.reason.as_str())).collect();
    given_up.sort();
    assert_eq!(
        given_up,
        [
            ("3", "error", Some(3), "never"),
            ("4", "permanent", Some(1), "no use"),
            ("5", "panic", Some(3), "as asked"),
            ("6", "timeout", Some(3), "took longer than 0.02s"),
        ]
    );
    let letter = letters.iter().find(|letter| letter.id == "3").unwrap();
    assert_eq!((letter.resource.as_str(), letter.handler.as_str()), ("orders", "a::orders"));
    assert_eq!(letter.headers["ce-type"], "a.queue.orders");
    assert!(letter.first < letter.last);
}

#[tokio::test]
async fn every_subscriber_has_its_own_copy_and_redriving_reaches_one() {
    let app = app(&[&ONE, &TWO]);
    let european =
        Message { attributes: BTreeMap::from([("region".into(), "eu".into())]), ..message("1", "permanent") };
    let news = vec![european, message("2", "fine")];
    app.engine.publish(Channel::Topic("news"), news, Duration::ZERO).await.unwrap();
    app.settle().await;
    assert_eq!(app.kept().await, ["a::one/1/1", "a::one/2/1", "a::two/1/1"]);
    assert_eq!(app.engine.dead_letters().unwrap().len(), 2);
    for (handler, expected) in [("a::one", 1), ("a::two", 1), ("a::o", 0), ("a::twos", 0)] {
        let mut letters = 0;
        app.engine.each_dead_letter(Some(handler), |letter| letters += usize::from(letter.handler == handler)).unwrap();
        assert_eq!(letters, expected, "{handler}");
    }
    assert_eq!(app.engine.dead_letter("a::two", "1").unwrap().map(|letter| letter.handler), Some("a::two".to_owned()));

    app.engine.redrive("a::two", "1").await.unwrap();
    assert_eq!(app.engine.depth("topic/news/a::one").unwrap().total(), 0);
    assert_eq!(app.engine.depth("topic/news/a::two").unwrap().due, 1);
    assert!(app.engine.redrive("a::two", "1").await.is_err());
    assert!(app.engine.redrive("a::nobody", "1").await.is_err());
    app.settle().await;
    assert_eq!(app.engine.dead_letters().unwrap().len(), 2, "it was given up again");
    app.engine.drop_letter("a::one", "1").await.unwrap();
    assert!(app.engine.drop_letter("a::one", "1").await.is_err());
    assert_eq!(app.engine.dead_letters().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lease_ends_and_its_holder_has_no_say_any_more() {
    let app = app(&[&ORDERS]);
    app.send("1", "fine").await;
    let lane = topology::queue_lane("orders");
    let [first] = <[Lease; 1]>::try_from(app.engine.lease(&lane, 10, SECOND).await.unwrap()).unwrap();
    assert!(app.engine.lease(&lane, 10, SECOND).await.unwrap().is_empty(), "it is in somebody's hands");
    assert_eq!(app.engine.depth(&lane).unwrap(), Depth { due: 0, later: 0, held: 1 });
    assert_eq!(app.engine.expire_leases().await.unwrap(), 0);
    app.clock.advance(SECOND);
    assert_eq!(app.engine.expire_leases().await.unwrap(), 1);
    let [second] = <[Lease; 1]>::try_from(app.engine.lease(&lane, 10, SECOND).await.unwrap()).unwrap();
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(second.first, first.first);
    assert!(!app.engine.ack(first.clone()).await.unwrap(), "the lease had ended");
    assert!(!app.engine.put_back(first.clone(), SECOND).await.unwrap());
    let failure = Failure { kind: FailureKind::Error, reason: String::new() };
    let times = (first.first, first.first);
    let letter = DeadLetter::new(&ORDERS, "orders", String::new(), &first.message, &failure, None, times);
    assert!(!app.engine.bury(first, letter).await.unwrap());
    assert!(app.engine.ack(second.clone()).await.unwrap());
    assert!(!app.engine.ack(second).await.unwrap(), "done is done");
    assert_eq!(app.engine.depth(&lane).unwrap().total(), 0);
}

#[tokio::test]
async fn delays_hold_back_and_large_messages_are_refused() {
    let app = app(&[&ORDERS]);
    app.engine.publish(Channel::Queue("orders"), vec![message("1", "fine")], SECOND).await.unwrap();
    assert_eq!(app.dispatcher.drain().await.unwrap(), 0);
    app.clock.advance(SECOND);
    assert_eq!(app.dispatcher.drain().await.unwrap(), 1);

    let large = Message { body: vec![b'x'; 256 * 1024].into(), ..message("2", "") };
    let both = vec![message("3", "fine"), large];
    let refused = app.engine.publish(Channel::Queue("orders"), both, Duration::ZERO).await;
    assert!(matches!(refused, Err(EngineError::TooLarge { .. })));
    assert_eq!(app.engine.depth("queue/orders").unwrap().total(), 0, "all or none");
}

fn keyed(id: &str, key: &str, body: &'static str) -> Message {
    let attributes = BTreeMap::from([("partitionkey".into(), key.into())]);
    Message { attributes, ..message(id, body) }
}

#[tokio::test]
async fn messages_of_a_key_wait_for_the_first_of_them() {
    let app = app(&[&ORDERS]);
    let lane = topology::queue_lane("orders");
    let all = [("1", "a"), ("2", "b"), ("3", "a"), ("4", ""), ("5", "a")].map(|(id, key)| keyed(id, key, "fine"));
    app.engine.publish(Channel::Queue("orders"), all.to_vec(), Duration::ZERO).await.unwrap();
    let lease = async |limit| app.engine.lease(&lane, limit, SECOND).await.unwrap();
    let ids = |leases: &[Lease]| leases.iter().map(|lease| lease.message.id.clone()).collect::<Vec<_>>();
    let first = lease(10).await;
    assert_eq!(ids(&first), ["1", "2", "4"], "one of each key");
    assert_eq!(app.engine.depth(&lane).unwrap(), Depth { due: 0, later: 2, held: 3 });
    assert!(lease(10).await.is_empty());

    // A retry holds its key back; so does a lease that ended.
    app.engine.put_back(first[0].clone(), SECOND).await.unwrap();
    assert!(lease(10).await.is_empty());
    app.clock.advance(SECOND);
    app.engine.expire_leases().await.unwrap();
    let second = lease(10).await;
    assert_eq!(ids(&second), ["1", "2", "4"]);

    // Done, or given up: the next goes on. What is redriven comes after what waits.
    app.engine.ack(second[0].clone()).await.unwrap();
    let third = lease(10).await;
    assert_eq!(ids(&third), ["3"]);
    let failure = Failure { kind: FailureKind::Error, reason: String::new() };
    let times = (third[0].first, third[0].first);
    let letter = DeadLetter::new(&ORDERS, "orders", String::new(), &third[0].message, &failure, None, times);
    app.engine.bury(third[0].clone(), letter).await.unwrap();
    app.engine.redrive("a::orders", "3").await.unwrap();
    let fourth = lease(10).await;
    assert_eq!(ids(&fourth), ["5"]);
    app.engine.ack(fourth[0].clone()).await.unwrap();
    let fifth = lease(10).await;
    assert_eq!(ids(&fifth), ["3"]);
    for lease in [&second[1], &second[2], &fifth[0]] {
        assert!(app.engine.ack(lease.clone()).await.unwrap());
    }
    assert_eq!(app.engine.depth(&lane).unwrap().total(), 0);
}

#[tokio::test]
async fn what_was_tried_before_is_taken_alone() {
    let app = app(&[&ORDERS]);
    let lane = topology::queue_lane("orders");
    for id in ["1", "2", "3", "4"] {
        app.send(id, "fine").await;
    }
    let lease = async |most| app.engine.lease_batch(&lane, most, SECOND).await.unwrap();
    let ids = |leases: &[Lease]| leases.iter().map(|lease| lease.message.id.clone()).collect::<Vec<_>>();
    let two = lease(2).await;
    assert_eq!(ids(&two), ["1", "2"]);
    // Due with the others, and first or in their midst: `1`, `2`, `3`, `4` again.
    for held in two {
        app.engine.put_back(held, Duration::ZERO).await.unwrap();
    }
    let first = lease(10).await;
    assert_eq!(ids(&first), ["1"]);
    app.engine.ack(first[0].clone()).await.unwrap();
    app.send("5", "fine").await;
    let second = lease(10).await;
    assert_eq!(ids(&second), ["2"]);
    let fresh = lease(10).await;
    assert_eq!(ids(&fresh), ["3", "4", "5"]);
    app.engine.put_back(fresh[1].clone(), Duration::ZERO).await.unwrap();
    app.engine.put_back(fresh[2].clone(), SECOND).await.unwrap();
    app.clock.advance(SECOND);
    app.send("6", "fine").await;
    assert_eq!(ids(&lease(10).await), ["4"]);
    assert_eq!(ids(&lease(10).await), ["5"]);
    let six = lease(10).await;
    assert_eq!(ids(&six), ["6"]);
    app.send("7", "fine").await;
    app.clock.advance(SECOND / 2);
    app.engine.put_back(six[0].clone(), Duration::ZERO).await.unwrap();
    app.send("8", "fine").await;
    assert_eq!(ids(&lease(10).await), ["7", "8"], "past the one that goes alone");
    assert_eq!(ids(&lease(10).await), ["6"]);
}

#[tokio::test]
async fn an_id_is_known_again_for_a_while_and_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::now());
    let topology = || Topology::of([&ORDERS]).dedup("orders", 10 * SECOND).dedup("other", SECOND);
    let open = || Embedded::open(directory.path(), topology(), Arc::new(clock.clone())).unwrap();
    let called = |id: &str, dedup: &str| {
        let attributes = BTreeMap::from([("dedupid".into(), dedup.into())]);
        Message { attributes, ..message(id, "fine") }
    };
    let engine = open();
    let send = async |engine: &Embedded, queue, messages| {
        engine.publish(Channel::Queue(queue), messages, Duration::ZERO).await
    };
    send(&engine, "orders", vec![called("1", "a"), called("2", "b"), called("3", "a")]).await.unwrap();
    send(&engine, "other", vec![called("4", "a")]).await.unwrap();
    clock.advance(9 * SECOND);
    drop(engine);
    let engine = open();
    send(&engine, "orders", vec![called("5", "b")]).await.unwrap();
    let waiting = |queue: &str| {
        let messages = engine.waiting(&topology::queue_lane(queue)).unwrap();
        messages.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!((waiting("orders"), waiting("other")), (vec!["1".into(), "2".into()], vec!["4".into()]));
    clock.advance(SECOND);
    send(&engine, "orders", vec![called("6", "a"), message("7", "fine")]).await.unwrap();
    assert_eq!(waiting("orders"), ["1", "2", "6", "7"], "its time counts from the first, and is over");
    let refused = send(&engine, "undeclared", vec![called("8", "a")]).await;
    assert!(matches!(refused, Err(EngineError::Misconfigured(_))));
    let known = engine.read(|transaction| Ok(transaction.open_table(tables::SENT_ENDS)?.iter()?.count()));
    assert_eq!(known.unwrap(), 1, "what is over is forgotten");
}

#[tokio::test]
async fn what_is_on_disk_survives_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::now());
    let open = || Embedded::open(directory.path(), Topology::of([&ORDERS]), Arc::new(clock.clone()));
    let lane = topology::queue_lane("orders");
    let engine = open().unwrap();
    engine.publish(Channel::Queue("orders"), vec![message("1", "fine")], Duration::ZERO).await.unwrap();
    assert_eq!(engine.lease(&lane, 1, Duration::from_secs(3600)).await.unwrap().len(), 1);
    assert!(matches!(open(), Err(StateError::Owned { pid: Some(_), .. })));
    drop(engine);
    let engine = open().unwrap();
    let again = engine.lease(&lane, 1, SECOND).await.unwrap();
    assert_eq!(again.first().map(|lease| lease.attempt), Some(2), "held by a process that ended: due at once");
    assert!(engine.orphans().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_that_ends_the_process_each_time_is_given_up() {
    let app = app(&[&ORDERS]);
    app.send("1", "fine").await;
    for _ in 0..3 {
        app.engine.lease(&topology::queue_lane("orders"), 1, SECOND).await.unwrap();
        app.clock.advance(SECOND);
        app.engine.expire_leases().await.unwrap();
    }
    app.settle().await;
    assert!(app.kept().await.is_empty(), "all its attempts were spent");
    let letters = app.engine.dead_letters().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.kind.as_str()).collect::<Vec<_>>(), ["timeout"]);
}

#[tokio::test]
async fn schedules_fire_once_for_all_that_was_missed() {
    let app = app(&[&NIGHTLY, &HOURLY]);
    app.dispatcher.drain().await.unwrap();
    assert_eq!(app.kept().await.len(), 0, "a new schedule looks ahead only");
    assert_eq!(app.dispatcher.next_due().await.unwrap(), Some("2026-01-01T01:00:00Z".parse().unwrap()));
    app.clock.set("2026-01-01T01:00:00Z".parse().unwrap());
    app.dispatcher.drain().await.unwrap();
    app.dispatcher.drain().await.unwrap();
    assert_eq!(app.kept().await, ["tick/2026-01-01T01:00:00Z"]);

    // Three nights away: one nightly run is made up for, the hourly ones are not.
    app.clock.set("2026-01-04T12:30:00Z".parse().unwrap());
    let app = on(app.engine, app.clock);
    app.dispatcher.drain().await.unwrap();
    assert_eq!(app.kept().await, ["tick/2026-01-01T01:00:00Z", "tick/2026-01-04T03:00:00Z"]);
    app.clock.set("2026-01-04T13:00:00Z".parse().unwrap());
    app.dispatcher.drain().await.unwrap();
    assert_eq!(app.kept().await.len(), 3);

    let lane = app.engine.topology().lane_of("a::hourly").unwrap().clone();
    assert_eq!(app.engine.run_now("a", &lane).await.unwrap(), "a::hourly@2026-01-04T13:00:00Z");
    // While that run waits, the next one is skipped.
    app.clock.set("2026-01-04T14:00:00Z".parse().unwrap());
    app.dispatcher.drain().await.unwrap();
    assert!(!app.kept().await.contains(&"tick/2026-01-04T14:00:00Z".to_owned()));
}

#[tokio::test]
async fn a_running_dispatcher_works_many_at_a_time() {
    let engine = Embedded::in_memory(Topology::of([&ORDERS]), Arc::new(SystemClock)).unwrap();
    let app = on(engine, ManualClock::new(Timestamp::now()));
    let running = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move { dispatcher.run().await }
    });
    let ids: Vec<String> = (0..100).map(|id| id.to_string()).collect();
    for id in &ids {
        app.send(id, "fine").await;
    }
    let done = async {
        while !app.dispatcher.idle().unwrap() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done).await.expect("worked off");
    assert_eq!(app.kept().await.len(), ids.len());
    running.abort();
}
