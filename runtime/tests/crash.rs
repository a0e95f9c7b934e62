//! The embedded engine's promises, tried by killing it: a child process with many producers and consumers is killed (SIGKILL)
//! at random points, several times on the same state. Then
//!
//! - every message that was acknowledged must have been worked at least once by everyone it was for, or be a dead letter if
//!   it was poison, and none may be left over;
//! - none may have been worked before its time, no two attempts at one may have had the same number, and of two messages sent
//!   under one id only the first may have been worked;
//! - a key's messages must have been worked in their order;
//! - a schedule's runs must have been worked, each fired once, and what a handler with `once` has completed must not have run
//!   again;
//! - nothing that is stored may be half written, or go back behind what was acknowledged; of conditional writes that compete
//!   one must have won each time.
//!
//! `UPDRAFT_CRASH_SEEDS=200` tries more seeds than the default 40, `UPDRAFT_LONG=1` a thousand, `UPDRAFT_CRASH_SEED=17` one of
//! them. A failure prints its seed.

use bytes::Bytes;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use updraft::Object;
use updraft::clock::{ManualClock, SystemClock};
use updraft::ctx::{Ctx, Engines, Options, Routed, Scope};
use updraft::embedded::{Dispatcher, Embedded, Topology};
use updraft::engine::{BoxFuture, BucketEngine, Channel, Clock, Expect, ExpectBlob, Message, Messaging, StoreEngine};
use updraft::error::{Error, Result};
use updraft::inflight::InFlight;
use updraft::object::ObjectEvent;
use updraft::registry::{Dispatch, Handler, Incoming};
use updraft_wire::Grants;
use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

#[path = "crash/exact.rs"]
mod exact;

const KILLS: u64 = 2;
const PRODUCERS: u64 = 8;
const COUNTERS: u64 = 8;
const WORDS: usize = 100;
/// The attribute that says from when on a message may be worked.
const DUE: &str = "due";
/// A blob of so many values lies in a file.
const LARGE: usize = 200;

// ---- the application: an order is shipped, then mailed and audited; of each blob of the audit somebody is told ----

static SHIP: Handler = handler("ship", Dispatch::Consumer { queue: "orders", retries: 5, deliver: ship });
static MAIL: Handler = handler("mail", Dispatch::Subscriber { topic: "shipped", when: &[], retries: 5, deliver: mail });
static PAY: Handler = handler("pay", Dispatch::Consumer { queue: "paid", retries: 5, deliver: pay });
static AUDIT: Handler =
    handler("audit", Dispatch::Subscriber { topic: "shipped", when: &[], retries: 5, deliver: audit });

static TOLD: Handler = handler(
    "told",
    Dispatch::Object {
        bucket: "audit",
        event: ObjectEvent::Created,
        prefix: "",
        suffix: "",
        retries: 5,
        deliver: told,
    },
);

const fn handler(id: &'static str, dispatch: Dispatch) -> Handler {
    Handler { id, descriptor: &[], grants: Grants::None, timeout_millis: 5_000, dispatch }
}

fn ship(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let id = incoming.message.id;
        if is_child() {
            say(&format!("tried {id} {}", incoming.attempt.unwrap_or(0)));
            let due = incoming.message.attributes.get(DUE).and_then(|due| due.parse().ok());
            if due.is_some_and(|due: i64| Timestamp::now().as_microsecond() < due) {
                say(&format!("wrong {id} came before its time"));
            }
        }
        let hash = hash(&id);
        if hash.is_multiple_of(50) {
            return Err(Error::permanent("a poison order"));
        }
        match (incoming.attempt, hash % 20) {
            (Some(1), 1) => return Err(Error::new("the warehouse is closed")),
            (Some(1), 2) => panic!("the warehouse is on fire"),
            _ => {}
        }
        scope.store("shipped")?.put("shipped", id.as_bytes(), filled(hash), Expect::Anything, None).await?;
        scope.publish(Channel::Topic("shipped"), vec![message(&id)], Duration::ZERO).await?;
        Ok(())
    })
}

/// A key's messages come one at a time and in order, and only the first of those sent under one id.
fn pay(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let message = &incoming.message;
        let (key, sent_as) = (message.key().unwrap_or_default(), message.dedup_id().unwrap_or_default());
        let round = sent_as.rsplit('-').next().and_then(|round| round.parse().ok()).unwrap_or(u64::MAX);
        let store = scope.store("paid")?;
        let last = store.get("paid", key.as_bytes()).await?.map(|entry| number(&entry.value));
        if round > last.map_or(0, |last| last + 1) {
            say(&format!("wrong {sent_as} came after {last:?}"));
            store.put("paid", b"wrong", filled(1), Expect::Anything, None).await?;
        }
        // The store's bytes are the message's own id: another one under the same id differs.
        let (entry, id) = (format!("id/{sent_as}"), Bytes::from(message.id.clone()));
        if !store.put("paid", entry.as_bytes(), id.clone(), Expect::Absent, None).await? {
            let first = store.get("paid", entry.as_bytes()).await?;
            if first.is_none_or(|first| first.value != id) {
                say(&format!("wrong {sent_as} was worked twice, as {id:?}"));
                store.put("paid", b"wrong", filled(2), Expect::Anything, None).await?;
            }
        }
        if last.is_none_or(|last| last < round) {
            store.put("paid", key.as_bytes(), filled(round), Expect::Anything, None).await?;
        }
        Ok(())
    })
}

