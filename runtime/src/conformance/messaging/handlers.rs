//! The handlers that every engine of queues and topics is tried with. They do what a message tells them and note each
//! attempt in the store `notes`, which is there wherever they run: in a test's own process or in a pod.

use crate::batch::{Batch, Report};
use crate::ctx::Scope;
use crate::engine::{BoxFuture, Expect, StoreEngine};
use crate::error::{Error, Result};
use crate::message::{Given, Read, consume, consume_batch};
use crate::registry::{Dispatch, Handler, Incoming};
use crate::schema::Forms;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use updraft_wire::Grants;

/// Attempts after the first, of every handler.
pub const RETRIES: u32 = 2;
/// Messages that [`BATCHED`] takes at most.
pub const BATCH: u32 = 10;
/// How long a handler may take, in milliseconds.
const TIMEOUT_MILLIS: u64 = 60_000;
/// How long the one may take that is meant to take too long.
const HUNG_MILLIS: u64 = 300;
/// The store that attempts are noted in.
pub const NOTES: &str = "notes";

/// What a message tells its handler to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Task {
    /// How often it fails before it is done.
    pub fails: u32,
    /// How it fails.
    pub how: How,
    /// How long an attempt takes, in real milliseconds.
    pub takes: u64,
}

/// Ways to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum How {
    /// An error.
    #[default]
    Error,
    /// An error that trying again won't cure.
    Permanent,
    /// A panic.
    Panic,
    /// It takes longer than it may.
    Hang,
    /// In a batch: the handler ends well, and says nothing of this message.
    Silence,
}

/// An attempt's beginning or end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The handler.
    pub handler: String,
    /// The message's id.
    pub message: String,
    /// Which attempt, where the engine knows it.
    pub attempt: Option<u32>,
    /// By the application's clock, in microseconds since 1970.
    pub at: i64,
    /// Messages that were handed over together.
    pub together: usize,
    /// Whether this is the end, and how it was.
    pub end: Option<bool>,
}

