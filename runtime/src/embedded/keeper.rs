//! What stands behind the writer: database, journal and the thread that syncs it. Commits, checkpoints, and what is done when
//! the disk fails.
//!
//! A failed append leaves all as it was, so that the next commit tries anew: a full disk refuses, and takes again once there
//! is room. A database that failed is opened again, from its last durable commit and the journal; the reason for which it is
//! closed goes to all who ask meanwhile.

use super::journal::{HEADER, Journal};
use super::logged::Log;
use super::state::{self, StateError};
use super::tables::Tables;
use super::writer::{Job, Promise, Shared, caught, run_jobs, unwritable};
use crate::engine::EngineResult;
use redb::Durability;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// A journal of so many bytes makes a checkpoint due.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// One of so many, after checkpoints that failed, takes no more.
const JOURNAL_LIMIT_BYTES: u64 = 8 * CHECKPOINT_BYTES;
/// Between two tries to get over a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// After a checkpoint that failed while the journal has room, the next is tried after a pause that doubles up to this: each
/// try reads the whole journal again.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);
/// What nobody waits for is synced after so long, if nothing that somebody waits for has taken it along.
const LONGEST_UNSYNCED: Duration = Duration::from_secs(1);
/// When nobody asks for anything, one of so many makes a checkpoint due.
const QUIET_CHECKPOINT_BYTES: u64 = 4 << 20;
/// So long after it was tidied up, the state is looked at once more.
const SETTLED: Duration = Duration::from_secs(30);

type Jobs = Vec<Box<dyn Job>>;

pub(super) struct Keeper {
    directory: PathBuf,
    database: Shared,
    journal: Journal,
    syncer: Option<Syncer>,
    /// Why the database has to be opened again.
    broken: Option<String>,
    /// Until when nothing is tried again.
    pause: Option<Instant>,
    /// Checkpoints that failed one after another.
    failures: u32,
    /// Until when the journal goes on without another try at a checkpoint.
    postponed: Option<Instant>,
    /// A journal of so many bytes makes a checkpoint due.
    due_at: u64,
    /// Since when something is written that nobody waits for to be synced.
    unsynced: Option<Instant>,
    /// When it was last tidied up, until it is looked at once more.
    tidied: Option<Instant>,
}

/// Why a commit failed.
enum Failure {
    /// Nothing was written; the database is as it was.
    Journal(io::Error),
    /// The database is in an unknown state.
    Database(String),
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        Failure::Database(error.to_string())
    }
}

