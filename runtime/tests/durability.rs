//! What the embedded engine does when its disk is full or its files are damaged. (What it does when it is killed: `crash.rs`.)
//!
//! `UPDRAFT_LONG=1` tries more damage.

use bytes::Bytes;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft::clock::SystemClock;
use updraft::embedded::{Embedded, Topology, topology};
use updraft::engine::{Blob, BucketEngine, Channel, EngineError, Expect, ExpectBlob, Message, Messaging, StoreEngine};

const JOURNAL: &str = "state.journal";
const DATABASE: &str = "state.redb";
/// A frame's header, and the mark of an orderly end behind the last frame.
const END: usize = 40;

fn long() -> bool {
    std::env::var_os("UPDRAFT_LONG").is_some_and(|value| value == "1")
}

/// Opens the state. Another test's thread starts programs: until such a child runs its own, it holds what this process has
/// locked, although the engine is gone.
fn open(directory: &Path) -> Result<Embedded, String> {
    let own = format!("(pid {})", std::process::id());
    let started = Instant::now();
    loop {
        let opened = Embedded::open(directory, Topology::default(), Arc::new(SystemClock));
        match opened.map_err(|error| error.to_string()) {
            Err(refused) if refused.contains(&own) && started.elapsed() < Duration::from_secs(5) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

fn message(id: &str, bytes: usize) -> Message {
    Message {
        id: id.to_owned(),
        source: "//durability/test".into(),
        time: Timestamp::UNIX_EPOCH,
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: vec![b'x'; bytes].into(),
    }
}

async fn send(engine: &Embedded, id: &str, bytes: usize) -> Result<(), EngineError> {
    engine.publish(Channel::Queue("orders"), vec![message(id, bytes)], Duration::ZERO).await
}

fn waiting(engine: &Embedded) -> BTreeSet<String> {
    let waiting = engine.waiting(&topology::queue_lane("orders")).expect("readable");
    waiting.into_iter().map(|message| message.id).collect()
}

/// What a killed process would leave: nothing is being written, and all that was written is in the files.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for file in [JOURNAL, DATABASE] {
        std::fs::copy(from.join(file), to.path().join(file)).expect("copied");
    }
    to
}

/// Where the last frame ends: the file is longer.
fn length(directory: &Path) -> u64 {
    let bytes = std::fs::read(directory.join(JOURNAL)).expect("a journal");
    let mut at = 0;
    while bytes[at..].starts_with(b"UpJ1") {
        let changes = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        at += END + changes as usize;
    }
    at as u64
}

fn change(file: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("a file");
    how(&mut bytes);
    std::fs::write(file, bytes).expect("written");
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }
}

const SENT: usize = 20;

/// An engine that was sent [`SENT`] messages one after the other, and where each one's frame ends.
async fn sent_one_by_one(directory: &Path) -> (Embedded, Vec<u64>) {
    let engine = open(directory).expect("opened");
    let mut ends = vec![length(directory)];
    for number in 0..SENT {
        send(&engine, &format!("{number:03}"), 50 + 37 * number).await.expect("sent");
        ends.push(length(directory));
    }
    (engine, ends)
}

#[tokio::test]
async fn a_torn_tail_costs_nothing_that_was_acknowledged_before_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_engine, ends) = sent_one_by_one(directory.path()).await;
    let (begin, end) = (ends[SENT - 1], ends[SENT]);
    let all: BTreeSet<String> = (0..SENT).map(|number| format!("{number:03}")).collect();
    let mut cut = 0;
    for seed in 0..if long() { 500 } else { 60 } {
        let mut random = Random(seed);
        let copy = copy(directory.path());
        let at = (begin + random.below(end - begin)) as usize;
        let garbage: Vec<u8> = (0..1 + random.below(5_000)).map(|_| random.below(256) as u8).collect();
        change(&copy.path().join(JOURNAL), |bytes| match seed % 4 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at..].fill(0),
            _ => bytes.splice(end as usize + END.., garbage).for_each(drop),
        });
        let engine = open(copy.path()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = waiting(&engine);
        let lost: Vec<_> = all.difference(&found).collect();
        assert!(lost.is_empty() || (lost == [&all.iter().last().cloned().expect("one")]), "seed {seed} lost {lost:?}");
        assert!(seed % 4 != 3 || lost.is_empty(), "seed {seed}: what follows the end is no reason to lose {lost:?}");
        cut += lost.len();
        // It goes on from there, and what is then sent is kept.
        send(&engine, "after", 10).await.expect("sent");
        drop(engine);
        let again = waiting(&open(copy.path()).expect("opened again"));
        assert_eq!(again.len(), found.len() + 1, "seed {seed}");
    }
    assert!(cut > 0, "no damage was done");
}

