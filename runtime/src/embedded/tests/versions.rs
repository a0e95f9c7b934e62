//! Two versions of one program on one state directory.

use super::*;
use crate::capability::{QueueResource, Resource};
use crate::message::{consume, delivered};
use crate::schema::{Forms, accepted, queue_forms, schema};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
struct One {
    euros: u32,
}
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
struct Two {
    cents: u32,
}
impl From<One> for Two {
    fn from(one: One) -> Self {
        Two { cents: one.euros * 100 }
    }
}

/// The queue as the old program declares it, and as the new one does.
struct OldOrders;
struct NewOrders;
impl Resource for OldOrders {
    const ID: &'static str = "orders";
}
impl Resource for NewOrders {
    const ID: &'static str = "orders";
}
impl QueueResource for OldOrders {
    type Message = One;
    fn forms() -> &'static Forms<One> {
        static FORMS: Forms<One> = queue_forms::<OldOrders>(&[]);
        &FORMS
    }
}
impl QueueResource for NewOrders {
    type Message = Two;
    fn forms() -> &'static Forms<Two> {
        static FORMS: Forms<Two> = queue_forms::<NewOrders>(&[accepted::<Two, One>()]);
        &FORMS
    }
}
impl crate::message::Delivers<One> for OldOrders {}
impl crate::message::Delivers<Two> for NewOrders {}

/// Keeps what it got: the amount, under id and attempt.
async fn note(scope: Scope, id: String, attempt: Option<u32>, amount: String) -> Result<()> {
    let key = format!("{amount}/{id}/{}", attempt.unwrap_or(0));
    let store = scope.store("kept")?;
    store.put("kept", key.as_bytes(), Bytes::new(), crate::engine::Expect::Anything, None).await?;
    Ok(())
}

fn old(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    consume(scope.clone(), incoming, delivered::<OldOrders, One>().within(900), move |one, given| {
        let delivery = crate::message::message_argument::<crate::message::Delivery>(given);
        note(scope, delivery.id().to_owned(), delivery.attempt(), format!("{} euros", one.euros))
    })
}

fn new(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    consume(scope.clone(), incoming, delivered::<NewOrders, Two>().within(900), move |two, given| {
        let delivery = crate::message::message_argument::<crate::message::Delivery>(given);
        note(scope, delivery.id().to_owned(), delivery.attempt(), format!("{} cents", two.cents))
    })
}

static OLD: Handler = handler("a::orders", Dispatch::Consumer { queue: "orders", retries: 0, deliver: old });
static NEW: Handler = handler("a::orders", Dispatch::Consumer { queue: "orders", retries: 0, deliver: new });

/// A program of these handlers on the state in `directory`.
fn program(directory: &Path, clock: &ManualClock, handler: &'static Handler) -> App {
    let engine = Embedded::open(directory, Topology::of([handler]), Arc::new(clock.clone())).unwrap();
    on(engine, clock.clone())
}

async fn send(app: &App, id: &str, schema: Option<String>, body: &'static str) {
    let message = Message { schema, ..message(id, body) };
    app.engine.publish(Channel::Queue("orders"), vec![message], Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn an_old_program_leaves_newer_messages_to_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let app = program(directory.path(), &clock, &OLD);
    send(&app, "1", Some(schema::<One>()), r#"{"euros": 1}"#).await;
    send(&app, "2", Some(schema::<Two>()), r#"{"cents": 2}"#).await;
    send(&app, "3", Some("blake3:additive".into()), r#"{"euros": 3, "more": true}"#).await;
    assert_eq!(app.dispatcher.drain().await.unwrap(), 3);
    assert_eq!(app.kept().await, ["1 euros/1/1", "3 euros/3/1"], "what is only more is read");
    for _ in 0..10 {
        assert_eq!(app.dispatcher.drain().await.unwrap(), 0, "it doesn't spin");
        clock.advance(Duration::from_secs(5));
        assert_eq!(app.dispatcher.drain().await.unwrap(), 1);
    }
    assert_eq!(app.engine.depth("queue/orders").unwrap(), Depth { due: 0, later: 1, held: 0 });

    drop(app);
    let app = program(directory.path(), &clock, &NEW);
    clock.advance(Duration::from_secs(5));
    send(&app, "4", Some(schema::<One>()), r#"{"euros": 4, "cents": 7}"#).await;
    app.settle().await;
    assert_eq!(
        app.kept().await,
        ["1 euros/1/1", "2 cents/2/1", "3 euros/3/1", "400 cents/4/1"],
        "no attempt was spent (there is but one), and the older form is read by its schema"
    );
    assert!(app.engine.dead_letters().unwrap().is_empty());
}

#[tokio::test]
async fn past_its_deadline_a_newer_message_is_a_dead_letter_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let app = program(directory.path(), &clock, &OLD);
    send(&app, "1", Some(schema::<Two>()), r#"{"cents": 2}"#).await;
    send(&app, "2", Some(schema::<One>()), r#"{"cents": 2}"#).await;
    send(&app, "3", None, r#"{"cents": 2}"#).await;
    app.dispatcher.drain().await.unwrap();
    let kinds = |letters: &[DeadLetter]| letters.iter().map(|it| (it.id.clone(), it.kind.clone())).collect::<Vec<_>>();
    let at_once = [("2".into(), "permanent".into()), ("3".into(), "permanent".into())];
    assert_eq!(kinds(&app.engine.dead_letters().unwrap()), at_once, "of its own schema, or of none: no use in waiting");

    // The deadline is kept with the message, whoever opens the state.
    clock.advance(Duration::from_secs(600));
    drop(app);
    let app = program(directory.path(), &clock, &OLD);
    app.settle().await;
    let letters = app.engine.dead_letters().unwrap();
    let [_, _, letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.id.as_str(), letter.kind.as_str(), letter.attempts), ("1", "skew", Some(1)));
    assert!(letter.reason.contains(&schema::<Two>()) && letter.reason.contains("2026-01-01T00:15:00Z"), "{letter:?}");
    assert!(letter.reason.contains("missing field `euros`"), "{letter:?}");
    assert_eq!(
        (letter.first.as_str(), letter.last.as_str()),
        ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:15:00.000000Z")
    );

    // Redriven, it waits anew; and a program that can read it does.
    app.engine.redrive("a::orders", "1").await.unwrap();
    assert_eq!(app.dispatcher.drain().await.unwrap(), 1);
    assert_eq!(app.engine.dead_letters().unwrap().len(), 2);
    drop(app);
    let app = program(directory.path(), &clock, &NEW);
    app.settle().await;
    assert_eq!(app.kept().await, ["2 cents/1/1"]);
}