fn mail(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let store = scope.store("mailed")?;
        // Many count at once: the loser of a race tries again.
        let counter = format!("count/{}", hash(&incoming.message.id) % COUNTERS);
        loop {
            let mailed = store.get("mailed", counter.as_bytes()).await?;
            let count = mailed.as_ref().map_or(0, |entry| number(&entry.value));
            let expect = mailed.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
            if store.put("mailed", counter.as_bytes(), filled(count + 1), expect, None).await? {
                break;
            }
        }
        let key = format!("id/{}", incoming.message.id);
        store.put("mailed", key.as_bytes(), filled(1), Expect::Anything, None).await?;
        Ok(())
    })
}

fn audit(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        // Some are large enough for a file of their own.
        let times = if hash(&incoming.message.id).is_multiple_of(8) { LARGE } else { 1 };
        let body = Bytes::from(filled(7).repeat(times));
        scope.bucket("audit")?.put("audit", &incoming.message.id, body, None, ExpectBlob::Anything).await?;
        Ok(())
    })
}

fn told(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let object: Object = serde_json::from_slice(&incoming.message.body)?;
        scope.store("told")?.put("told", object.key.as_bytes(), filled(object.size), Expect::Anything, None).await?;
        Ok(())
    })
}

fn hash(id: &str) -> u64 {
    id.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// A value that shows whether it is whole: one number, many times.
fn filled(number: u64) -> Bytes {
    number.to_le_bytes().repeat(WORDS).into()
}

fn number(value: &[u8]) -> u64 {
    assert_eq!(value.len(), 8 * WORDS, "a value is cut short");
    let first: [u8; 8] = value[..8].try_into().expect("eight bytes");
    assert!(value.chunks(8).all(|chunk| chunk == first), "a value is half written");
    u64::from_le_bytes(first)
}

fn message(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        source: "//crash/test".into(),
        time: Timestamp::UNIX_EPOCH,
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: Bytes::from_static(b"{}"),
    }
}

fn start(directory: &Path, clock: Arc<dyn Clock>) -> (Embedded, Dispatcher) {
    let topology = Topology::of([&SHIP, &MAIL, &AUDIT, &PAY, &TOLD]).dedup("paid", Duration::from_secs(3600));
    start_with(directory, clock, topology)
}

fn start_with(directory: &Path, clock: Arc<dyn Clock>, topology: Topology) -> (Embedded, Dispatcher) {
    let engine = Embedded::open(directory, topology, clock.clone()).unwrap_or_else(|error| panic!("{error}"));
    let shared = Arc::new(engine.clone());
    let engines =
        Engines { stores: Routed::all(shared.clone()), buckets: Routed::all(shared.clone()), ..Engines::only(shared) };
    let options = Options { clock, ..Options::default() };
    let dispatcher = Dispatcher::new(Ctx::new("crash", engines, options), engine.clone(), InFlight::default(), 1);
    (engine, dispatcher.expect("schedules that mean something"))
}

// ---- the child ----

/// The child's body: no test of its own, so it does nothing unless the driver starts it.
#[test]
#[ignore = "the driver starts it in a process of its own"]
fn child() {
    let Ok(directory) = std::env::var("UPDRAFT_CRASH_STATE") else { return };
    let life: u64 = std::env::var("UPDRAFT_CRASH_LIFE").expect("a life").parse().expect("a number");
    let minute: i64 = std::env::var("UPDRAFT_CRASH_MINUTE").expect("a minute").parse().expect("a number");
    let exact = std::env::var_os("UPDRAFT_CRASH_EXACT").is_some();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if exact {
            return exact::live(Path::new(&directory), life, minute).await;
        }
        let (engine, dispatcher) = start(Path::new(&directory), Arc::new(SystemClock));
        for producer in 0..PRODUCERS {
            tokio::spawn(produce(engine.clone(), life, producer));
        }
        dispatcher.run().await;
    });
}

/// Whether this is the process that is killed.
fn is_child() -> bool {
    static CHILD: LazyLock<bool> = LazyLock::new(|| std::env::var_os("UPDRAFT_CRASH_LIFE").is_some());
    *CHILD
}

