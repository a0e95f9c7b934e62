//! What the outbox's relay does with messages that a broker does not take: each waits for itself (and for those of its key that
//! came before), and one that never goes out becomes a dead letter of whoever would have got it.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use updraft::capability::{Capability, DatabaseResource};
use updraft::ctx::{Ctx, Engines, Event, Invocation, Observer, Options, Unobserved};
use updraft::database::Databases;
use updraft::deadletter::DeadLetter;
use updraft::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use updraft::engines::postgres::Postgres;
use updraft::engines::postgres::relay::Turn;
use updraft::prelude::*;
use updraft::registry::{Dispatch, Handler};
use updraft::sqlx;
use updraft::telemetry::{Finished, Sampler, Sink, TraceContext, Tracer, Value};
use updraft_wire::Grants;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The request that writes.
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Orders.
#[database(migrations = "tests/outbox")]
pub struct Books;

/// An order.
#[updraft::data]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub customer: String,
}

/// Every order, one after the other for each customer.
#[queue(message = Order, ordered = "customer")]
pub struct Checks;

/// Every order.
#[topic(message = Order, attributes(customer))]
pub struct Placed;

#[consumer(Checks)]
async fn check(_order: Order) -> Result<()> {
    Ok(())
}

#[subscriber(Placed)]
async fn announce(_order: Order) -> Result<()> {
    Ok(())
}

#[subscriber(Placed, when(customer = "ada"))]
async fn greet(_order: Order) -> Result<()> {
    Ok(())
}

static WRITER: Handler = Handler {
    id: "relay::write",
    descriptor: &[],
    grants: Grants::All(&[
        Grants::One { kind: "database", resource: "books", access: "read-write" },
        Grants::One { kind: "topic", resource: "placed", access: "write" },
        Grants::One { kind: "queue", resource: "checks", access: "write" },
    ]),
    timeout_millis: 60_000,
    dispatch: Dispatch::Function { call: |_, body| Box::pin(async { Ok(body) }) },
};

/// What a broker says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// It is away.
    Away,
    /// This one is not right.
    Wrong,
    /// The same, and what it says can't be kept in a text.
    Strange,
    /// Who asks may not.
    Denied,
    /// There is no such queue.
    Unbound,
    /// This one is too large, and will always be.
    TooLarge,
    /// Nothing at all.
    Nothing,
}

#[derive(Default)]
struct Broker {
    /// By order's id.
    says: Mutex<BTreeMap<String, Says>>,
    took: Mutex<Vec<String>>,
    asked: Mutex<BTreeMap<String, u32>>,
    letters: Mutex<Vec<DeadLetter>>,
    keeps_none: Mutex<bool>,
}

impl Broker {
    fn says(&self, order: &str, says: Option<Says>) {
        let mut all = self.says.lock().expect("unpoisoned");
        match says {
            Some(says) => all.insert(order.to_owned(), says),
            None => all.remove(order),
        };
    }

    fn took(&self) -> Vec<String> {
        self.took.lock().expect("unpoisoned").clone()
    }

    /// Who was given which order's message for good, and why.
    fn letters(&self) -> BTreeSet<(String, String, String)> {
        let letter = |letter: &DeadLetter| {
            let order: Order = serde_json::from_slice(&letter.body).expect("an order");
            (letter.handler.clone(), order.id, letter.kind.clone())
        };
        self.letters.lock().expect("unpoisoned").iter().map(letter).collect()
    }
}

