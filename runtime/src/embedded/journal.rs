//! The journal: what was changed since the database was last made durable. A commit appends one frame; `fdatasync` on this
//! one file makes it, and all before it, survive a power cut. Once the database itself has been made durable (a checkpoint),
//! the frames are of no more use and the file is written again from its beginning.
//!
//! A frame, all numbers little-endian: [`MAGIC`], length of the changes `u32`, checkpoint on which it builds `u64`, its
//! sequence number `u64`, the last sequence number that was known to be synced when it was written `u64`, CRC-32 of all that
//! and the changes, four zeros, the changes. Behind the last frame stands an empty header: the mark of an orderly end.
//!
//! The file is longer than what is in use: a sync is cheaper by half where the file need not grow (its new length would be
//! written too). What lies behind the mark is of no meaning.
//!
//! What is read back ends at the first frame that is not whole. If a frame follows that says the missing one had been synced,
//! the file is damaged, and is refused; else the missing one was never promised to survive, and is cut off.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: [u8; 4] = *b"UpJ1";
/// Before the changes.
pub(super) const HEADER: usize = 40;
/// Where the CRC stands.
const CRC: usize = 32;
/// How far behind the end a frame is looked for that should have followed. More than one frame is long, but for a large blob's.
const LOOK_AHEAD: u64 = 24 << 20;

/// The file grows by so much at a time.
const ROOM: u64 = 256 << 10;

/// The file, open for appending.
pub(super) struct Journal {
    file: Arc<File>,
    checkpoint: u64,
    sequence: u64,
    end: u64,
    /// How long the file is at least.
    room: u64,
    synced: Arc<AtomicU64>,
}

/// Why a journal can't be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    /// Damaged; how.
    Damaged(String),
    /// What it says can't be done again.
    Database(redb::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Unreadable::Io(error)
    }
}

impl From<redb::Error> for Unreadable {
    fn from(error: redb::Error) -> Self {
        Unreadable::Database(error)
    }
}

/// Where the journal lies.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("state.journal")
}