#[tokio::test]
async fn damage_to_the_journal_before_its_tail_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_engine, ends) = sent_one_by_one(directory.path()).await;
    for seed in 0..if long() { 500 } else { 60 } {
        let mut random = Random(seed);
        let copy = copy(directory.path());
        let at = random.below(ends[SENT - 1]) as usize;
        change(&copy.path().join(JOURNAL), |bytes| match seed % 2 {
            0 => bytes[at] ^= 1 << random.below(8),
            _ => bytes[at..(at + 100).min(ends[SENT - 1] as usize)].fill(0xee),
        });
        let refused = open(copy.path()).err().unwrap_or_else(|| panic!("seed {seed}: byte {at} is damaged"));
        assert!(refused.contains(JOURNAL) && refused.contains("start afresh"), "seed {seed}: {refused}");
    }
    let lost = copy(directory.path());
    std::fs::remove_file(lost.path().join(JOURNAL)).expect("removed");
    let refused = open(lost.path()).err().expect("no journal");
    assert!(refused.contains(JOURNAL) && refused.contains("missing"), "{refused}");
    let lost = copy(directory.path());
    std::fs::remove_file(lost.path().join(DATABASE)).expect("removed");
    let refused = open(lost.path()).err().expect("no database");
    assert!(refused.contains(DATABASE) && refused.contains("missing"), "{refused}");
}

#[tokio::test]
async fn a_damaged_database_is_refused_by_name_or_harmlessly_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path()).expect("opened");
    for number in 0..50 {
        let batch = (0..10).map(|at| message(&format!("{number}-{at}"), 700)).collect();
        engine.publish(Channel::Queue("orders"), batch, Duration::ZERO).await.expect("sent");
        let key = format!("key-{number}");
        let value = Bytes::from(vec![number; 500]);
        StoreEngine::put(&engine, "kept", key.as_bytes(), value, Expect::Anything, None).await.expect("stored");
        let body = vec![number; 9_000].into();
        BucketEngine::put(&engine, "files", &key, body, None, ExpectBlob::Anything).await.expect("stored");
    }
    drop(engine);
    let whole = contents(&open(directory.path()).expect("opened")).await;
    let (mut refused, mut harmless) = (0, 0);
    for seed in 0..if long() { 1_000 } else { 80 } {
        let mut random = Random(seed);
        let copy = copy(directory.path());
        let file = copy.path().join(DATABASE);
        let length = std::fs::metadata(&file).expect("a file").len();
        // The first page has the roots in it: it gets its share.
        let at = random.below(if seed % 5 == 0 { 512 } else { length }) as usize;
        change(&file, |bytes| match seed % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            _ => {
                let until = (at + 4096).min(bytes.len());
                bytes[at..until].fill(random.below(256) as u8);
            }
        });
        match open(copy.path()) {
            Err(error) => {
                assert!(error.contains(DATABASE) && error.contains("start afresh"), "seed {seed}: {error}");
                refused += 1;
            }
            Ok(engine) => {
                assert!(
                    contents(&engine).await == whole,
                    "seed {seed}: byte {at} is damaged, and that was not noticed"
                );
                harmless += 1;
            }
        }
    }
    println!("{refused} damaged databases were refused, {harmless} were whole in all that is used");
    assert!(refused > 20, "{refused} refused, {harmless} harmless");
}

type Contents = (Vec<Message>, Vec<(Vec<u8>, updraft::engine::Entry)>, Vec<Option<Blob>>);

async fn contents(engine: &Embedded) -> Contents {
    let waiting = engine.waiting(&topology::queue_lane("orders")).expect("readable");
    let entries = StoreEngine::scan(engine, "kept", b"", None, 1_000).await.expect("readable").items;
    let mut blobs = Vec::new();
    for key in BucketEngine::list(engine, "files", "", None, 1_000).await.expect("readable").items {
        blobs.push(BucketEngine::get(engine, "files", &key).await.expect("readable"));
    }
    (waiting, entries, blobs)
}

