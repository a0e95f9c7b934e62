//! What is in the journal and what is synced, promise by promise.

use super::super::journal::{self, Journal};
use super::super::writer::job;
use super::*;
use redb::ReadableDatabase;

/// Commits a note of this name; whether that was answered.
fn note(keeper: &mut Keeper, name: &'static str, promise: Promise) -> bool {
    let (job, mut answer) = job(promise, move |tables| {
        tables.schedules.insert(name, 1)?;
        Ok(())
    });
    keeper.commit(&mut VecDeque::from([job]));
    answer.try_recv().is_ok_and(|answer| answer.is_ok())
}

/// What is known to be synced, once the syncer has done what it was asked for.
fn synced(keeper: &mut Keeper) -> u64 {
    drop(keeper.syncer.take());
    keeper.syncer = Some(Syncer::start(&keeper.journal).unwrap());
    keeper.journal.syncing().1.load(Ordering::Acquire)
}

/// The notes that are found in what `directory` holds, with the journal cut off at so many bytes.
fn found(directory: &Path, length: Option<u64>) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    for file in ["state.redb", "state.journal"] {
        std::fs::copy(directory.join(file), copy.path().join(file)).unwrap();
    }
    if let Some(length) = length {
        std::fs::File::options().write(true).open(journal::path(copy.path())).unwrap().set_len(length).unwrap();
    }
    let (database, _) = state::load(copy.path()).unwrap();
    let notes = database.begin_read().unwrap().open_table(super::super::tables::SCHEDULES).unwrap();
    redb::ReadableTable::iter(&notes).unwrap().map(|note| note.unwrap().0.value().to_owned()).collect()
}

#[test]
fn what_nobody_waits_for_is_written_at_once_and_synced_with_what_comes_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    let begin = keeper.journal.sequence();
    let length = keeper.journal.len();
    assert!(note(&mut keeper, "a", Promise::Written), "answered before any sync");
    assert!(note(&mut keeper, "b", Promise::Written));
    assert_eq!((synced(&mut keeper), keeper.journal.sequence()), (begin, begin + 2));
    assert_eq!(found(directory.path(), None), ["a", "b"], "the process may end as it likes");
    assert!(found(directory.path(), Some(length)).is_empty(), "a power cut undoes it");
    let between = keeper.journal.len();

    note(&mut keeper, "c", Promise::Durable);
    assert_eq!(synced(&mut keeper), begin + 3, "and what came before");
    assert_eq!(found(directory.path(), Some(keeper.journal.len())), ["a", "b", "c"]);
    assert_eq!(found(directory.path(), Some(between)), ["a", "b"], "in the order in which it was done");
}

#[test]
fn nothing_stays_unsynced_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    let begin = keeper.journal.sequence();
    note(&mut keeper, "a", Promise::Written);
    assert_eq!(synced(&mut keeper), begin);
    keeper.unsynced = Instant::now().checked_sub(LONGEST_UNSYNCED);
    note(&mut keeper, "b", Promise::Written);
    assert_eq!(synced(&mut keeper), begin + 2);
    assert!(keeper.unsynced.is_none());

    note(&mut keeper, "c", Promise::Written);
    keeper.quiet();
    assert_eq!(synced(&mut keeper), begin + 3, "nor when nobody asks for anything");
}

#[test]
fn an_orderly_end_leaves_nothing_to_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    note(&mut keeper, "a", Promise::Written);
    assert!(journal::holds_changes(directory.path()).unwrap());
    keeper.close();
    assert!(!journal::holds_changes(directory.path()).unwrap());
    assert_eq!(found(directory.path(), None), ["a"]);
}

