//! The one writer: every change of state is a job, and all jobs that wait are committed together, durably, before any of
//! them is answered. So a thousand clients share one `fsync` instead of queueing for a thousand.

use super::tables::Tables;
use crate::engine::{EngineError, EngineResult};
use redb::Database;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Jobs of one commit: bounds how long the first of them waits for the others.
const LONGEST_BATCH: usize = 4096;

/// Told once the commit is through, or why it is not.
type Answer = Box<dyn FnOnce(EngineResult<()>) + Send>;
type Job = Box<dyn FnOnce(&mut Tables<'_>) -> Result<Answer, redb::Error> + Send>;

/// How jobs reach the database.
pub(super) enum Writer {
    /// On disk: a thread of its own.
    Thread(Thread),
    /// In memory, for tests: at once, on the caller's thread, so that a test's order of events is its own.
    Inline(Mutex<Arc<Database>>),
}

/// The writer's thread. Dropping it lets it finish and close the database, so that the next start needs no repair.
pub(super) struct Thread {
    jobs: Option<mpsc::Sender<Job>>,
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

impl Writer {
    pub(super) fn thread(database: Arc<Database>) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let handle = std::thread::Builder::new().name("updraft-writer".into()).spawn(move || {
            while let Ok(first) = jobs.recv() {
                let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(LONGEST_BATCH - 1)).collect();
                commit(&database, batch);
            }
        })?;
        Ok(Writer::Thread(Thread { jobs: Some(sender), handle: Some(handle) }))
    }

    /// Does `job` in a transaction and answers once that is durable.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> EngineResult<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |tables| {
            let value = job(tables)?;
            Ok(Box::new(move |outcome| {
                // Whoever asked may have gone; the change stands.
                let _ = sender.send(outcome.map(|()| value));
            }))
        });
        match self {
            Writer::Thread(Thread { jobs, .. }) => {
                jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
            }
            Writer::Inline(database) => {
                // Else a task that never waits for anything would never let another run.
                tokio::task::coop::consume_budget().await;
                commit(&database.lock().unwrap_or_else(PoisonError::into_inner), vec![job]);
            }
        }
        receiver.await.map_err(|_| gone())?
    }
}

/// All jobs or none. A job that fails (or panics) does so on account of storage, so that its neighbours fail with it.
fn commit(database: &Database, jobs: Vec<Job>) {
    let mut answers = Vec::with_capacity(jobs.len());
    let work = AssertUnwindSafe(|| -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut tables = Tables::open(&transaction)?;
            for job in jobs {
                answers.push(job(&mut tables)?);
            }
            tables.finish()?;
        }
        transaction.commit()?;
        Ok(())
    });
    // Jobs that have not run are dropped with their senders, and their callers told by `gone`.
    let reason = match std::panic::catch_unwind(work) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(crate::dispatch::panic_message(&*panic)),
    };
    for answer in answers {
        answer(match &reason {
            None => Ok(()),
            Some(reason) => Err(EngineError::Unavailable(format!("the embedded state can't be written: {reason}"))),
        });
    }
}

fn gone() -> EngineError {
    EngineError::Unavailable("the embedded state can't be written: the disk or the database failed".into())
}
