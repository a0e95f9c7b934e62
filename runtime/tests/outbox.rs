//! The outbox's promise, tried by killing (SIGKILL): a child process writes orders, each with one message or two in the same
//! transaction, and hands them on to a broker that is a file; it is killed within a transaction, after a commit, before or
//! after a message reached the broker, or at any moment; several times on one database. Then, in the file,
//!
//! - every message is one of an order that was committed, and no order's message is missing;
//! - what comes twice has the same id;
//! - messages come in the order of their commits, and go back only right after a kill.
//!
//! So it is for two relays that compete and are killed in turn. `UPDRAFT_LONG=1` tries more seeds, `UPDRAFT_OUTBOX_SEED=17` one
//! of them.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use updraft::capability::{Capability, DatabaseResource};
use updraft::ctx::{Ctx, Engines, Invocation, Options};
use updraft::database::Databases;
use updraft::engine::{BoxFuture, Channel, EngineResult, Message, Messaging};
use updraft::engines::postgres::Postgres;
use updraft::prelude::*;
use updraft::registry::{Dispatch, Handler};
use updraft::sqlx;
use updraft::sqlx::postgres::{PgConnectOptions, PgSslMode};
use updraft_wire::Grants;

/// How often the process of one seed is killed: each way twice.
const LIVES: u64 = 10;
/// Orders that a life has time for, at most.
const ORDERS: u64 = 60;
/// The message at which a life ends comes before the last: four of five orders are committed.
const LATEST: u64 = 30;
/// Of so many orders, the last one's transaction is rolled back.
const TAKEN_BACK: u64 = 5;
/// How long a child may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Orders.
#[database(migrations = "tests/outbox")]
pub struct Books;

/// An order.
#[updraft::data]
pub struct Order {
    /// Its id.
    pub id: String,
}

/// Every order.
#[topic(message = Order)]
pub struct Placed;

/// Every third.
#[queue(message = Order)]
pub struct Checks;

static WRITER: Handler = Handler {
    id: "outbox::write",
    descriptor: &[],
    grants: Grants::All(&[
        Grants::One { kind: "database", resource: "books", access: "read-write" },
        Grants::One { kind: "topic", resource: "placed", access: "write" },
        Grants::One { kind: "queue", resource: "checks", access: "write" },
    ]),
    timeout_millis: 60_000,
    dispatch: Dispatch::Function { call: |_, body| Box::pin(async { Ok(body) }) },
};

// ---- the application ----

/// Where a process ends, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In this order's transaction, with its messages in it.
    InTransaction(u64),
    /// When this order is committed and nobody was told.
    Committed(u64),
    /// When this message is about to reach the broker.
    BeforePublish(u64),
    /// When this message has reached the broker, and the relay does not know yet.
    AfterPublish(u64),
    /// After so many microseconds.
    AnyTime(u64),
    Never,
}

impl End {
    fn of_life(seed: u64, life: u64) -> End {
        let random = mix(seed << 16 | life);
        match life % 5 {
            0 => End::InTransaction(random % LATEST),
            1 => End::Committed(random % LATEST / TAKEN_BACK * TAKEN_BACK), // one that is committed
            2 => End::BeforePublish(random % LATEST),
            3 => End::AfterPublish(random % LATEST),
            _ => End::AnyTime(random % 60_000),
        }
    }

    fn written(self) -> String {
        let (kind, at) = match self {
            End::InTransaction(at) => ("in-transaction", at),
            End::Committed(at) => ("committed", at),
            End::BeforePublish(at) => ("before", at),
            End::AfterPublish(at) => ("after", at),
            End::AnyTime(at) => ("any-time", at),
            End::Never => ("never", 0),
        };
        format!("{kind} {at}")
    }

    fn read(text: &str) -> End {
        let (kind, at) = text.split_once(' ').expect("two words");
        let at = at.parse().expect("a number");
        match kind {
            "in-transaction" => End::InTransaction(at),
            "committed" => End::Committed(at),
            "before" => End::BeforePublish(at),
            "after" => End::AfterPublish(at),
            "any-time" => End::AnyTime(at),
            "never" => End::Never,
            _ => panic!("no end is {kind}"),
        }
    }