#[test]
fn the_file_grows_ahead_of_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    journal::create(directory.path(), (1, 0)).unwrap();
    let mut journal = Journal::open(directory.path(), (1, 1), |_| Ok(())).unwrap();
    let file_length = || std::fs::metadata(journal::path(directory.path())).unwrap().len();
    assert!(file_length() < 1_000, "nothing is written yet");
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..1_000 {
        journal.append(vec![1; HEADER + 1_000]).unwrap();
        lengths.insert(file_length());
        assert!(journal.len() < file_length());
    }
    assert_eq!(lengths.len(), 4, "{lengths:?}");
    let mut again = 0;
    let counted = |_: &[u8]| {
        again += 1;
        Ok(())
    };
    Journal::open(directory.path(), (1, 1), counted).unwrap();
    assert_eq!(again, 1_000, "what lies behind the end is not read");
    assert_eq!(file_length(), journal.len(), "and is cut off at the start");
}

#[test]
fn a_checkpoint_that_failed_is_not_tried_with_each_commit() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    note(&mut keeper, "a", Promise::Durable);
    keeper.due_at = 0;
    // It can't be made durable while it is closed; getting over that opens it.
    let close = |keeper: &mut Keeper| drop(keeper.database.write().unwrap().take());
    close(&mut keeper);
    assert!(note(&mut keeper, "b", Promise::Written), "the journal goes on");
    assert_eq!(keeper.failures, 1);
    assert!(keeper.ready(), "nothing is to be done before a commit");
    // Time passes; this time it works.
    keeper.postponed = Some(Instant::now());
    keeper.pause = None;
    let checkpoint = keeper.journal.checkpoint();
    assert!(note(&mut keeper, "c", Promise::Written));
    assert_eq!((keeper.failures, keeper.postponed, keeper.journal.checkpoint()), (0, None, checkpoint + 1));
    assert_eq!(found(directory.path(), None), ["a", "b", "c"]);
}

/// More than is left in the journal when nobody asks for anything.
fn fill(keeper: &mut Keeper) {
    let (job, _) = job(Promise::Written, |tables| {
        tables.stores.insert(("s", &b"k"[..]), (1, i64::MAX, &vec![7; QUIET_CHECKPOINT_BYTES as usize][..]))?;
        Ok(())
    });
    keeper.commit(&mut VecDeque::from([job]));
    assert!(keeper.journal.len() > QUIET_CHECKPOINT_BYTES);
}

#[test]
fn a_checkpoint_that_is_due_is_made_when_nobody_asks_for_anything() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    note(&mut keeper, "a", Promise::Written);
    let (checkpoint, sequence) = (keeper.journal.checkpoint(), keeper.journal.sequence());
    keeper.due_at = 0;
    keeper.quiet();
    assert_eq!(keeper.journal.checkpoint(), checkpoint + 1);
    assert!(synced(&mut keeper) >= sequence);
}

#[test]
fn what_is_written_is_synced_although_the_database_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    note(&mut keeper, "a", Promise::Written);
    keeper.broken = Some("it broke".into());
    keeper.pause = Some(Instant::now() + LONGEST_PAUSE);
    keeper.quiet();
    assert_eq!(synced(&mut keeper), keeper.journal.sequence());
    assert!(keeper.broken.is_some());
    keeper.pause = None;
    keeper.quiet();
    assert_eq!(keeper.broken, None, "nobody has to ask first");
    assert_eq!(found(directory.path(), None), ["a"]);
}

#[test]
fn tidying_up_waits_as_long_as_a_checkpoint_is_put_off() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path()).unwrap();
    fill(&mut keeper);
    let checkpoint = keeper.journal.checkpoint();
    // It can't be made durable while it is closed.
    drop(keeper.database.write().unwrap().take());
    keeper.quiet();
    assert_eq!((keeper.failures, &keeper.broken), (1, &None), "it is put off, and open again");
    assert!(keeper.postponed.is_some());
    keeper.quiet();
    assert_eq!(keeper.journal.checkpoint(), checkpoint);
    keeper.postponed = Some(Instant::now());
    keeper.quiet();
    assert_eq!((keeper.failures, keeper.journal.checkpoint()), (0, checkpoint + 1));
}

#[test]
fn pauses_double_and_end() {
    let seconds = [0, 1, 2, 5, 6, 7, 40].map(|failures| postponement(failures).as_secs());
    assert_eq!(seconds, [1, 2, 4, 32, 64, 64, 64]);
}
