//! The state's directory: who owns it, which format it has, and what to say when it can't be used.

use super::files::Files;
use super::journal::{self, Journal, Unreadable};
use super::logged::{self, Log};
use super::tables::{FILES, FORMAT, META, Tables, WITHOUT_FILES, WITHOUT_JOURNAL, WITHOUT_KEYS};
use super::writer::{self, Shared};
use redb::backends::InMemoryBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::PoisonError;
use std::time::Instant;

/// The database's file in the directory.
pub(super) const DATABASE: &str = "state.redb";
/// What redb may keep of it in memory.
const CACHE_BYTES: usize = 64 << 20;
/// A smaller file is left as it is.
const COMPACT_FROM_BYTES: u64 = 32 << 20;

/// Why a state can't be used. Its text says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// Another process owns it.
    Owned {
        /// Where.
        directory: PathBuf,
        /// The owner, if it wrote that down.
        pid: Option<u32>,
    },
    /// It can't be made or written.
    Unwritable {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another format.
    Format {
        /// Where.
        directory: PathBuf,
        /// What the database says.
        found: u64,
    },
    /// The database itself is broken.
    Broken {
        /// Where.
        directory: PathBuf,
        /// What the database says.
        reason: String,
    },
}

impl StateError {
    pub(super) fn unwritable(directory: &Path, source: io::Error) -> Self {
        StateError::Unwritable { directory: directory.to_owned(), source }
    }

    fn of(directory: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::Io(source)
                if !matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                StateError::unwritable(directory, source)
            }
            redb::Error::DatabaseAlreadyOpen => StateError::Owned { directory: directory.to_owned(), pid: None },
            other => StateError::Broken { directory: directory.to_owned(), reason: other.to_string() },
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Owned { directory, pid } => {
                let owner = pid.map_or("another process".to_owned(), |pid| format!("another process (pid {pid})"));
                write!(
                    f,
                    "{owner} is running this application with the state in {}; stop it, or give this one a state of its \
                     own: UPDRAFT_STATE_DIR=<directory>",
                    directory.display()
                )
            }
            StateError::Unwritable { directory, source } => write!(
                f,
                "the state directory {} can't be written: {source}; make it writable, or name another: \
                 UPDRAFT_STATE_DIR=<directory>",
                directory.display()
            ),
            StateError::Format { directory, found } => write!(
                f,
                "the state in {} has format {found}, this updraft writes format {FORMAT}; use the updraft that made it, \
                 or move the directory away to start afresh",
                directory.display()
            ),
            StateError::Broken { directory, reason } => write!(
                f,
                "the state in {} can't be opened: {reason}; move the directory away to start afresh",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StateError::Unwritable { source, .. } => Some(source),
            StateError::Owned { .. } | StateError::Format { .. } | StateError::Broken { .. } => None,
        }
    }
}

/// Ownership of a directory: a locked file that names the owner. The kernel ends it with the process, however that ends.
pub(super) struct Lock {
    _file: File,
}

/// Makes the directory ours.
pub(super) fn lock(directory: &Path) -> Result<Lock, StateError> {
    own(directory)
}

/// The database with all that its journal says, and the journal. Makes both if there are none.
pub(super) fn load(directory: &Path) -> Result<(Database, Journal), StateError> {
    let unwritable = |source| StateError::unwritable(directory, source);
    let broken = |error: redb::Error| StateError::of(directory, error);
    let path = directory.join(DATABASE);
    if !path.exists() {
        create(directory, &path)?;
    }
    let mut database = open_whole(directory, &path)?;
    let found = stand(&database).map_err(broken)?;
    let (checkpoint, sequence) = match found.format {
        Some(FORMAT | WITHOUT_FILES) => (found.checkpoint, found.sequence),
        None | Some(WITHOUT_KEYS | WITHOUT_JOURNAL) => {
            journal::create(directory, (1, 0)).map_err(unwritable)?;
            mark(&database, (1, 0)).map_err(broken)?;
            (1, 0)
        }
        Some(found) => return Err(StateError::Format { directory: directory.to_owned(), found }),
    };
    let mut transaction = database.begin_write().map_err(|error| broken(error.into()))?;
    transaction.set_durability(Durability::None).map_err(|error| broken(error.into()))?;
    let mut tables = Tables::open(&transaction, &Log::none());
    let again = |commit: &[u8]| {
        for change in logged::changes(commit) {
            let change = change.ok_or_else(|| redb::Error::Corrupted("a change in the journal is cut short".into()))?;
            tables.apply(&change)?;
        }
        Ok(())
    };
    let journal = Journal::open(directory, (checkpoint, sequence), again).map_err(|error| match error {
        Unreadable::Io(source) if source.kind() == io::ErrorKind::NotFound => StateError::Broken {
            directory: directory.to_owned(),
            reason: format!("{} is missing", journal::path(directory).display()),
        },
        Unreadable::Io(source) => unwritable(source),
        Unreadable::Damaged(reason) => StateError::Broken { directory: directory.to_owned(), reason },
        Unreadable::Database(error) => broken(error),
    })?;
    // Of an older format.
    tables.open_all().map_err(broken)?;
    drop(tables);
    transaction.commit().map_err(|error| broken(error.into()))?;
    compact_if_it_pays(&mut database, directory).map_err(broken)?;
    Ok((database, journal))
}

