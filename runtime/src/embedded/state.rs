//! The state's directory: who owns it, which format it has, and what to say when it can't be used.

use super::lanes::release;
use super::tables::{FORMAT, Tables, WITHOUT_KEYS};
use jiff::Timestamp;
use redb::Database;
use redb::backends::InMemoryBackend;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

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
            redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
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

pub(super) fn open(directory: &Path, now: Timestamp) -> Result<(Database, Lock), StateError> {
    let lock = own(directory)?;
    let mut builder = Database::builder();
    // Trees of a laptop's size fit; a default of 1 GiB would surprise.
    builder.set_cache_size(64 << 20);
    let path = directory.join("state.redb");
    if path.exists() {
        let database = builder.open(&path).map_err(|error| StateError::of(directory, error.into()))?;
        prepare(&database, directory, now)?;
        return Ok((database, lock));
    }
    // A database that is killed while it is made can't be opened: it gets its name once it can.
    let unfinished = directory.join("state.redb.new");
    if unfinished.exists() {
        std::fs::remove_file(&unfinished).map_err(|source| StateError::unwritable(directory, source))?;
    }
    let database = builder.create(&unfinished).map_err(|error| StateError::of(directory, error.into()))?;
    prepare(&database, directory, now)?;
    let named = std::fs::rename(&unfinished, &path).and_then(|()| File::open(directory)?.sync_all());
    named.map_err(|source| StateError::unwritable(directory, source))?;
    Ok((database, lock))
}

pub(super) fn in_memory(now: Timestamp) -> Result<Database, StateError> {
    let place = Path::new("(memory)");
    let database = Database::builder()
        .create_with_backend(InMemoryBackend::new())
        .map_err(|error| StateError::of(place, error.into()))?;
    prepare(&database, place, now)?;
    Ok(database)
}

/// Refuses another format, and makes due what the last owner held when it ended.
fn prepare(database: &Database, directory: &Path, now: Timestamp) -> Result<(), StateError> {
    let work = || -> Result<Option<u64>, redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut tables = Tables::open(&transaction)?;
            match tables.format()? {
                Some(FORMAT) => {}
                None | Some(WITHOUT_KEYS) => tables.set_format()?,
                Some(other) => return Ok(Some(other)),
            }
            let released = release(&mut tables, i64::MAX, now.as_microsecond())?;
            if released > 0 {
                tracing::debug!(released, "messages that were in hand when the process ended are due again");
            }
            tables.finish()?;
        }
        transaction.commit()?;
        Ok(None)
    };
    match work() {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(StateError::Format { directory: directory.to_owned(), found }),
        Err(error) => Err(StateError::of(directory, error)),
    }
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
    use crate::embedded::tables::META;

    #[test]
    fn says_what_stands_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let (database, lock) = open(directory.path(), now).unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join(".gitignore")).unwrap(), "*\n");
        let second = open(directory.path(), now).err().expect("one owner").to_string();
        assert!(second.contains(&format!("pid {}", std::process::id())), "{second}");

        let mark = |database: Database, lock: Lock, format: u64| {
            let transaction = database.begin_write().unwrap();
            transaction.open_table(META).unwrap().insert("format", format).unwrap();
            transaction.commit().unwrap();
            drop((database, lock));
        };
        mark(database, lock, WITHOUT_KEYS);
        let (database, lock) = open(directory.path(), now).expect("an older format is read");
        mark(database, lock, FORMAT + 1);
        let newer = open(directory.path(), now).err().expect("a newer format").to_string();
        assert!(newer.contains(&format!("format {}", FORMAT + 1)), "{newer}");

        std::fs::write(directory.path().join("state.redb"), "no database at all").unwrap();
        let broken = open(directory.path(), now).err().expect("no database").to_string();
        assert!(broken.contains("start afresh"), "{broken}");

        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let unwritable = open(&file.join("below"), now).err().expect("no directory").to_string();
        assert!(unwritable.contains("UPDRAFT_STATE_DIR"), "{unwritable}");
    }
}