async fn produce(engine: Embedded, life: u64, producer: u64) {
    let ledger = format!("producer-{producer}");
    for round in 0.. {
        // One by one and in batches; every third is held back a moment.
        let ids: Vec<String> = (0..=round % 3).map(|at| format!("{life}-{producer}-{round}-{at}")).collect();
        let delay = Duration::from_millis(if round % 3 == 0 { 5 } else { 0 });
        let due = Timestamp::now() + delay;
        let order = |id: &String| {
            let attributes = BTreeMap::from([(DUE.to_owned(), due.as_microsecond().to_string())]);
            Message { attributes, ..message(id) }
        };
        let batch = ids.iter().map(order).collect();
        engine.publish(Channel::Queue("orders"), batch, delay).await.expect("published");
        say(&format!("sent {}", ids.join(" ")));
        let value = filled(life << 32 | round);
        StoreEngine::put(&engine, "ledger", ledger.as_bytes(), value, Expect::Anything, None).await.expect("stored");
        say(&format!("stored {ledger} {}", life << 32 | round));
        // Each twice, under one id.
        let (key, sent_as) = (format!("{life}-{producer}"), format!("{life}-{producer}-{round}"));
        for copy in ["first", "second"] {
            let attributes =
                BTreeMap::from([(PARTITION_KEY.to_owned(), key.clone()), (DEDUP_ID.to_owned(), sent_as.clone())]);
            let message = Message { attributes, ..message(&format!("{sent_as}-{copy}")) };
            engine.publish(Channel::Queue("paid"), vec![message], Duration::ZERO).await.expect("published");
        }
        say(&format!("paid {sent_as}"));
    }
}

/// One write for one line, between marks: what the driver reads whole was acknowledged.
fn say(line: &str) {
    let _ = std::io::stdout().write_all(format!("<{line}>\n").as_bytes());
}

// ---- the driver ----

#[derive(Default)]
struct Acknowledged {
    sent: BTreeSet<String>,
    paid: BTreeSet<String>,
    /// The last attempt at each order.
    tried: BTreeMap<String, u32>,
    stored: BTreeMap<String, u64>,
    exact: exact::Acknowledged,
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = match number("UPDRAFT_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let long = std::env::var_os("UPDRAFT_LONG").is_some_and(|value| value == "1");
            0..number("UPDRAFT_CRASH_SEEDS").unwrap_or(if long { 1_000 } else { 40 })
        }
    };
    let (mut messages, mut letters, mut minutes, mut charged) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        let tried = std::panic::catch_unwind(|| try_seed(seed));
        let Ok(((sent, dead), exact)) = tried else {
            panic!("seed {seed} failed; UPDRAFT_CRASH_SEED={seed} tries it alone")
        };
        messages += sent;
        letters += dead;
        minutes += exact.0;
        charged += exact.1;
    }
    println!(
        "{} seeds, {KILLS} kills of each child, {messages} acknowledged messages, {letters} dead letters, {minutes} runs of a schedule, \
         {charged} completions",
        seeds.count()
    );
    assert!(messages > 0 && minutes > 0 && charged > 0, "the children got nothing done");
}

fn try_seed(seed: u64) -> ((usize, usize), (usize, usize)) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Acknowledged::default();
    for life in 0..KILLS {
        // Some die while they open the state, most in full swing.
        let random = mix(seed << 8 | life);
        let after = Duration::from_micros(random % 60_000);
        for exact in [false, true] {
            run_and_kill(directory.path(), life, (after, random >> 60 < 4, exact), &mut acknowledged);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        (verify(directory.path(), &acknowledged).await, acknowledged.exact.verify(directory.path()).await)
    })
}

fn run_and_kill(
    directory: &Path,
    life: u64,
    (after, at_any_time, exact): (Duration, bool, bool),
    acknowledged: &mut Acknowledged,
) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("UPDRAFT_CRASH_STATE", directory)
        .env("UPDRAFT_CRASH_LIFE", life.to_string())
        .env("UPDRAFT_CRASH_MINUTE", acknowledged.exact.minute.to_string())
        .envs(exact.then_some(("UPDRAFT_CRASH_EXACT", "1")))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let (begun, beginning) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let told = |line: &String| {
            if line.contains('<') {
                let _ = begun.send(());
            }
        };
        lines.map_while(std::result::Result::ok).inspect(told).collect::<Vec<_>>()
    });
    if !at_any_time {
        beginning.recv_timeout(Duration::from_secs(20)).expect("the child's first word");
    }
    std::thread::sleep(after);
    let early = child.try_wait().expect("a status");
    child.kill().expect("killed");
    let output = child.wait_with_output().expect("its errors");
    assert!(early.is_none(), "the child ended by itself: {}", String::from_utf8_lossy(&output.stderr));
    for line in reader.join().expect("its output") {
        // The harness's own words, which may share a line, are not between marks.
        let Some((_, line)) = line.split_once('<') else { continue };
        let Some(line) = line.strip_suffix('>') else { continue };
        if acknowledged.exact.heard(line) {
            continue;
        }
        let mut words = line.split(' ');
        match words.next() {
            Some("sent") => acknowledged.sent.extend(words.map(str::to_owned)),
            Some("paid") => acknowledged.paid.extend(words.map(str::to_owned)),
            Some("tried") => {
                let (id, attempt) = (words.next().expect("an order"), words.next().expect("an attempt"));
                let attempt: u32 = attempt.parse().expect("a number");
                let last = acknowledged.tried.insert(id.to_owned(), attempt);
                assert!(last.is_none_or(|last| attempt > last), "attempt {attempt} at {id} came after {last:?}");
            }
            Some("wrong") => panic!("{line}"),
            Some("stored") => {
                let (ledger, value) = (words.next().expect("a ledger"), words.next().expect("a value"));
                acknowledged.stored.insert(ledger.to_owned(), value.parse().expect("a number"));
            }
            _ => panic!("the child said: {line}"),
        }
    }
}