/// Makes the file smaller if it is large and hardly a quarter of it is in use: then there is little to move. Whether it did.
pub(super) fn compact_if_it_pays(database: &mut Database, directory: &Path) -> Result<bool, redb::Error> {
    let path = directory.join(DATABASE);
    let length = std::fs::metadata(&path)?.len();
    if length < COMPACT_FROM_BYTES {
        return Ok(false);
    }
    // Twice: what a commit frees is free for good after the next one.
    for _ in 0..2 {
        database.begin_write()?.commit()?;
    }
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    if stats.allocated_pages().saturating_mul(stats.page_size() as u64) > length / 4 {
        return Ok(false);
    }
    let begun = Instant::now();
    let compacted = database.compact()?;
    let (now, took) = (std::fs::metadata(&path)?.len(), begun.elapsed());
    tracing::debug!(file = %path.display(), from = length, to = now, ?took, "compacted");
    Ok(compacted)
}

/// The folder of large blobs, without what a crash left there.
pub(super) fn files(database: &Shared, directory: &Path) -> Result<Files, StateError> {
    let named = || -> Result<BTreeSet<String>, redb::Error> {
        let database = database.read().unwrap_or_else(PoisonError::into_inner);
        let mut named = BTreeSet::new();
        let Some(database) = &*database else { return Ok(named) };
        for entry in database.begin_read()?.open_table(FILES)?.iter()? {
            named.insert(entry?.0.value().to_owned());
        }
        Ok(named)
    };
    let named = named().map_err(|error| StateError::of(directory, error))?;
    Files::open(directory, &named).map_err(|source| StateError::unwritable(directory, source))
}

/// A database that is killed while it is made can't be opened: it gets its name once it can.
fn create(directory: &Path, path: &Path) -> Result<(), StateError> {
    let unwritable = |source| StateError::unwritable(directory, source);
    if journal::holds_changes(directory).map_err(unwritable)? {
        let (journal, path) = (journal::path(directory), path.display());
        let reason = format!("{path} is missing, though {} has changes for it", journal.display());
        return Err(StateError::Broken { directory: directory.to_owned(), reason });
    }
    let unfinished = directory.join("state.redb.new");
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).map_err(unwritable)?;
    }
    let database = builder().create(&unfinished).map_err(|error| StateError::of(directory, error.into()))?;
    mark(&database, (1, 0)).map_err(|error| StateError::of(directory, error))?;
    drop(database);
    journal::create(directory, (1, 0)).map_err(unwritable)?;
    std::fs::rename(&unfinished, path).and_then(|()| File::open(directory)?.sync_all()).map_err(unwritable)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    // Trees of a laptop's size fit; a default of 1 GiB would surprise.
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Opens a database and looks at every checksum in it: reading trusts them. One that was not closed in order is looked
/// through by redb itself.
fn open_whole(directory: &Path, path: &Path) -> Result<Database, StateError> {
    let damaged = |reason: String| StateError::Broken {
        directory: directory.to_owned(),
        reason: format!("{} is damaged: {reason}", path.display()),
    };
    let looked_through = Rc::new(Cell::new(false));
    let repaired = looked_through.clone();
    let mut builder = builder();
    builder.set_repair_callback(move |_| repaired.set(true));
    let opened = writer::caught(|| Ok(builder.open(path))).map_err(damaged)?;
    let mut database = opened.map_err(|error| match StateError::of(directory, error.into()) {
        StateError::Broken { reason, .. } => damaged(reason),
        other => other,
    })?;
    if !looked_through.get() {
        let clean =
            writer::caught(|| database.check_integrity().map_err(|error| error.to_string())).map_err(damaged)?;
        if !clean {
            tracing::warn!(file = %path.display(), "its list of free pages was wrong and has been made anew");
        }
    }
    Ok(database)
}

pub(super) fn in_memory() -> Result<Database, StateError> {
    let place = Path::new("(memory)");
    let database = Database::builder()
        .create_with_backend(InMemoryBackend::new())
        .map_err(|error| StateError::of(place, error.into()))?;
    mark(&database, (1, 0)).map_err(|error| StateError::of(place, error))?;
    Ok(database)
}