/// All notes, in the order in which they were made. (A process makes them in order; several may overlap.)
///
/// # Panics
/// If the store can't be read.
pub async fn notes(store: &dyn StoreEngine) -> Vec<Note> {
    let (mut notes, mut from) = (Vec::new(), None);
    loop {
        let page = store.scan(NOTES, b"note/", from, 1_000).await.expect("the notes");
        for (key, entry) in page.items {
            let note: Note = serde_json::from_slice(&entry.value).expect("a note");
            notes.push((key, note));
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    notes.sort_by(|(a, _), (b, _)| a.cmp(b));
    notes.into_iter().map(|(_, note)| note).collect()
}

const fn handler(id: &'static str, dispatch: Dispatch) -> Handler {
    let grants = Grants::One { kind: "store", resource: NOTES, access: "read-write" };
    Handler { id, descriptor: &[], grants, timeout_millis: TIMEOUT_MILLIS, dispatch }
}

const fn consumer(id: &'static str, queue: &'static str) -> Handler {
    handler(id, Dispatch::Consumer { queue, retries: RETRIES, deliver })
}

const fn subscriber(id: &'static str, when: &'static [(&'static str, &'static str)]) -> Handler {
    handler(id, Dispatch::Subscriber { topic: "news", when, retries: RETRIES, deliver })
}

/// Takes several from the queue `batched`: so many at most, for which it waits so long.
pub const fn batched(most: u32, window_millis: u64) -> Handler {
    let dispatch = Dispatch::Batch { queue: "batched", retries: RETRIES, most, window_millis, deliver: deliver_batch };
    handler("conformance::batched", dispatch)
}

/// Takes from the queue `plain`.
pub const PLAIN: Handler = consumer("conformance::plain", "plain");
/// Takes from the queue `hung`, and has no patience.
pub const HUNG: Handler = Handler { timeout_millis: HUNG_MILLIS, ..consumer("conformance::hung", "hung") };
/// Takes from the queue `keyed`, which is ordered.
pub const KEYED: Handler = consumer("conformance::keyed", "keyed");
/// Takes from the queue `known`, which knows ids again for [`super::WINDOW`].
pub const KNOWN: Handler = consumer("conformance::known", "known");
/// Takes from the queue `known-too`, which does as well.
pub const KNOWN_TOO: Handler = consumer("conformance::known_too", "known-too");
/// Takes several from the queue `batched`.
pub const BATCHED: Handler = batched(BATCH, 0);

/// Takes all of the topic `news`.
pub const ALL_NEWS: Handler = subscriber("conformance::all_news", &[]);
/// Takes of the topic `news` what it is to refuse, and refuses it.
pub const NO_NEWS: Handler = subscriber("conformance::no_news", &[("kind", "refused")]);
/// Takes of the topic `news` what comes from Europe.
pub const EUROPEAN_NEWS: Handler = subscriber("conformance::european_news", &[("region", "eu")]);

/// All of them.
pub static ALL: [Handler; 9] = [PLAIN, HUNG, KEYED, KNOWN, KNOWN_TOO, BATCHED, ALL_NEWS, NO_NEWS, EUROPEAN_NEWS];

/// How tasks are read.
static TASKS: Forms<Task> = Forms::new(&[]);

fn deliver(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    let held = scope.clone();
    let (id, attempt) = (incoming.message.id.clone(), incoming.attempt);
    consume(scope, incoming, Read::of(&TASKS), move |task: Task, _: &Given| {
        let scope = held.clone();
        async move {
            let told = begin(&scope, &id, attempt, 1, &task).await?;
            let refused = scope.handler().id == NO_NEWS.id;
            tokio::time::sleep(Duration::from_millis(task.takes)).await;
            let outcome = if refused { Err(Error::new("refused")) } else { obey(task.how, told).await };
            note(&scope, &id, attempt, 1, Some(outcome.is_ok())).await?;
            outcome
        }
    })
}

fn deliver_batch(scope: Scope, incoming: Vec<Incoming>, report: Report) -> BoxFuture<'static, Result<()>> {
    let held = scope.clone();
    consume_batch(scope, incoming, report, Read::of(&TASKS), move |batch: Batch<Task>, _: &Given| async move {
        for item in &batch {
            let (id, attempt) = (item.delivery().id(), item.delivery().attempt());
            let told = begin(&held, id, attempt, batch.len(), item).await?;
            let outcome = match item.how {
                How::Silence if told.is_some() => continue,
                how => obey(how, told).await,
            };
            note(&held, id, attempt, batch.len(), Some(outcome.is_ok())).await?;
            match outcome {
                Ok(()) => item.done(),
                Err(error) => item.fail(error),
            }
        }
        Ok::<_, Error>(())
    })
}

/// Notes that an attempt begins; how often it is still to fail, if it is.
async fn begin(scope: &Scope, id: &str, attempt: Option<u32>, together: usize, task: &Task) -> Result<Option<u32>> {
    let before = tries(scope, id).await?;
    note(scope, id, attempt, together, None).await?;
    Ok(task.fails.checked_sub(before + 1))
}

/// Fails as it is told, if it is.
async fn obey(how: How, told: Option<u32>) -> Result<()> {
    if told.is_none() {
        return Ok(());
    }
    match how {
        How::Error | How::Silence => Err(Error::new("told to fail")),
        How::Permanent => Err(Error::permanent("told to give up")),
        How::Panic => panic!("told to panic"),
        How::Hang => std::future::pending().await,
    }
}

/// How often this handler has begun with this message. (An engine need not know.)
async fn tries(scope: &Scope, id: &str) -> Result<u32> {
    let key = format!("tries/{}/{id}", scope.handler().id);
    let store = scope.store(NOTES)?;
    let held = store.get(NOTES, key.as_bytes()).await?;
    let before: u32 = held.as_ref().and_then(|entry| serde_json::from_slice(&entry.value).ok()).unwrap_or(0);
    store.put(NOTES, key.as_bytes(), (before + 1).to_string().into(), Expect::Anything, None).await?;
    Ok(before)
}

async fn note(scope: &Scope, id: &str, attempt: Option<u32>, together: usize, end: Option<bool>) -> Result<()> {
    let (handler, message) = (scope.handler().id.to_owned(), id.to_owned());
    let note = Note { handler, message, attempt, at: scope.ctx().clock().now().as_microsecond(), together, end };
    let key = format!("note/{}", uuid::Uuid::now_v7());
    let value = serde_json::to_vec(&note)?;
    scope.store(NOTES)?.put(NOTES, key.as_bytes(), value.into(), Expect::Anything, None).await?;
    Ok(())
}
