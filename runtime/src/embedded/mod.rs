//! The embedded engine: queues, topics, stores, buckets and schedules of one application in one process, durable in one
//! file on disk, or in memory for tests. It keeps the cloud's promises, not easier ones: at least once, visibility
//! timeout, retries with backoff, dead letters; what was acknowledged survives the process.
//!
//! ```text
//! topology   which handler takes from which lane
//! tables     what lies in the database            record   one message in it
//! writer     the one writer, group commit         logged   tables that write down their changes
//! keeper     database, journal, disk failures     journal  changes since the last checkpoint
//! state      the directory: lock, format, errors
//! lanes      publish, lease, ack, put back, bury  dead     dead letters
//! stores     key-value entries                    blobs    buckets; files: where large ones lie
//! presigned  the tokens of presigned URLs
//! schedules  which runs are due                   dispatcher  works the lanes
//! ```

mod blobs;
#[cfg(test)]
mod conformance;
mod dead;
pub mod dispatcher;
mod files;
mod journal;
mod keeper;
pub mod lanes;
mod logged;
mod presigned;
mod record;
pub mod schedules;
pub mod state;
mod stores;
mod tables;
#[cfg(test)]
mod tests;
pub mod topology;
mod writer;

pub use dispatcher::Dispatcher;
pub use lanes::{Depth, Lease};
pub(crate) use presigned::{Claim, Forbidden};
pub use state::StateError;
pub use topology::{Lane, LaneId, Topology};

use crate::engine::{Clock, EngineError, EngineResult};
use files::Files;
use jiff::Timestamp;
use keeper::Keeper;
use presigned::Signer;
use redb::{ReadTransaction, ReadableDatabase};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tables::Tables;
use tokio::sync::Notify;
use writer::{Promise, Shared, Writer};

/// The engine. Clones share it.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

/// Dropped in this order: the writer closes the database before the lock is given up.
struct Inner {
    database: Shared,
    writer: Writer,
    topology: Topology,
    clock: Arc<dyn Clock>,
    work: Notify,
    /// Where large blobs lie; in memory they lie with the others.
    files: Option<Files>,
    signer: Signer,
    /// Owns the directory as long as it is open.
    _lock: Option<state::Lock>,
}

impl Embedded {
    /// The engine with its state in `directory`, which is made if it isn't there.
    ///
    /// # Errors
    /// If the directory can't be written, belongs to another process, or was written by a newer updraft.
    pub fn open(directory: &Path, topology: Topology, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let lock = state::lock(directory)?;
        let mut keeper = Keeper::open(directory)?;
        let now = clock.now().as_microsecond();
        let (job, mut released) = writer::job(Promise::Written, move |tables| lanes::release(tables, i64::MAX, now));
        keeper.commit(&mut VecDeque::from([job]));
        let unwritable = |reason: String| StateError::unwritable(directory, std::io::Error::other(reason));
        let released = released.try_recv().map_err(|error| unwritable(error.to_string()))?;
        if released.map_err(|error| unwritable(error.to_string()))? > 0 {
            tracing::debug!("messages that were in hand when the process ended are due again");
        }
        let (job, mut taken_over) = writer::job(Promise::Written, move |tables| blobs::take_over(tables, now));
        keeper.commit(&mut VecDeque::from([job]));
        let taken_over = taken_over.try_recv().map_err(|error| unwritable(error.to_string()))?;
        taken_over.map_err(|error| unwritable(error.to_string()))?;
        let database = keeper.database();
        let files = state::files(&database, directory)?;
        let writer = Writer::thread(keeper).map_err(|source| StateError::unwritable(directory, source))?;
        let signer = Signer::open(directory)?;
        Ok(Self::new(database, writer, (topology, clock), signer, Some((files, lock))))
    }

    /// The engine with its state in memory, for tests.
    ///
    /// # Errors
    /// None that is known.
    pub fn in_memory(topology: Topology, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let database = Arc::new(RwLock::new(Some(state::in_memory()?)));
        let writer = Writer::Inline(Mutex::new((database.clone(), 0)));
        Ok(Self::new(database, writer, (topology, clock), Signer::in_memory(), None))
    }

    fn new(
        database: Shared,
        writer: Writer,
        (topology, clock): (Topology, Arc<dyn Clock>),
        signer: Signer,
        directory: Option<(Files, state::Lock)>,
    ) -> Self {
        let (files, lock) = directory.unzip();
        let work = Notify::new();
        Embedded(Arc::new(Inner { database, writer, topology, clock, work, files, signer, _lock: lock }))
    }

    /// Which handler takes from which lane.
    pub fn topology(&self) -> &Topology {
        &self.0.topology
    }

    /// Returns when there may be work that was not there before. Work that came since the last call counts.
    pub async fn work(&self) {
        self.0.work.notified().await;
    }

    fn woken(&self) {
        self.0.work.notify_one();
    }

    /// The time that the engine goes by.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Does `job` in a transaction with others; once answered, it survives a power cut. What it does is `insert` and `remove`
    /// on the tables, and the writer does the rest: an operation of a new kind is a job, and no more.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> EngineResult<T> {
        self.0.writer.run(Promise::Durable, job).await
    }

    /// [`Embedded::write`] that answers sooner: the process's death can't undo it any more, a power cut can for about a
    /// second. For what then only repeats an attempt: a lease, an acknowledgement.
    async fn write_soon<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> EngineResult<T> {
        self.0.writer.run(Promise::Written, job).await
    }

    /// Reads what was last committed. Short, so it runs where it is called.
    fn read<T>(&self, reader: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> EngineResult<T> {
        let database = self.0.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else { return Err(unreadable("it is closed since the disk failed")) };
        let transaction = database.begin_read().map_err(unreadable)?;
        reader(&transaction).map_err(unreadable)
    }
}

fn unreadable(error: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable(format!("the embedded state can't be read: {error}"))
}