/// What a database says of itself.
struct Stand {
    format: Option<u64>,
    checkpoint: u64,
    sequence: u64,
}

fn stand(database: &Database) -> Result<Stand, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Stand { format: None, checkpoint: 0, sequence: 0 }),
        Err(error) => return Err(error.into()),
    };
    let number = |name: &str| Ok::<_, redb::Error>(meta.get(name)?.map(|number| number.value()));
    let (checkpoint, sequence) = (number("checkpoint")?.unwrap_or(0), number("sequence")?.unwrap_or(0));
    Ok(Stand { format: number("format")?, checkpoint, sequence })
}

/// Makes all that was committed durable, as this checkpoint, behind so many of the journal's commits.
pub(super) fn mark(database: &Database, (checkpoint, sequence): (u64, u64)) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Else damage to this commit would be taken for one that never was, and an older one come back.
    transaction.set_two_phase_commit(true);
    {
        let mut tables = Tables::open(&transaction, &Log::none());
        // Readers expect all of them.
        tables.open_all()?;
        tables.meta.insert("format", FORMAT)?;
        tables.meta.insert("checkpoint", checkpoint)?;
        tables.meta.insert("sequence", sequence)?;
        tables.finish()?;
    }
    transaction.commit()?;
    Ok(())
}

fn own(directory: &Path) -> Result<Lock, StateError> {
    let unwritable = |source| StateError::unwritable(directory, source);
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    let ignore = directory.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, "*\n").map_err(unwritable)?;
    }
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("lock"))
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(StateError::Owned { directory: directory.to_owned(), pid: pid.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(unwritable(source)),
    }
    let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    write.map_err(unwritable)?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_stands_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let owner = lock(directory.path()).unwrap();
        let (database, _) = load(directory.path()).unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join(".gitignore")).unwrap(), "*\n");
        let second = lock(directory.path()).err().expect("one owner").to_string();
        assert!(second.contains(&format!("pid {}", std::process::id())), "{second}");

        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", FORMAT + 1).unwrap();
        transaction.commit().unwrap();
        drop((database, owner));
        let newer = load(directory.path()).err().expect("a newer format").to_string();
        assert!(newer.contains(&format!("format {}", FORMAT + 1)), "{newer}");

        std::fs::write(directory.path().join(DATABASE), "no database at all").unwrap();
        let broken = load(directory.path()).err().expect("no database").to_string();
        assert!(broken.contains("start afresh") && broken.contains(DATABASE), "{broken}");

        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let unwritable = lock(&file.join("below")).err().expect("no directory").to_string();
        assert!(unwritable.contains("UPDRAFT_STATE_DIR"), "{unwritable}");
    }

    #[test]
    fn blobs_of_an_older_format_are_taken_over() {
        use crate::embedded::tables::{BLOBS, OBJECTS};
        use crate::engine::BucketEngine;
        for format in [WITHOUT_KEYS, WITHOUT_JOURNAL, WITHOUT_FILES] {
            let directory = tempfile::tempdir().unwrap();
            let (database, _) = load(directory.path()).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.delete_table(OBJECTS).unwrap();
            transaction.delete_table(FILES).unwrap();
            transaction.open_table(META).unwrap().insert("format", format).unwrap();
            transaction.open_table(BLOBS).unwrap().insert(("b", "k"), (Some("text/plain"), &b"blob"[..])).unwrap();
            transaction.commit().unwrap();
            drop(database);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for _ in 0..2 {
                let topology = crate::embedded::Topology::default();
                let clock = std::sync::Arc::new(crate::clock::SystemClock);
                let engine = crate::embedded::Embedded::open(directory.path(), topology, clock).unwrap();
                let blob = runtime.block_on(engine.get("b", "k")).unwrap().expect("what it kept");
                assert_eq!((&blob.body[..], blob.content_type.as_deref()), (&b"blob"[..], Some("text/plain")));
            }
        }
    }

    #[test]
    fn formats_before_the_journal_are_taken_over() {
        for format in [WITHOUT_KEYS, WITHOUT_JOURNAL] {
            let directory = tempfile::tempdir().unwrap();
            let database = Database::create(directory.path().join(DATABASE)).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(META).unwrap().insert("format", format).unwrap();
            transaction.open_table(META).unwrap().insert("counter", 17).unwrap();
            transaction.commit().unwrap();
            drop(database);
            for _ in 0..2 {
                let (database, _) = load(directory.path()).unwrap();
                assert_eq!(stand(&database).unwrap().format, Some(FORMAT));
                let transaction = database.begin_write().unwrap();
                assert_eq!(Tables::open(&transaction, &Log::none()).number().unwrap(), 18);
            }
        }
    }
}