/// Works off what is left on a clock of its own (retries don't wait for real) and looks whether all is there.
async fn verify(directory: &Path, acknowledged: &Acknowledged) -> (usize, usize) {
    let clock = ManualClock::new(Timestamp::now());
    let (engine, dispatcher) = start(directory, Arc::new(clock.clone()));
    let worker = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.run().await }
    });
    while !dispatcher.idle().expect("read") {
        tokio::time::sleep(Duration::from_millis(1)).await;
        // Once only retries are left, their time comes.
        if let Some(next) = dispatcher.next_message().expect("read").filter(|next| *next > clock.now())
            && dispatcher.in_flight().count() == 0
        {
            clock.set(next);
        }
    }
    worker.abort();

    let letters = engine.dead_letters().expect("read");
    let dead: BTreeSet<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert!(letters.iter().all(|letter| letter.kind == "permanent"), "only poison is given up");
    let mut mails = 0;
    for id in &acknowledged.sent {
        let shipped = StoreEngine::get(&engine, "shipped", id.as_bytes()).await.expect("read");
        if dead.contains(id.as_str()) {
            assert!(shipped.is_none(), "{id} is shipped and given up");
            continue;
        }
        number(&shipped.unwrap_or_else(|| panic!("{id} was acknowledged and never shipped")).value);
        let key = format!("id/{id}");
        let mailed = StoreEngine::get(&engine, "mailed", key.as_bytes()).await.expect("read");
        number(&mailed.unwrap_or_else(|| panic!("{id} was shipped and never mailed")).value);
        let audited = BucketEngine::get(&engine, "audit", id).await.expect("read");
        let audited = audited.unwrap_or_else(|| panic!("{id} was shipped and never audited")).body;
        assert!(audited.chunks(8 * WORDS).all(|part| number(part) == 7));
        mails += 1;
    }
    for sent_as in &acknowledged.paid {
        let key = format!("id/{sent_as}");
        let paid = StoreEngine::get(&engine, "paid", key.as_bytes()).await.expect("read");
        assert!(paid.is_some_and(|paid| paid.value == format!("{sent_as}-first")), "{sent_as} was never paid");
    }
    assert!(StoreEngine::get(&engine, "paid", b"wrong").await.expect("read").is_none(), "out of order, or twice");
    // What was begun and never finished has left no file.
    let (mut files, mut from) = (0, None);
    loop {
        let page = BucketEngine::list(&engine, "audit", "", from, 1000).await.expect("read");
        for id in &page.items {
            let meta = BucketEngine::head(&engine, "audit", id).await.expect("read").expect("a blob");
            let told = StoreEngine::get(&engine, "told", id.as_bytes()).await.expect("read");
            assert_eq!(number(&told.unwrap_or_else(|| panic!("nobody was told of {id}")).value), meta.size);
            files += usize::from(meta.size > 8 * WORDS as u64);
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(std::fs::read_dir(directory.join("blobs")).expect("a folder").count(), files);
    let mut count = 0;
    for counter in 0..COUNTERS {
        let key = format!("count/{counter}");
        let counted = StoreEngine::get(&engine, "mailed", key.as_bytes()).await.expect("read");
        count += counted.map_or(0, |entry| number(&entry.value));
    }
    assert!(count >= mails, "{mails} messages were mailed, {count} were counted");
    for (ledger, value) in &acknowledged.stored {
        let stored =
            StoreEngine::get(&engine, "ledger", ledger.as_bytes()).await.expect("read").expect("a ledger's entry");
        assert!(number(&stored.value) >= *value, "{ledger} went back from {value}");
    }
    (acknowledged.sent.len(), letters.len())
}

fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