    fn is_here(self, here: End) {
        if self == here {
            die();
        }
    }
}

/// SIGKILL for this process. What this thread holds, it holds until then.
fn die() -> ! {
    let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
    loop {
        std::thread::park();
    }
}

/// A broker that is a file: what has a line was taken.
struct Broker {
    file: File,
    process: String,
    published: AtomicU64,
    end: End,
}

impl Broker {
    fn new(file: &Path, process: &str, end: End) -> Arc<Broker> {
        let file = OpenOptions::new().create(true).append(true).open(file).expect("a file");
        Arc::new(Broker { file, process: process.to_owned(), published: AtomicU64::new(0), end })
    }
}

impl Messaging for Broker {
    fn publish(&self, channel: Channel, messages: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            for message in messages {
                let nth = self.published.fetch_add(1, Ordering::Relaxed);
                self.end.is_here(End::BeforePublish(nth));
                let (Channel::Queue(to) | Channel::Topic(to)) = channel;
                let order: Order = serde_json::from_slice(&message.body).expect("an order");
                let line = format!("{} {to}/{} {}\n", self.process, order.id, message.id);
                (&self.file).write_all(line.as_bytes()).expect("written");
                self.end.is_here(End::AfterPublish(nth));
            }
            Ok(())
        })
    }
}

fn ctx(database: &Arc<Postgres>, broker: Arc<Broker>) -> Ctx {
    let mut databases = Databases::default();
    databases.add(database.clone());
    let engines = Engines { databases, ..Engines::only(broker) };
    Ctx::new("outbox", engines, Options::default())
}

/// Writes orders one after the other; every [`TAKEN_BACK`]th is taken back.
async fn write(ctx: &Ctx, life: &str, orders: u64, end: End) -> Result<()> {
    let scope = ctx.scope(&WRITER, Invocation { deadline: Timestamp::MAX, trace: None });
    let (books, placed, checks) =
        (Database::<Books>::bind(&scope), Topic::<Placed>::bind(&scope), Queue::<Checks>::bind(&scope));
    for nth in 0..orders {
        let order = Order { id: format!("{life}.{nth}") };
        let mut tx = books.begin().await?;
        sqlx::query("INSERT INTO placed (id) VALUES ($1)").bind(&order.id).execute(&mut *tx).await?;
        placed.publish_in(&mut tx, &order).await?;
        if is_checked(&order.id) {
            checks.send_in(&mut tx, &order).await?;
        }
        end.is_here(End::InTransaction(nth));
        if nth % TAKEN_BACK == TAKEN_BACK - 1 {
            tx.rollback().await?;
            continue;
        }
        tx.commit().await?;
        end.is_here(End::Committed(nth));
        say(&order.id);
    }
    Ok(())
}

fn is_checked(order: &str) -> bool {
    order.rsplit('.').next().and_then(|nth| nth.parse::<u64>().ok()).is_some_and(|nth| nth % 3 == 0)
}

// ---- the child ----

/// The child's body: no test of its own, so it does nothing unless a driver starts it.
#[test]
#[ignore = "a driver starts it in a process of its own"]
fn child() {
    let variable = |name: &str| std::env::var(format!("UPDRAFT_OUTBOX_{name}"));
    let Ok(socket) = variable("SOCKET") else { return };
    let [database, file, process, end, orders] =
        ["DATABASE", "FILE", "PROCESS", "END", "ORDERS"].map(|name| variable(name).expect("what to do"));
    let (end, orders) = (End::read(&end), orders.parse().expect("a number"));
    if let End::AnyTime(after) = end {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after));
            die();
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let options = PgConnectOptions::new_without_pgpass().socket(socket).port(5432).username("updraft");
        let options = options.password("").database(&database).ssl_mode(PgSslMode::Disable);
        let database = Arc::new(Postgres::new("books", &options, Books::MIGRATIONS, None));
        database.prepare().await.expect("the database");
        let ctx = ctx(&database, Broker::new(Path::new(&file), &process, end));
        let relays = ctx.engines().databases.relay(&ctx);
        assert_eq!(relays.len(), 1);
        write(&ctx, &process, orders, end).await.expect("written");
        // The relay goes on until this process ends.
        tokio::time::sleep(PATIENCE).await;
    });
}