impl Keeper {
    /// Opens what lies in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, StateError> {
        let (database, journal) = state::load(directory)?;
        let syncer = Syncer::start(&journal).map_err(|source| StateError::unwritable(directory, source))?;
        Ok(Keeper {
            directory: directory.to_owned(),
            database: Arc::new(RwLock::new(Some(database))),
            journal,
            syncer: Some(syncer),
            broken: None,
            pause: None,
            failures: 0,
            postponed: None,
            due_at: CHECKPOINT_BYTES,
            unsynced: None,
            tidied: None,
        })
    }

    pub(super) fn database(&self) -> Shared {
        self.database.clone()
    }

    /// Whether a commit would be only that: nothing has failed, and no checkpoint is due.
    pub(super) fn ready(&self) -> bool {
        self.broken.is_none() && !self.sync_failed() && !self.checkpoint_due()
    }

    fn checkpoint_due(&self) -> bool {
        self.journal.len() > self.due_at && (!self.is_put_off() || self.journal.len() > JOURNAL_LIMIT_BYTES)
    }

    fn is_put_off(&self) -> bool {
        self.postponed.is_some_and(|until| Instant::now() < until)
    }

    fn sync_failed(&self) -> bool {
        self.syncer.as_ref().is_none_or(|syncer| syncer.failed.load(Ordering::Acquire))
    }

    /// Commits some of the jobs, at least one, and answers those whose promise holds; the syncer answers the others.
    pub(super) fn commit(&mut self, waiting: &mut VecDeque<Box<dyn Job>>) {
        let mut ran = Vec::new();
        let outcome = self.mended().and_then(|()| {
            caught(|| match self.attempt(waiting, &mut ran) {
                Ok(sequence) => Ok(Ok(sequence)),
                Err(Failure::Journal(error)) => {
                    Ok(Err(format!("{error} ({})", super::journal::path(&self.directory).display())))
                }
                Err(Failure::Database(reason)) => Err(reason),
            })
            .inspect_err(|reason| self.broken = Some(reason.clone()))
            .and_then(|outcome| outcome)
        });
        match outcome {
            Ok(sequence) => {
                let (durable, written): (Jobs, Jobs) =
                    ran.into_iter().partition(|job| job.promise() == Promise::Durable);
                for job in written {
                    job.answer(Ok(()));
                }
                if !durable.is_empty() || self.unsynced.get_or_insert_with(Instant::now).elapsed() >= LONGEST_UNSYNCED {
                    self.sync(sequence, durable);
                }
            }
            Err(reason) => {
                for job in ran.into_iter().chain(std::mem::take(waiting)) {
                    job.answer(Err(unwritable(&reason)));
                }
            }
        }
    }

    fn attempt(&mut self, waiting: &mut VecDeque<Box<dyn Job>>, ran: &mut Jobs) -> Result<u64, Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else { return Err(Failure::Database("it is closed".into())) };
        let mut transaction = database.begin_write().map_err(redb::Error::from)?;
        transaction.set_durability(Durability::None).map_err(redb::Error::from)?;
        let log = Log::new(vec![0; HEADER]);
        {
            let mut tables = Tables::open(&transaction, &log);
            run_jobs(&mut tables, &log, waiting, ran)?;
            tables.finish()?;
        }
        let frame = log.take();
        // Nothing that is read can be undone by the process's end: so first the journal, then the eyes of others.
        if frame.len() > HEADER {
            let sequence = self.journal.append(frame).map_err(Failure::Journal)?;
            // The disk may begin while the commit goes on in memory; who waits for both is told once both are through.
            if ran.iter().any(|job| job.promise() == Promise::Durable)
                && let Some(syncer) = &self.syncer
            {
                syncer.send(sequence, Vec::new());
            }
            transaction.commit().map_err(redb::Error::from)?;
        }
        Ok(self.journal.sequence())
    }

    /// Gets over what failed, if something did, and makes a checkpoint if one is due.
    fn mended(&mut self) -> Result<(), String> {
        if self.ready() {
            return Ok(());
        }
        let sync_failed = self.sync_failed();
        let due = self.checkpoint_due();
        if self.pause.is_some_and(|pause| Instant::now() < pause) {
            return match &self.broken {
                Some(reason) => Err(reason.clone()),
                None if sync_failed => Err("the journal could not be synced".into()),
                None if self.journal.len() > JOURNAL_LIMIT_BYTES => Err("the journal is full".into()),
                None => Ok(()),
            };
        }
        self.pause = Some(Instant::now() + PAUSE);
        if self.broken.is_some() {
            self.reopen().inspect_err(|reason| self.broken = Some(reason.clone()))?;
        }
        if sync_failed || due {
            match self.checkpoint(false) {
                Ok(()) => {}
                Err(reason) => {
                    self.put_off(&reason)?;
                    if sync_failed || self.journal.len() > JOURNAL_LIMIT_BYTES {
                        return Err(reason);
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on without the checkpoint that failed.
    fn put_off(&mut self, reason: &str) -> Result<(), String> {
        let pause = postponement(self.failures);
        tracing::warn!(%reason, ?pause, "the state could not be made durable as a whole: the journal goes on");
        self.failures += 1;
        self.postponed = Some(Instant::now() + pause);
        self.reopen().inspect_err(|reason| self.broken = Some(reason.clone()))
    }

    /// Opens the database again, from its last durable commit and the journal.
    fn reopen(&mut self) -> Result<(), String> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // It can't be opened twice; closing what failed may fail again.
        let _ = caught(|| {
            drop(database.take());
            Ok(())
        });
        let (fresh, journal) = caught(|| state::load(&self.directory).map_err(|error| error.to_string()))?;
        *database = Some(fresh);
        drop(database);
        self.journal = journal;
        self.broken = None;
        // The syncer's file is the old one.
        drop(self.syncer.take());
        self.syncer = Some(Syncer::start(&self.journal).map_err(|error| error.to_string())?);
        tracing::info!(state = %self.directory.display(), "the state is open again");
        Ok(())
    }

    /// Makes the database durable as it stands, and begins the journal anew.
    fn checkpoint(&mut self, shrink: bool) -> Result<(), String> {
        let next = self.journal.checkpoint() + 1;
        let sequence = self.journal.sequence();
        caught(|| {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = &*database else { return Err("it is closed".into()) };
            state::mark(database, (next, sequence)).map_err(|error| error.to_string())
        })?;
        // What waits for a sync has been made durable by that; the file may begin again under its hands.
        self.journal.restart(next, shrink).map_err(|error| error.to_string())?;
        if let Some(syncer) = &self.syncer {
            syncer.failed.store(false, Ordering::Release);
        }
        (self.failures, self.postponed) = (0, None);
        Ok(())
    }

    fn sync(&mut self, sequence: u64, jobs: Jobs) {
        self.unsynced = None;
        let unsent = match &self.syncer {
            Some(syncer) => syncer.send(sequence, jobs),
            None => jobs,
        };
        for job in unsent {
            job.answer(Err(unwritable("the thread that syncs it has ended")));
        }
    }

    /// Nobody has asked the writer's thread for anything for a while: time to sync what nobody waits for, to get over what
    /// failed, and to tidy up.
    pub(super) fn quiet(&mut self) {
        let mended = self.mended();
        // Whatever is broken, the journal is what brings back what was written.
        self.sync(self.journal.sequence(), Vec::new());
        if mended.is_err() || !self.ready() {
            return;
        }
        if self.journal.len() > QUIET_CHECKPOINT_BYTES {
            if self.is_put_off() {
                return;
            }
            self.tidied = Some(Instant::now());
            match self.checkpoint(true) {
                Ok(()) => self.tidy(),
                Err(reason) => {
                    // Who asks next is told, if it can't be opened again.
                    let _ = self.put_off(&reason);
                }
            }
        } else if self.tidied.is_some_and(|at| at.elapsed() > SETTLED) {
            // What was worked off since the last time was less than makes a checkpoint.
            self.tidied = None;
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        if let Err(reason) = self.compact() {
            tracing::warn!(%reason, "the state could not be tidied up");
            self.broken = Some(reason);
        }
    }

    /// Gives back what the file has too much, if that is much. Nobody reads or writes meanwhile.
    fn compact(&mut self) -> Result<(), String> {
        caught(|| {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = &mut *database else { return Err("it is closed".into()) };
            state::compact_if_it_pays(database, &self.directory).map(drop).map_err(|error| error.to_string())
        })
    }

    /// Leaves all in the database and the journal empty.
    pub(super) fn close(&mut self) {
        if self.broken.is_none()
            && let Err(reason) = self.checkpoint(true)
        {
            tracing::warn!(%reason, "the state could not be closed in order; the next start mends it");
        }
        self.sync(self.journal.sequence(), Vec::new());
        drop(self.syncer.take());
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
    }
}

/// How long the journal goes on after so many failures.
fn postponement(failures: u32) -> Duration {
    PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

/// The thread that syncs the journal, and answers those who were promised that.
struct Syncer {
    groups: Option<mpsc::Sender<(u64, Jobs)>>,
    /// A sync failed: what was written may be gone from the system's cache, so that only a checkpoint helps.
    failed: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Syncer {
    fn start(journal: &Journal) -> io::Result<Self> {
        let (sender, groups) = mpsc::channel::<(u64, Jobs)>();
        let failed = Arc::new(AtomicBool::new(false));
        let (file, synced) = journal.syncing();
        let failing = failed.clone();
        let handle = std::thread::Builder::new().name("updraft-syncer".into()).spawn(move || {
            while let Ok((mut sequence, mut jobs)) = groups.recv() {
                for (later, more) in groups.try_iter() {
                    sequence = later;
                    jobs.extend(more);
                }
                let outcome = if synced.load(Ordering::Acquire) >= sequence {
                    Ok(())
                } else if failing.load(Ordering::Acquire) {
                    // A second try may succeed and mean nothing: the system forgets what it failed to write.
                    Err(io::Error::other("the journal could not be synced"))
                } else {
                    file.sync_data()
                };
                match &outcome {
                    Ok(()) => synced.fetch_max(sequence, Ordering::AcqRel),
                    Err(_) => u64::from(failing.swap(true, Ordering::AcqRel)),
                };
                for job in jobs {
                    let answer: EngineResult<()> = match &outcome {
                        Ok(()) => Ok(()),
                        Err(error) => Err(unwritable(&error.to_string())),
                    };
                    job.answer(answer);
                }
            }
        })?;
        Ok(Syncer { groups: Some(sender), failed, handle: Some(handle) })
    }

    /// The jobs, if it has ended.
    fn send(&self, sequence: u64, jobs: Jobs) -> Jobs {
        match &self.groups {
            Some(groups) => groups.send((sequence, jobs)).err().map(|unsent| unsent.0.1).unwrap_or_default(),
            None => jobs,
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.groups = None;
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}
