//! The one writer: every change of state is a job, and all jobs that wait are committed together. So a thousand clients share
//! one `fdatasync` instead of queueing for a thousand.
//!
//! A commit is first appended to the [journal](super::journal), then made visible to readers, and at last, on a thread of its
//! own so that the next commit need not wait, synced. When its caller is answered depends on what it was promised:
//! [`Promise`].

use super::keeper::Keeper;
use super::logged::Log;
use super::tables::Tables;
use crate::engine::{EngineError, EngineResult};
use redb::{Database, Durability};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Jobs of one commit: bounds how long the first of them waits for the others.
const LONGEST_BATCH: usize = 4096;
/// Bytes that one commit changes, but for its last job's: bounds what is held in memory.
const LARGEST_BATCH: usize = 8 << 20;
/// Nothing in memory needs to be durable, and a commit that is not costs half. But only one that is frees what those before it
/// replaced.
const WHOLE_EVERY: u32 = 256;
/// So long after the last job, what nobody waits for is synced too.
const QUIET: Duration = Duration::from_secs(1);

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It survives a power cut.
    Durable,
    /// It survives the process, however that ends; a power cut within the next second or so may undo it, and then undoes all
    /// that came after it too. For what only repeats an attempt when it is undone.
    Written,
}

/// The database, for readers, the writer, and whoever opens it again. Absent while it can't be opened.
pub(super) type Shared = Arc<RwLock<Option<Database>>>;

/// A change of state and whoever waits for it.
pub(super) trait Job: Send {
    fn promise(&self) -> Promise;
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    fn answer(self: Box<Self>, outcome: EngineResult<()>);
}

struct Waiting<T, F> {
    promise: Promise,
    job: Option<F>,
    value: Option<T>,
    sender: oneshot::Sender<EngineResult<T>>,
}

impl<T, F> Job for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send,
{
    fn promise(&self) -> Promise {
        self.promise
    }

    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        if let Some(job) = self.job.take() {
            self.value = Some(job(tables)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: EngineResult<()>) {
        let Waiting { value, sender, .. } = *self;
        // Whoever asked may have gone; the change stands.
        let _ = sender.send(outcome.and_then(|()| value.ok_or_else(gone)));
    }
}

/// A job, and where its answer will be.
pub(super) fn job<T: Send + 'static>(
    promise: Promise,
    work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
) -> (Box<dyn Job>, oneshot::Receiver<EngineResult<T>>) {
    let (sender, receiver) = oneshot::channel();
    (Box::new(Waiting { promise, job: Some(work), value: None, sender }), receiver)
}

/// How jobs reach the database.
pub(super) enum Writer {
    /// On disk: a thread of its own, or the caller's, if it is the only one.
    Thread(Thread),
    /// In memory, for tests: at once, on the caller's thread, so that a test's order of events is its own. With how
    /// many commits there were.
    Inline(Mutex<(Shared, u32)>),
}

/// The writer's thread. Dropping it lets it finish and close the database, so that the next start needs no repair.
pub(super) struct Thread {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    keeper: Arc<Mutex<Keeper>>,
    /// Jobs that are not answered yet.
    under_way: Arc<AtomicUsize>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

impl Thread {
    /// A commit takes less time than it takes to wake another thread. So a job that has no company is done where it is; with
    /// company, it is worth to wait for each other.
    fn take(&self, job: Box<dyn Job>, company: bool) -> EngineResult<()> {
        if !company
            && let Ok(mut keeper) = self.keeper.try_lock()
            && keeper.ready()
        {
            keeper.commit(&mut VecDeque::from([job]));
            return Ok(());
        }
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }
}

/// Counted as long as it lives.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Writer {
    pub(super) fn thread(keeper: Keeper) -> std::io::Result<Self> {
        let keeper = Arc::new(Mutex::new(keeper));
        let (sender, jobs) = mpsc::channel::<Box<dyn Job>>();
        let kept = keeper.clone();
        let handle = std::thread::Builder::new().name("updraft-writer".into()).spawn(move || {
            let keeper = || kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut waiting = VecDeque::new();
            loop {
                if waiting.is_empty() {
                    match jobs.recv_timeout(QUIET) {
                        Ok(first) => waiting.push_back(first),
                        Err(mpsc::RecvTimeoutError::Disconnected) => break,
                        Err(mpsc::RecvTimeoutError::Timeout) => {
                            keeper().quiet();
                            continue;
                        }
                    }
                }
                waiting.extend(jobs.try_iter().take(LONGEST_BATCH.saturating_sub(waiting.len())));
                keeper().commit(&mut waiting);
            }
            keeper().close();
        })?;
        Ok(Writer::Thread(Thread { jobs: Some(sender), keeper, under_way: Arc::default(), handle: Some(handle) }))
    }

    /// Does `work` in a transaction and answers once the promise holds.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        promise: Promise,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> EngineResult<T> {
        let receiver = match self {
            Writer::Thread(thread) => {
                let under_way = UnderWay(thread.under_way.clone());
                let company = thread.under_way.fetch_add(1, Ordering::AcqRel) > 0;
                let (job, receiver) = job(promise, move |tables| work(tables).map(|value| (value, under_way)));
                thread.take(job, company)?;
                return receiver.await.map_err(|_| gone())?.map(|(value, _)| value);
            }
            Writer::Inline(database) => {
                // Else a task that never waits for anything would never let another run.
                tokio::task::coop::consume_budget().await;
                let (job, receiver) = job(promise, work);
                let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
                database.1 = database.1.wrapping_add(1);
                inline(&database.0, database.1, job);
                drop(database);
                receiver
            }
        };
        receiver.await.map_err(|_| gone())?
    }
}

/// Runs jobs until there are no more, or enough; those that ran are moved to `ran`. All jobs of a commit or none: one that
/// fails (or panics) does so on account of storage, so that its neighbours fail with it.
pub(super) fn run_jobs(
    tables: &mut Tables<'_>,
    log: &Log,
    waiting: &mut VecDeque<Box<dyn Job>>,
    ran: &mut Vec<Box<dyn Job>>,
) -> Result<(), redb::Error> {
    while ran.len() < LONGEST_BATCH
        && log.len() < LARGEST_BATCH
        && let Some(job) = waiting.pop_front()
    {
        ran.push(job);
        if let Some(job) = ran.last_mut() {
            job.run(tables)?;
        }
    }
    Ok(())
}

fn inline(database: &Shared, commits: u32, job: Box<dyn Job>) {
    let mut ran = Vec::new();
    let outcome = caught(|| {
        let database = database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else { return Err("it is closed".into()) };
        let work = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            if !commits.is_multiple_of(WHOLE_EVERY) {
                transaction.set_durability(Durability::None)?;
            }
            {
                let mut tables = Tables::open(&transaction, &Log::none());
                run_jobs(&mut tables, &Log::none(), &mut VecDeque::from([job]), &mut ran)?;
                tables.finish()?;
            }
            transaction.commit()?;
            Ok(())
        };
        work().map_err(|error| error.to_string())
    });
    for job in ran {
        job.answer(outcome.clone().map_err(|reason| unwritable(&reason)));
    }
}

/// What `work` answers, or the words of its panic.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome,
        Err(panic) => Err(crate::dispatch::panic_message(&*panic)),
    }
}

pub(super) fn unwritable(reason: &str) -> EngineError {
    EngineError::Unavailable(format!("the embedded state can't be written: {reason}"))
}

fn gone() -> EngineError {
    unwritable("the disk or the database failed")
}
