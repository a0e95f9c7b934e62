//! The embedded engine: queues, topics, stores, buckets and schedules of one application in one process, durable in one
//! file on disk, or in memory for tests. It keeps the cloud's promises, not easier ones: at least once, visibility
//! timeout, retries with backoff, dead letters; what was acknowledged survives the process.
//!
//! ```text
//! topology   which handler takes from which lane
//! tables     what lies in the database            record   one message in it
//! writer     the one writer, group commit         state    the directory: lock, format, errors
//! lanes      publish, lease, ack, put back, bury  dead     dead letters
//! stores     key-value entries                    blobs    buckets
//! schedules  which runs are due                   dispatcher  works the lanes
//! ```

mod blobs;
#[cfg(test)]
mod conformance;
mod dead;
pub mod dispatcher;
pub mod lanes;
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
pub use state::StateError;
pub use topology::{Lane, LaneId, Topology};

use crate::engine::{Clock, EngineError, EngineResult};
use jiff::Timestamp;
use redb::{Database, ReadTransaction, ReadableDatabase};
use std::path::Path;
use std::sync::Arc;
use tables::Tables;
use tokio::sync::Notify;
use writer::Writer;

/// The engine. Clones share it.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

/// Dropped in this order: the writer closes the database before the lock is given up.
struct Inner {
    database: Arc<Database>,
    writer: Writer,
    topology: Topology,
    clock: Arc<dyn Clock>,
    work: Notify,
    /// Owns the directory as long as it is open.
    _lock: Option<state::Lock>,
}

impl Embedded {
    /// The engine with its state in `directory`, which is made if it isn't there.
    ///
    /// # Errors
    /// If the directory can't be written, belongs to another process, or was written by a newer updraft.
    pub fn open(directory: &Path, topology: Topology, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let (database, lock) = state::open(directory, clock.now())?;
        let database = Arc::new(database);
        let writer = Writer::thread(database.clone()).map_err(|source| StateError::unwritable(directory, source))?;
        Ok(Self::new(database, writer, topology, clock, Some(lock)))
    }

    /// The engine with its state in memory, for tests.
    ///
    /// # Errors
    /// None that is known.
    pub fn in_memory(topology: Topology, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let database = Arc::new(state::in_memory(clock.now())?);
        let writer = Writer::Inline(std::sync::Mutex::new(database.clone()));
        Ok(Self::new(database, writer, topology, clock, None))
    }

    fn new(
        database: Arc<Database>,
        writer: Writer,
        topology: Topology,
        clock: Arc<dyn Clock>,
        lock: Option<state::Lock>,
    ) -> Self {
        Embedded(Arc::new(Inner { database, writer, topology, clock, work: Notify::new(), _lock: lock }))
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

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> EngineResult<T> {
        self.0.writer.run(job).await
    }

    /// Reads what was last committed. Short, so it runs where it is called.
    fn read<T>(&self, reader: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> EngineResult<T> {
        let transaction = self.0.database.begin_read().map_err(unreadable)?;
        reader(&transaction).map_err(unreadable)
    }
}

fn unreadable(error: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable(format!("the embedded state can't be read: {error}"))
}