/// A file system of its own, in memory; unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, said in plain sight, where it can't be mounted.
    fn mounted(megabytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Small(directory));
        }
        let _ = writeln!(std::io::stderr(), "SKIPPED a full disk: no tmpfs can be mounted here");
        None
    }
}

impl Small {
    fn resize(&self, megabytes: u64) {
        let size = format!("remount,size={megabytes}m");
        let resized = Command::new("mount").args(["-o", &size]).arg(self.0.path()).status();
        assert!(resized.is_ok_and(|status| status.success()), "it was mounted, and can't be resized");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// `megabytes` are too few for so many `bytes`: the journal fills the disk, or the database does at a checkpoint.
async fn fill_and_free(megabytes: u64, ballast: u64) {
    let Some(disk) = Small::mounted(megabytes) else { return };
    let state = disk.0.path().join("state");
    let ballast_file = disk.0.path().join("ballast");
    std::fs::write(&ballast_file, vec![0; (ballast << 20) as usize]).expect("room for it");
    let engine = open(&state).expect("opened");
    let mut sent = BTreeSet::new();
    let reason = loop {
        let id = format!("{:05}", sent.len());
        match send(&engine, &id, 200_000).await {
            Ok(()) => sent.insert(id),
            Err(EngineError::Unavailable(reason)) => break reason,
            Err(other) => panic!("{other}"),
        };
        assert!(sent.len() < 5_000, "the disk is never full");
    };
    assert!(reason.contains("No space left"), "{reason}");
    // It stays so, and says so, while there is no room; small things may still find some.
    for _ in 0..3 {
        assert!(matches!(send(&engine, "refused", 250_000).await, Err(EngineError::Unavailable(_))));
    }
    std::fs::remove_file(&ballast_file).expect("freed");
    let freed = Instant::now();
    while let Err(error) = send(&engine, "freed", 200_000).await {
        assert!(freed.elapsed() < Duration::from_secs(30), "there is room again, and still: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sent.insert("freed".to_owned());
    let found = waiting(&engine);
    assert!(sent.is_subset(&found), "lost: {:?}", sent.difference(&found).collect::<Vec<_>>());
    drop(engine);
    // What the journal holds has to find room in the database too, or the start is refused for that and nothing else.
    let again = open(&state).or_else(|refused| {
        assert!(refused.contains("No space left"), "{refused}");
        disk.resize(4 * megabytes);
        open(&state)
    });
    let found = waiting(&again.expect("opened again"));
    assert!(sent.is_subset(&found), "lost: {:?}", sent.difference(&found).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived_without_a_restart() {
    fill_and_free(24, 10).await;
}

#[tokio::test]
async fn a_disk_too_full_for_a_checkpoint_is_survived_too() {
    // The journal reaches its checkpoint, for which there is no room; then the journal itself fills the rest.
    fill_and_free(150, 60).await;
}

#[tokio::test]
async fn the_file_shrinks_once_a_backlog_is_worked_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = open(directory.path()).expect("opened");
    let size = || std::fs::metadata(directory.path().join(DATABASE)).expect("a database").len() >> 20;
    for number in 0..400 {
        send(&engine, &number.to_string(), 200_000).await.expect("sent");
    }
    drop(engine);
    let full = size();
    assert!(full >= 70, "{full} MiB are too few to show anything");
    let engine = open(directory.path()).expect("opened");
    let lane = topology::queue_lane("orders");
    loop {
        let leases = engine.lease(&lane, 50, Duration::from_secs(60)).await.expect("leased");
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            assert!(engine.ack(lease).await.expect("acknowledged"));
        }
    }
    send(&engine, "stays", 10).await.expect("sent");
    drop(engine);
    let begun = Instant::now();
    let engine = open(directory.path()).expect("opened");
    let (empty, took) = (size(), begun.elapsed());
    println!("{full} MiB full, {empty} MiB worked off; opened and compacted in {took:?}");
    assert!(empty < 8, "{empty} MiB are left of {full}");
    assert_eq!(waiting(&engine).len(), 1);
}