/// Whether there is a journal with changes in it.
pub(super) fn holds_changes(directory: &Path) -> io::Result<bool> {
    match File::open(path(directory)) {
        Ok(file) => {
            let mut frames = Frames::new(&file)?;
            while let Some(frame) = frames.next()? {
                if !frame.changes.is_empty() {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an empty one, on disk, for a database of this checkpoint with so many commits before it.
pub(super) fn create(directory: &Path, (checkpoint, sequence): (u64, u64)) -> io::Result<()> {
    let file = Arc::new(File::create(path(directory))?);
    let mut journal = Journal { file, checkpoint, sequence, end: 0, room: 0, synced: Arc::default() };
    journal.append(vec![0; HEADER])?;
    journal.file.sync_all()
}

impl Journal {
    /// Opens the journal of a database whose last durable commit is `checkpoint`, with `sequence` commits before it, and hands
    /// all that has to be done again to `again`, commit by commit.
    pub(super) fn open(
        directory: &Path,
        (checkpoint, mut sequence): (u64, u64),
        mut again: impl FnMut(&[u8]) -> Result<(), redb::Error>,
    ) -> Result<Self, Unreadable> {
        let file = File::options().read(true).write(true).open(path(directory))?;
        let mut frames = Frames::new(&file)?;
        let mut end = 0;
        let mut older = false;
        while let Some(frame) = frames.next()? {
            if frame.checkpoint > checkpoint {
                let (frame, database) = (frame.checkpoint, checkpoint);
                return Err(Unreadable::Damaged(format!(
                    "state.journal goes on from checkpoint {frame}, but state.redb is still at {database}: one of them is \
                     damaged, or comes from elsewhere"
                )));
            }
            if frame.checkpoint < checkpoint || frame.sequence != sequence + 1 {
                // What is left of before the last checkpoint.
                older = frame.checkpoint < checkpoint;
                break;
            }
            again(&frame.changes)?;
            (sequence, end) = (frame.sequence, frames.at);
        }
        let orderly = older || frames.orderly;
        if let Some(lost) = later_frame(&file, end, checkpoint, sequence)? {
            return Err(Unreadable::Damaged(format!(
                "state.journal is damaged at byte {end}: commit {} is missing or not whole, and a later one ({lost}) says \
                 that it had been on disk",
                sequence + 1
            )));
        }
        let mut length = file.metadata()?.len();
        if !orderly {
            let bytes = length.saturating_sub(end);
            tracing::warn!(
                file = %path(directory).display(), bytes, "the journal ends in the middle of a write: its last bytes, which \
                 no sender was told to be safe, are cut off",
            );
        }
        // Or what follows could be taken for more than it is once new frames stand before it.
        if !older && length > end {
            file.set_len(end)?;
            length = end;
        }
        file.sync_all()?;
        let synced = Arc::new(AtomicU64::new(sequence));
        Ok(Journal { file: Arc::new(file), checkpoint, sequence, end, room: length, synced })
    }

    /// Appends the changes that stand in `frame` behind room for a header; the frame's sequence number. On an error it is as
    /// if nothing had been done.
    pub(super) fn append(&mut self, mut frame: Vec<u8>) -> io::Result<u64> {
        let sequence = self.sequence + 1;
        let length = u32::try_from(frame.len() - HEADER).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        frame[..4].copy_from_slice(&MAGIC);
        frame[4..8].copy_from_slice(&length.to_le_bytes());
        frame[8..16].copy_from_slice(&self.checkpoint.to_le_bytes());
        frame[16..24].copy_from_slice(&sequence.to_le_bytes());
        frame[24..32].copy_from_slice(&self.synced.load(Ordering::Acquire).to_le_bytes());
        let crc = crc(&frame);
        frame[CRC..CRC + 4].copy_from_slice(&crc.to_le_bytes());
        let end = self.end + frame.len() as u64;
        frame.resize(frame.len() + HEADER, 0);
        (&*self.file).seek(SeekFrom::Start(self.end))?;
        (&*self.file).write_all(&frame)?;
        let written = self.end + frame.len() as u64;
        if written > self.room {
            self.room = if length > 0 { self.grown(written) } else { written };
        }
        (self.sequence, self.end) = (sequence, end);
        Ok(sequence)
    }

    /// Makes the file longer than what was `written`, if there is room for that; how long it is then.
    fn grown(&self, written: u64) -> u64 {
        let room = written.next_multiple_of(ROOM);
        match (&*self.file).write_all(&vec![0; (room - written) as usize]) {
            Ok(()) => room,
            Err(_) => {
                // Others need the rest of the disk more.
                let _ = self.file.set_len(written);
                written
            }
        }
    }

    /// Begins again behind a checkpoint: the database holds it all. `shrink` gives the space back.
    pub(super) fn restart(&mut self, checkpoint: u64, shrink: bool) -> io::Result<()> {
        (self.checkpoint, self.end) = (checkpoint, 0);
        self.synced.fetch_max(self.sequence, Ordering::AcqRel);
        if shrink {
            self.file.set_len(0)?;
            self.room = 0;
        }
        // So that a database which has gone back behind the checkpoint is noticed.
        self.append(vec![0; HEADER]).map(drop)
    }

    /// The last commit's sequence number.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The checkpoint on which it builds.
    pub(super) fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Bytes in use.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// The file, and the last sequence number that is known to be synced, for whoever syncs.
    pub(super) fn syncing(&self) -> (Arc<File>, Arc<AtomicU64>) {
        (self.file.clone(), self.synced.clone())
    }
}

/// A frame that is whole.
struct Frame {
    checkpoint: u64,
    sequence: u64,
    synced: u64,
    changes: Vec<u8>,
}

/// The frames of a file from its beginning.
struct Frames<'a> {
    file: BufReader<&'a File>,
    length: u64,
    /// Behind the last whole frame.
    at: u64,
    /// Whether the mark of an orderly end was met.
    orderly: bool,
}

impl<'a> Frames<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        file.rewind()?;
        Ok(Frames { file, length, at: 0, orderly: false })
    }

    /// The next one; `None` where there is none, or none that is whole.
    fn next(&mut self) -> io::Result<Option<Frame>> {
        let rest = self.length.saturating_sub(self.at);
        if rest < HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = vec![0; HEADER];
        self.file.read_exact(&mut bytes)?;
        if bytes.iter().all(|byte| *byte == 0) {
            self.orderly = true;
            return Ok(None);
        }
        let length = number(&bytes, 4, 4);
        if bytes[..4] != MAGIC || length > rest - HEADER as u64 {
            return Ok(None);
        }
        bytes.resize(HEADER + length as usize, 0);
        self.file.read_exact(&mut bytes[HEADER..])?;
        let frame = whole(&mut bytes);
        if frame.is_some() {
            self.at += HEADER as u64 + length;
        }
        Ok(frame)
    }
}

/// Looks behind `end` for a frame which says that the one after `sequence` had been synced: its sequence number.
fn later_frame(mut file: &File, end: u64, checkpoint: u64, sequence: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(end))?;
    let mut rest = Vec::new();
    file.take(LOOK_AHEAD).read_to_end(&mut rest)?;
    let mut at = 0;
    while let Some(next) = rest.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == MAGIC[0])) {
        at += next;
        if let Some(header) = rest.get(at..at + HEADER)
            && header[..4] == MAGIC
            && number(header, 8, 8) == checkpoint
            && number(header, 24, 8) > sequence
            && let Some(bytes) = rest.get(at..at + HEADER + number(header, 4, 4) as usize)
            && let Some(frame) = whole(&mut bytes.to_vec())
            && frame.sequence > sequence
            && frame.synced > sequence
        {
            return Ok(Some(frame.sequence));
        }
        at += 1;
    }
    Ok(None)
}

/// The frame of these bytes, if its checksum is right.
fn whole(bytes: &mut Vec<u8>) -> Option<Frame> {
    if number(bytes, CRC, 4) != u64::from(crc(bytes)) {
        return None;
    }
    let (checkpoint, sequence, synced) = (number(bytes, 8, 8), number(bytes, 16, 8), number(bytes, 24, 8));
    Some(Frame { checkpoint, sequence, synced, changes: bytes.split_off(HEADER) })
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let mut number = [0; 8];
    number[..length].copy_from_slice(&bytes[at..at + length]);
    u64::from_le_bytes(number)
}

fn crc(frame: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&frame[..CRC]);
    crc.update(&frame[CRC + 4..]);
    crc.finalize()
}