impl Messaging for Broker {
    fn publish(&self, _: Channel, messages: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            for message in messages {
                let order: Order = serde_json::from_slice(&message.body).expect("an order");
                *self.asked.lock().expect("unpoisoned").entry(order.id.clone()).or_default() += 1;
                let says = self.says.lock().expect("unpoisoned").get(&order.id).copied();
                match says {
                    Some(Says::Nothing) => std::future::pending().await,
                    None => self.took.lock().expect("unpoisoned").push(order.id),
                    Some(Says::Away) => return Err(EngineError::Unavailable("away".into())),
                    Some(Says::Wrong) => return Err(EngineError::Other("400 that is no event".into())),
                    Some(Says::Strange) => return Err(EngineError::Other("400 \0".into())),
                    Some(Says::Denied) => return Err(EngineError::Refused("403".into())),
                    Some(Says::Unbound) => return Err(EngineError::Misconfigured("no such queue".into())),
                    Some(Says::TooLarge) => return Err(EngineError::TooLarge { bytes: 2, limit: 1 }),
                }
            }
            Ok(())
        })
    }

    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        Box::pin(async move {
            if *self.keeps_none.lock().expect("unpoisoned") {
                return Err(EngineError::Unavailable("the keeper is away".into()));
            }
            self.letters.lock().expect("unpoisoned").push(letter);
            Ok(true)
        })
    }
}

/// A database of the test's own, and its relay's broker.
struct World {
    books: Database<Books>,
    database: Arc<Postgres>,
    broker: Arc<Broker>,
    ctx: Ctx,
}

impl World {
    async fn new() -> Option<World> {
        World::observed(Arc::new(Unobserved)).await
    }

    async fn observed(observer: Arc<dyn Observer>) -> Option<World> {
        let books = updraft::test::database::<Books>().await?;
        let options = books.pool().connect_options();
        let database = Arc::new(Postgres::new("books", &options, Books::MIGRATIONS, None));
        let broker = Arc::new(Broker::default());
        let mut databases = Databases::default();
        databases.add(database.clone());
        let engines = Engines { databases, ..Engines::only(broker.clone()) };
        let options = Options { observer, ..Options::default() };
        Some(World { books, database, broker, ctx: Ctx::new("relay", engines, options) })
    }

    /// Commits one order after the other, `customer/number`, to the topic.
    async fn publish(&self, orders: &[&str]) {
        self.write(orders, false).await;
    }

    /// The same, to the ordered queue.
    async fn send(&self, orders: &[&str]) {
        self.write(orders, true).await;
    }

    async fn write(&self, orders: &[&str], ordered: bool) {
        let scope =
            self.ctx.scope(&WRITER, Invocation { deadline: Timestamp::MAX, trace: TraceContext::parse(PARENT, None) });
        let (books, checks, placed) =
            (Database::<Books>::bind(&scope), Queue::<Checks>::bind(&scope), Topic::<Placed>::bind(&scope));
        for order in orders {
            let (customer, _) = order.split_once('/').expect("customer and number");
            let order = Order { id: (*order).to_owned(), customer: customer.to_owned() };
            let mut tx = books.begin().await.expect("a transaction");
            match ordered {
                true => checks.send_in(&mut tx, &order).await.expect("sent"),
                false => placed.publish_in(&mut tx, &order).await.expect("published"),
            }
            tx.commit().await.expect("committed");
        }
    }

    /// Turns until there is nothing that can be done now.
    async fn turns(&self) {
        while let Turn::Moved(_) = self.database.turn(&self.ctx).await.expect("a turn") {}
    }

    /// What waits may be tried again at once.
    async fn later(&self) {
        self.sql("UPDATE _updraft_outbox SET due = '-infinity'").await;
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.books.pool()).await.expect(sql);
    }

    fn asked(&self, order: &str) -> u32 {
        self.broker.asked.lock().expect("unpoisoned").get(order).copied().unwrap_or_default()
    }

    async fn waiting(&self) -> u64 {
        self.database.waiting().await.expect("a count")
    }
}