/// One write for one line, between marks: what the driver reads whole was acknowledged.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("<{line}>\n").as_bytes());
}

// ---- the drivers ----

/// A database that children share with the test, and the broker's file.
struct Place {
    books: Database<Books>,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Option<Place> {
        let books = updraft::test::database::<Books>().await?;
        Some(Place { books, folder: tempfile::tempdir().expect("a folder") })
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("broker")
    }

    fn child(&self, process: &str, orders: u64, end: End) -> Child {
        let options = self.books.pool().connect_options();
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        child.env("UPDRAFT_OUTBOX_SOCKET", options.get_socket().expect("a socket"));
        child.env("UPDRAFT_OUTBOX_DATABASE", options.get_database().expect("a name"));
        child.env("UPDRAFT_OUTBOX_FILE", self.file()).env("UPDRAFT_OUTBOX_PROCESS", process);
        child.env("UPDRAFT_OUTBOX_END", end.written()).env("UPDRAFT_OUTBOX_ORDERS", orders.to_string());
        child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child")
    }

    /// Hands on what is left, in this process.
    async fn drain(&self) {
        let options = self.books.pool().connect_options();
        let database = Arc::new(Postgres::new("books", &options, Books::MIGRATIONS, None));
        let ctx = ctx(&database, Broker::new(&self.file(), "last", End::Never));
        // A child's connection may still hold the lead for a moment: the server has to notice that it is gone.
        database.empty(&ctx, Instant::now() + PATIENCE).await;
        assert_eq!(database.waiting().await.expect("a count"), 0, "the outbox gets empty");
    }

    /// The messages of all orders that were committed, in their order.
    async fn expected(&self) -> Vec<String> {
        let orders: Vec<String> =
            sqlx::query_scalar("SELECT id FROM placed ORDER BY at").fetch_all(self.books.pool()).await.expect("read");
        let messages = orders.iter().flat_map(|order| {
            let checked = is_checked(order).then(|| format!("checks/{order}"));
            [Some(format!("placed/{order}")), checked].into_iter().flatten()
        });
        messages.collect()
    }

    /// Holds the broker's file to the promise; how many messages came again.
    async fn verify(&self, killed: &BTreeSet<String>) -> usize {
        let expected = self.expected().await;
        let position: BTreeMap<&str, usize> =
            expected.iter().enumerate().map(|(at, message)| (message.as_str(), at)).collect();
        let text = std::fs::read_to_string(self.file()).expect("the file");
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        let mut before: Option<(&str, usize)> = None;
        let mut last_line: BTreeMap<&str, usize> = BTreeMap::new();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        for (number, line) in lines.iter().enumerate() {
            last_line.insert(line[0], number);
        }
        let mut again = 0;
        for (number, line) in lines.iter().enumerate() {
            let [process, message, id] = line[..] else { panic!("line {number} is {line:?}") };
            let Some(&at) = position.get(message) else { panic!("{message} was published and not committed") };
            match ids.insert(message, id) {
                None => {}
                Some(first) => {
                    assert_eq!(first, id, "{message} comes under two ids");
                    again += 1;
                }
            }
            let next = before.map_or(0, |(_, before)| before + 1);
            if at != next {
                let (leader, _) = before.unwrap_or_else(|| panic!("{message} comes first, before {}", expected[0]));
                let ended = last_line[leader] == number - 1 && killed.contains(leader);
                assert!(at < next && ended, "line {number}: {message} by {process}, not {:?}", expected.get(next));
            }
            before = Some((process, at));
        }
        let distinct: BTreeSet<&str> = ids.values().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "two messages under one id");
        let lost: Vec<_> = expected.iter().filter(|message| !ids.contains_key(message.as_str())).collect();
        assert!(lost.is_empty(), "committed and never published: {lost:?}");
        again
    }
}

