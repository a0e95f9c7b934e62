//! What a queue does if its engine declares it.

use super::handlers::{How, KEYED, KNOWN, KNOWN_TOO, Note, PLAIN, RETRIES, Task};
use super::{Suite, WINDOW, begun, is_done, message};
use crate::dispatch::backoff;
use crate::engine::Channel;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

/// How much later than it should a message may be due, where time passes by itself.
const LATE: SignedDuration = SignedDuration::from_secs(5);

impl Suite<'_> {
    pub(super) async fn pauses_grow_and_differ(&self) {
        let task = Task { fails: RETRIES, how: How::Error, takes: 0 };
        let ids = self.send(Channel::Queue("plain"), &vec![task; 12]).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        let mut first = BTreeSet::new();
        for id in &ids {
            let begun = begun(&notes, id);
            for (attempt, pair) in (1..).zip(begun.windows(2)) {
                let pause = SignedDuration::from_micros(pair[1].at - pair[0].at);
                let longest = SignedDuration::try_from(backoff(attempt, 1.0)).expect("a short pause");
                assert!(!pause.is_negative() && pause <= longest + LATE, "{pause} after attempt {attempt}");
                if attempt == 1 {
                    first.insert(pause);
                }
            }
        }
        assert!(first.len() > ids.len() / 2, "those that failed together come again at different times: {first:?}");
    }

    pub(super) async fn what_is_delayed_waits(&self) {
        let delay = Duration::from_secs(3);
        let (late, soon) = (message(&Task::default(), &[]), message(&Task::default(), &[]));
        let ids = [late.id.clone(), soon.id.clone()];
        let sent = self.rig.now();
        self.publish(Channel::Queue("plain"), vec![late], delay).await;
        self.publish(Channel::Queue("plain"), vec![soon], Duration::ZERO).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        let at = |id| begun(&notes, id).first().expect("delivered").at - sent.as_microsecond();
        let (late, soon) = (at(&ids[0]), at(&ids[1]));
        assert!(late >= 3_000_000, "after {late} µs");
        assert!(soon < late, "nothing else was held back: {soon} µs");
    }

    pub(super) async fn an_id_is_known_again(&self) {
        let called = |id: &str| message(&Task::default(), &[(DEDUP_ID, id)]);
        let (first, again, twice, other) = (called("a"), called("a"), called("a"), called("b"));
        let (elsewhere, later, plain) = (called("a"), called("a"), message(&Task::default(), &[]));
        let all = [&first, &again, &twice, &other, &elsewhere, &later, &plain].map(|message| message.id.clone());
        let known = Channel::Queue("known");
        self.publish(known, vec![first, again], Duration::ZERO).await;
        self.publish(known, vec![twice, other, plain], Duration::ZERO).await;
        self.publish(Channel::Queue("known-too"), vec![elsewhere], Duration::ZERO).await;
        let notes = self.settled(KNOWN.id, &all).await;
        let got = |notes: &[Note]| all.clone().map(|id| begun(notes, &id).len());
        assert_eq!(got(&notes), [1, 0, 0, 1, 0, 0, 1]);
        assert_eq!(got(&self.noted(KNOWN_TOO.id, &all).await), [0, 0, 0, 0, 1, 0, 0], "an id is its queue's");
        self.rig.pass(WINDOW + Duration::from_secs(1)).await;
        self.publish(known, vec![later], Duration::ZERO).await;
        let notes = self.settled(KNOWN.id, &all).await;
        assert_eq!(got(&notes), [1, 0, 0, 1, 0, 1, 1], "its time is over");
    }

    pub(super) async fn messages_of_a_key_keep_their_order(&self) {
        const KEYS: [&str; 4] = ["a", "b", "", "日本"];
        let mut sent: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut poison = Vec::new();
        for round in 0..8_u32 {
            let mut messages = Vec::new();
            for (at, key) in KEYS.into_iter().enumerate() {
                let (fails, how) = match (round + at as u32) % 4 {
                    1 => (1, How::Error),
                    2 if round == 3 => (u32::MAX, How::Permanent),
                    3 => (1, How::Panic),
                    _ => (0, How::Error),
                };
                let message = message(&Task { fails, how, takes: u64::from(round % 2) }, &[(PARTITION_KEY, key)]);
                poison.extend((how == How::Permanent).then(|| message.id.clone()));
                sent.entry(key).or_default().push(message.id.clone());
                messages.push(message);
            }
            self.publish(Channel::Queue("keyed"), messages, Duration::ZERO).await;
        }
        assert!(!poison.is_empty());
        let ids: Vec<_> = sent.values().flatten().cloned().collect();
        let notes = self.settled(KEYED.id, &ids).await;
        for (key, ids) in &sent {
            let own: Vec<_> = notes.iter().filter(|note| ids.contains(&note.message)).collect();
            let mut begun: Vec<_> = own.iter().map(|note| note.message.clone()).collect();
            begun.dedup();
            assert_eq!(&begun, ids, "the key {key:?}: one after the other, retries before the next");
            assert!(ids.iter().all(|id| poison.contains(id) || is_done(&notes, id)), "the key {key:?}");
        }
        let letters: Vec<_> = self.letters(&ids).await.into_iter().map(|letter| letter.id).collect();
        poison.sort();
        assert_eq!(letters, poison);
    }

    pub(super) async fn a_crash_loses_nothing(&self) {
        let mut ids = self.send(Channel::Queue("plain"), &vec![Task { takes: 200, ..Task::default() }; 20]).await;
        let started = std::time::Instant::now();
        while self.noted(PLAIN.id, &ids).await.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "nothing is delivered");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.rig.crash().await;
        ids.extend(self.send(Channel::Queue("plain"), &vec![Task::default(); 5]).await);
        let notes = self.settled(PLAIN.id, &ids).await;
        let lost: Vec<_> = ids.iter().filter(|id| !is_done(&notes, id)).collect();
        let letters = self.letters(&ids).await;
        assert!(lost.iter().all(|id| letters.iter().any(|letter| letter.id == **id)), "lost {lost:?}");
        assert!(lost.len() < ids.len() / 2, "a crash is no failure of all: {letters:?}");
    }
}