#[tokio::test]
async fn what_is_refused_holds_up_nothing_else() {
    let Some(world) = World::new().await else { return };
    world.broker.says("ada/1", Some(Says::Wrong));
    world.broker.says("ada/2", Some(Says::Away));
    world.publish(&["ada/1", "bob/1", "ada/2", "bob/2"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1", "bob/2"]);
    assert_eq!(world.waiting().await, 2);
    // Each has a pause of its own: until it is over nobody asks.
    world.turns().await;
    assert_eq!(world.asked("ada/1"), 1);
    world.broker.says("ada/1", None);
    world.broker.says("ada/2", None);
    world.later().await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1", "bob/2", "ada/1", "ada/2"]);
    assert_eq!((world.waiting().await, world.broker.letters().len()), (0, 0));
}

#[tokio::test]
async fn many_that_find_the_broker_away_hold_up_nothing_that_it_takes() {
    let Some(world) = World::new().await else { return };
    let away: Vec<String> = (0..7).map(|nth| format!("ada/{nth}")).collect();
    away.iter().for_each(|order| world.broker.says(order, Some(Says::Away)));
    world.publish(&away.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let since = Instant::now();
    while world.broker.asked.lock().expect("unpoisoned").len() < away.len() {
        assert!(since.elapsed() < PATIENCE);
        world.later().await;
        world.turns().await;
    }
    world.publish(&["bob/1"]).await;
    world.later().await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1"]);
    assert_eq!(world.broker.letters().len(), 0, "an outage gives nothing up");
}

#[tokio::test]
async fn a_key_keeps_its_order_and_others_go_on() {
    let Some(world) = World::new().await else { return };
    world.broker.says("ada/1", Some(Says::Away));
    world.send(&["ada/1", "ada/2", "bob/1", "ada/3"]).await;
    world.turns().await;
    world.send(&["bob/2", "ada/4"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1", "bob/2"]);
    world.broker.says("ada/1", None);
    world.later().await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1", "bob/2", "ada/1", "ada/2", "ada/3", "ada/4"]);
}

#[tokio::test]
async fn what_is_given_up_is_a_letter_of_each_that_would_have_got_it() {
    let Some(world) = World::new().await else { return };
    world.broker.says("ada/1", Some(Says::TooLarge));
    world.broker.says("bob/1", Some(Says::TooLarge));
    world.broker.says("eve/1", Some(Says::TooLarge));
    *world.broker.keeps_none.lock().expect("unpoisoned") = true;
    world.publish(&["ada/1", "bob/1"]).await;
    world.send(&["eve/1", "eve/2"]).await;
    world.turns().await;
    assert_eq!(world.waiting().await, 4, "while its letter can't be kept, it stays");
    *world.broker.keeps_none.lock().expect("unpoisoned") = false;
    world.later().await;
    world.turns().await;
    assert_eq!((world.waiting().await, world.broker.took()), (0, vec!["eve/2".to_owned()]));
    let mut expected = BTreeSet::new();
    for (handler, order) in [
        ("relay::announce", "ada/1"),
        ("relay::greet", "ada/1"),
        ("relay::announce", "bob/1"),
        ("relay::check", "eve/1"),
    ] {
        expected.insert((handler.to_owned(), order.to_owned(), "permanent".to_owned()));
    }
    assert_eq!(world.broker.letters(), expected);
    let letters = world.broker.letters.lock().expect("unpoisoned");
    assert!(letters.iter().all(|letter| letter.reason.starts_with("the outbox could not send it: 2 bytes")));
}

#[tokio::test]
async fn what_is_refused_as_often_as_a_handler_may_fail_is_given_up() {
    let Some(world) = World::new().await else { return };
    world.broker.says("bob/1", Some(Says::Wrong));
    world.publish(&["bob/1"]).await;
    for attempt in 1..=6 {
        assert_eq!((world.waiting().await, world.broker.letters().len()), (1, 0), "before attempt {attempt}");
        world.later().await;
        world.turns().await;
    }
    let letters = world.broker.letters.lock().expect("unpoisoned").clone();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.attempts, letter.kind.as_str()), (Some(6), "error"));
    assert_eq!(letter.reason, "the outbox could not send it: 400 that is no event");
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn an_outage_is_no_refusal() {
    let Some(world) = World::new().await else { return };
    world.publish(&["bob/1"]).await;
    for says in [Says::Away, Says::Denied, Says::Unbound] {
        world.broker.says("bob/1", Some(says));
        for _ in 1..=6 {
            world.later().await;
            world.turns().await;
        }
    }
    assert_eq!(world.asked("bob/1"), 18);
    world.broker.says("bob/1", Some(Says::Wrong));
    for refusal in 1..=6 {
        assert_eq!((world.waiting().await, world.broker.letters().len()), (1, 0), "before refusal {refusal}");
        world.later().await;
        world.turns().await;
    }
    let attempts: Vec<_> = world.broker.letters.lock().unwrap().iter().map(|letter| letter.attempts).collect();
    assert_eq!((world.waiting().await, attempts), (0, vec![Some(6)]));
}

#[tokio::test]
async fn what_waits_for_something_else_says_nothing_of_the_broker() {
    let Some(world) = World::new().await else { return };
    for resource in ["'topic', 'gone'", "'queue', 'gone'", "'topic', 'gone too'"] {
        let row = format!("INSERT INTO _updraft_outbox (kind, resource, head, body) VALUES ({resource}, '{{}}', '')");
        sqlx::raw_sql(sqlx::AssertSqlSafe(row)).execute(world.books.pool()).await.expect("a row");
    }
    // Nor does a keeper of dead letters that is away, or a queue that is not for us.
    *world.broker.keeps_none.lock().expect("unpoisoned") = true;
    for (order, says) in
        [("ada/1", Says::TooLarge), ("ada/2", Says::TooLarge), ("ada/3", Says::Denied), ("ada/4", Says::Unbound)]
    {
        world.broker.says(order, Some(says));
    }
    world.publish(&["ada/1", "ada/2", "ada/3", "ada/4", "bob/1"]).await;
    assert_eq!(world.database.turn(&world.ctx).await.expect("a turn"), Turn::Moved(1));
    assert_eq!(world.broker.took(), ["bob/1"]);
}

#[tokio::test]
async fn a_turn_commits_what_it_has_done_before_its_time_is_over() {
    let Some(world) = World::new().await else { return };
    world.broker.says("bob/1", Some(Says::Nothing));
    world.publish(&["ada/1", "bob/1", "eve/1"]).await;
    let time = Duration::from_secs(8);
    let flushed = world.database.flush_by(&world.ctx, Some(Instant::now() + time));
    // Dropped at that time, it would have handed on everything, and know of nothing.
    let flushed = tokio::time::timeout(time, flushed).await.expect("over in time");
    assert_eq!(flushed.expect("its end is no error"), 2);
    assert_eq!((world.waiting().await, world.broker.took()), (1, vec!["ada/1".to_owned(), "eve/1".to_owned()]));
    let attempts: i32 =
        sqlx::query_scalar("SELECT attempts FROM _updraft_outbox").fetch_one(world.books.pool()).await.expect("a row");
    assert!(attempts > 0, "it has its pause, as if the broker were away");
    assert_eq!(world.database.flush_by(&world.ctx, Some(Instant::now())).await.expect("no turn"), 0);
}

#[tokio::test]
async fn an_outbox_of_a_newer_format_is_left_alone() {
    let Some(world) = World::new().await else { return };
    world.publish(&["ada/1"]).await;
    world.sql("UPDATE _updraft_relay SET format = 1000").await;
    assert_eq!(world.database.turn(&world.ctx).await.expect("a turn"), Turn::Newer);
    let error = world.database.flush(&world.ctx).await.expect_err("nobody here hands it on");
    assert!(error.to_string().contains("newer version"), "{error}");
    world.database.empty(&world.ctx, Instant::now() + PATIENCE).await;
    assert_eq!((world.waiting().await, world.broker.took().len()), (1, 0));
}

#[tokio::test]
async fn a_brokers_words_may_be_any() {
    let Some(world) = World::new().await else { return };
    world.broker.says("ada/1", Some(Says::Strange));
    world.publish(&["ada/1", "bob/1"]).await;
    world.turns().await;
    assert_eq!((world.waiting().await, world.broker.took()), (1, vec!["bob/1".to_owned()]));
    let problem: String =
        sqlx::query_scalar("SELECT problem FROM _updraft_outbox").fetch_one(world.books.pool()).await.expect("a row");
    assert_eq!(problem, "400 \u{fffd}");
}

#[tokio::test]
async fn a_key_may_hold_what_a_text_can_not() {
    let Some(world) = World::new().await else { return };
    world.broker.says("a\0a/1", Some(Says::Away));
    world.send(&["a\0a/1", "a\0a/2", "b\0/1"]).await;
    world.publish(&["a\0a/3"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["b\0/1", "a\0a/3"]);
    world.broker.says("a\0a/1", None);
    world.later().await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["b\0/1", "a\0a/3", "a\0a/1", "a\0a/2"]);
}

#[tokio::test]
async fn neither_what_is_new_nor_what_waits_holds_up_the_other() {
    let Some(world) = World::new().await else { return };
    let many = |who: &str| (0..150).map(|nth| format!("{who}/{nth}")).collect::<Vec<_>>();
    let (ada, bob) = (many("ada"), many("bob"));
    ada.iter().for_each(|order| world.broker.says(order, Some(Says::Wrong)));
    world.publish(&ada.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.turns().await;
    world.publish(&bob.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.later().await;
    world.database.turn(&world.ctx).await.expect("a turn");
    assert!(ada.iter().any(|order| world.asked(order) == 2), "what waited had no turn");
    assert!(!world.broker.took().is_empty(), "what is new had no turn");
}

#[tokio::test]
async fn a_turn_reads_no_more_than_it_hands_on() {
    const WAITING: i64 = 20_000;
    let Some(world) = World::new().await else { return };
    // Those of one key behind the first, and those that were refused and are not due.
    let rows = "
        INSERT INTO _updraft_outbox (kind, resource, head, body, attempts, due)
        SELECT 'topic', 'placed', '{}', '', 1, 'infinity' FROM generate_series(1, 20000);
        ANALYZE _updraft_outbox";
    world.sql(rows).await;
    world.publish(&["bob/1"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1"]);
    // The server counts what a session has read when that ends.
    let relay = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    world.database.close().await;
    let read = "SELECT pg_stat_clear_snapshot()::text, coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0)
        FROM pg_stat_user_tables WHERE relname = '_updraft_outbox'";
    let since = Instant::now();
    while sqlx::query_scalar::<_, i64>(relay).fetch_one(world.books.pool()).await.expect("a count") > 0 {
        assert!(since.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, all, by_index): (String, i64, i64) =
        sqlx::query_as(read).fetch_one(world.books.pool()).await.expect("counts");
    assert!(all < WAITING && by_index < WAITING, "{all} rows were read, {by_index} more by an index");
    assert!(by_index > 0, "nothing was counted");
}

#[tokio::test]
async fn a_row_that_can_not_be_read_is_kept_as_a_letter() {
    let Some(world) = World::new().await else { return };
    let row = "INSERT INTO _updraft_outbox (kind, resource, head, body) VALUES ('topic', 'placed', '{}', $1)";
    sqlx::query(row).bind(&br#"{"id": "x/1", "customer": "x"}"#[..]).execute(world.books.pool()).await.unwrap();
    // Of a resource that another version may know: it waits, and nothing waits for it.
    let row = "INSERT INTO _updraft_outbox (kind, resource, head, body) VALUES ('topic', 'gone', '{}', '')";
    sqlx::query(row).execute(world.books.pool()).await.unwrap();
    world.publish(&["bob/1"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1"]);
    assert_eq!(world.waiting().await, 1);
    let expected = ("relay::announce".to_owned(), "x/1".to_owned(), "permanent".to_owned());
    assert_eq!(world.broker.letters(), BTreeSet::from([expected]));
}

#[tokio::test]
async fn tables_of_the_first_format_are_brought_to_this_one() {
    let Some(world) = World::new().await else { return };
    let back = "
        ALTER TABLE _updraft_outbox
            DROP COLUMN attempts, DROP COLUMN due, DROP COLUMN problem, DROP COLUMN key, DROP COLUMN refusals;
        UPDATE _updraft_relay SET format = 1";
    world.sql(back).await;
    world.send(&["ada/1"]).await;
    world.database.prepare().await.expect("prepared");
    world.database.prepare().await.expect("prepared again");
    world.broker.says("ada/1", Some(Says::Away));
    world.send(&["ada/2"]).await;
    world.turns().await;
    assert_eq!(world.broker.took(), Vec::<String>::new(), "a key is known of old rows, too");
    world.broker.says("ada/1", None);
    world.later().await;
    world.turns().await;
    assert_eq!(world.broker.took(), ["ada/1", "ada/2"]);
}

#[tokio::test]
async fn tables_of_the_second_format_keep_what_they_know() {
    let Some(world) = World::new().await else { return };
    let back = "
        DROP INDEX _updraft_outbox_new, _updraft_outbox_due;
        ALTER TABLE _updraft_outbox DROP COLUMN refusals;
        UPDATE _updraft_relay SET format = 2";
    world.sql(back).await;
    world.send(&["ada/1", "ada/2", "bob/1"]).await;
    world.sql("UPDATE _updraft_outbox SET attempts = 5, due = 'infinity' WHERE number = 1").await;
    world.database.prepare().await.expect("prepared");
    world.turns().await;
    assert_eq!(world.broker.took(), ["bob/1"]);
    world.broker.says("ada/1", Some(Says::Wrong));
    world.later().await;
    world.turns().await;
    assert_eq!((world.waiting().await, world.broker.letters().len()), (2, 0), "those may have been outages");
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Finished>>>);

impl Sink for Seen {
    fn take(&self, span: Finished) {
        self.0.lock().expect("unpoisoned").push(span);
    }
}

impl Observer for Seen {
    fn observe(&self, _: &Event<'_>) {}

    fn tracer(&self) -> Option<Tracer> {
        Some(Tracer::new(Sampler::default(), Arc::new(self.clone())))
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_transaction_to_the_broker() {
    let seen = Seen::default();
    let Some(world) = World::observed(Arc::new(seen.clone())).await else { return };
    world.broker.says("ada/1", Some(Says::Away));
    world.publish(&["ada/1"]).await;
    world.turns().await;
    world.broker.says("ada/1", Some(Says::TooLarge));
    world.later().await;
    world.turns().await;
    let spans = seen.0.lock().unwrap();
    let name = |id: [u8; 8]| spans.iter().find(|span| span.context.span_id == id).map_or("", |span| &*span.name);
    let edge = |span: &Finished| format!("{} > {}", span.parent.map_or("", name), span.name);
    let edges: Vec<String> = spans.iter().map(edge).collect();
    assert_eq!(
        edges,
        [
            "transaction books > acquire books",
            "transaction books > create placed",
            " > transaction books",
            "create placed > send placed",
            "create placed > send placed",
            "create placed > dead_letter placed",
            "create placed > dead_letter placed",
        ]
    );
    let trace = TraceContext::parse(PARENT, None).unwrap().trace_id;
    assert!(spans.iter().all(|span| span.context.trace_id == trace));
    let text = |span: &Finished, wanted: &str| {
        span.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    assert_eq!(text(&spans[2], "updraft.outcome"), Some(Value::from("commit")));
    assert_eq!(text(&spans[2], "db.namespace"), Some(Value::from("books")));
    assert_eq!(text(&spans[3], "error.type"), Some(Value::from("unavailable")));
    assert_eq!(text(&spans[4], "error.type"), Some(Value::from("too_large")));
}

#[tokio::test]
async fn a_transaction_that_can_not_begin_is_a_failed_span() {
    let seen = Seen::default();
    let options = Options { observer: Arc::new(seen.clone()), ..Options::default() };
    // Without a database behind it.
    let ctx = Ctx::new("relay", Engines::only(Arc::new(Broker::default())), options);
    let scope = ctx.scope(&WRITER, Invocation { deadline: Timestamp::MAX, trace: None });
    Database::<Books>::bind(&scope).begin().await.expect_err("nothing to begin with");
    let spans = seen.0.lock().unwrap();
    let failed: Vec<_> = spans.iter().map(|span| (&*span.name, span.error.is_some())).collect();
    assert_eq!(failed, [("acquire books", true), ("transaction books", true)]);
}