#[tokio::test]
async fn no_kill_separates_a_commit_from_its_messages() {
    let seeds = match std::env::var("UPDRAFT_OUTBOX_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).expect("a number"),
        Err(_) if std::env::var_os("UPDRAFT_LONG").is_some_and(|value| value == "1") => 0..100,
        Err(_) => 0..3,
    };
    let mut again = 0;
    for seed in seeds {
        println!("seed {seed}; UPDRAFT_OUTBOX_SEED={seed} tries it alone");
        let Some(place) = Place::new().await else { return };
        let (mut killed, mut acknowledged, mut after_publish) = (BTreeSet::new(), BTreeSet::new(), 0);
        for life in 0..LIVES {
            let (process, end) = (format!("life-{life}"), End::of_life(seed, life));
            after_publish += usize::from(matches!(end, End::AfterPublish(_)));
            let said = until_killed(place.child(&process, ORDERS, end)).await;
            let said = said.lines().filter_map(|line| line.split_once('<')?.1.strip_suffix('>'));
            acknowledged.extend(said.map(str::to_owned));
            killed.insert(process);
        }
        place.drain().await;
        let expected = place.expected().await;
        assert!(!acknowledged.is_empty());
        for order in &acknowledged {
            assert!(expected.contains(&format!("placed/{order}")), "{order} was acknowledged and is not there");
        }
        let twice = place.verify(&killed).await;
        assert!(twice >= after_publish, "{twice} came again after {after_publish} kills between publish and delete");
        again += twice;
    }
    println!("{again} messages came again");
}

/// What a child said before it was killed. (It says less than a pipe holds.)
async fn until_killed(mut child: Child) -> String {
    let since = Instant::now();
    while child.try_wait().expect("a status").is_none() && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let early = child.try_wait().expect("a status");
    let _ = child.kill();
    let output = child.wait_with_output().expect("its end");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(early.is_some(), "the child goes on: {said}{errors}");
    assert_eq!(output.status.signal(), Some(9), "the child ended by itself: {said}{errors}");
    said.into_owned()
}

#[tokio::test]
async fn two_relays_hand_over_in_order() {
    const WRITTEN: u64 = 120;
    const KILLS: u64 = 6;
    let Some(place) = Place::new().await else { return };
    let options = place.books.pool().connect_options();
    let database = Arc::new(Postgres::new("books", &options, Books::MIGRATIONS, None));
    let writer = ctx(&database, Broker::new(&place.file(), "writer", End::Never));
    let mut started = 0;
    let mut start = || {
        let random = mix(started) % 20;
        let end = match started {
            KILLS.. => End::Never,
            even if even % 2 == 0 => End::BeforePublish(random),
            _ => End::AfterPublish(random),
        };
        let process = format!("relay-{started}");
        started += 1;
        let child = place.child(&process, 0, end);
        (process, child)
    };
    let mut relays = [start(), start()];
    let mut killed = BTreeSet::new();
    let since = Instant::now();
    let mut writing = Box::pin(write(&writer, "order", WRITTEN, End::Never));
    let mut written = false;
    while !written || database.waiting().await.expect("a count") > 0 {
        assert!(since.elapsed() < PATIENCE, "the relays stand still");
        for relay in &mut relays {
            let (process, child) = relay;
            if let Some(status) = child.try_wait().expect("a status") {
                assert_eq!(status.signal(), Some(9), "{process} ended by itself");
                killed.insert(process.clone());
                *relay = start();
            }
        }
        if written {
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else if let Ok(done) = tokio::time::timeout(Duration::from_millis(5), &mut writing).await {
            done.expect("written");
            written = true;
        }
    }
    for (_, mut child) in relays {
        let _ = child.kill();
        let _ = child.wait();
    }
    place.verify(&killed).await;
    // Those that are to end hand on twenty messages each at most, and there are more than for all of them.
    assert!(killed.len() as u64 >= KILLS - 1, "{killed:?}");
}

fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
