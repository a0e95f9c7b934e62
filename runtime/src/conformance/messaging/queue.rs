//! What every queue does.

use super::handlers::{BATCH, BATCHED, HUNG, How, PLAIN, RETRIES, Task};
use super::{Suite, begun, is_done, message};
use crate::engine::{Channel, EngineError};
use crate::message::UNREADABLE;
use bytes::Bytes;
use std::time::Duration;
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;

const PLAIN_QUEUE: Channel = Channel::Queue("plain");

fn failing(fails: u32, how: How) -> Task {
    Task { fails, how, takes: 0 }
}

impl Suite<'_> {
    pub(super) async fn each_message_arrives_as_it_was_sent(&self) {
        let mut ids = self.send(PLAIN_QUEUE, &vec![Task::default(); 20]).await;
        for _ in 0..5 {
            ids.extend(self.send(PLAIN_QUEUE, &[Task::default()]).await);
        }
        self.publish(PLAIN_QUEUE, Vec::new(), Duration::ZERO).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        for id in &ids {
            assert!(is_done(&notes, id), "{id} was not delivered");
            let begun = begun(&notes, id);
            let attempts: Vec<_> = begun.iter().map(|note| note.attempt).collect();
            if self.declares.attempts {
                assert_eq!(attempts, [Some(1)], "{id}: once is enough");
            }
        }
        assert!(self.letters(&ids).await.is_empty());
    }

    pub(super) async fn a_failure_is_tried_again(&self) {
        let tasks = [How::Error, How::Panic].map(|how| failing(RETRIES, how));
        let ids = self.send(PLAIN_QUEUE, &tasks).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        for (id, task) in ids.iter().zip(&tasks) {
            assert!(is_done(&notes, id), "{task:?} is done in the end");
            let attempts: Vec<_> = begun(&notes, id).iter().map(|note| note.attempt).collect();
            let all: Vec<_> = (1..=RETRIES + 1).map(Some).collect();
            match self.declares.attempts {
                true => assert_eq!(attempts, all, "{task:?}"),
                false => assert!(attempts.len() > RETRIES as usize, "{task:?}: {attempts:?}"),
            }
        }
        assert!(self.letters(&ids).await.is_empty());
    }

    pub(super) async fn what_fails_for_good_is_kept_with_its_reason(&self) {
        let expected = [
            (How::Error, "error", "told to fail"),
            (How::Permanent, "permanent", "told to give up"),
            (How::Panic, "panic", "told to panic"),
            (How::Hang, "timeout", "took longer than 0.3s"),
        ];
        let place = |how| if how == How::Hang { (HUNG, "hung") } else { (PLAIN, "plain") };
        let messages = expected.map(|(how, _, _)| message(&failing(u32::MAX, how), &[]));
        let ids = messages.clone().map(|message| message.id);
        for (message, (how, ..)) in messages.iter().zip(expected) {
            self.publish(Channel::Queue(place(how).1), vec![message.clone()], Duration::ZERO).await;
        }
        self.rig.settle().await;
        let letters = self.letters(&ids).await;
        assert_eq!(letters.len(), ids.len(), "{letters:?}");
        for ((sent, (how, kind, reason)), letter) in messages.iter().zip(expected).zip(&letters) {
            assert_eq!((letter.id.as_str(), letter.kind.as_str()), (sent.id.as_str(), kind));
            assert!(letter.reason.contains(reason), "{how:?}: {}", letter.reason);
            let (handler, queue) = place(how);
            assert_eq!((letter.resource.as_str(), letter.handler.as_str()), (queue, handler.id));
            let kept = letter.message();
            assert_eq!((&kept.body, &kept.source, kept.time), (&sent.body, &sent.source, sent.time), "{how:?}");
            assert!(letter.first.parse::<jiff::Timestamp>().is_ok() && letter.last.parse::<jiff::Timestamp>().is_ok());
            let tried = if how == How::Permanent { 1 } else { RETRIES + 1 };
            if self.declares.attempts {
                let notes = self.noted(handler.id, &ids).await;
                assert_eq!((begun(&notes, &sent.id).len(), letter.attempts), (tried as usize, Some(tried)), "{how:?}");
            }
        }
    }

    pub(super) async fn what_can_not_be_read_is_kept(&self) {
        let bodies: [&[u8]; 6] = [
            b"{\"fails\": ",
            b"{}",
            b"\"text\"",
            b"",
            b"{\"fails\": \"many\", \"how\": \"Error\", \"takes\": 0}",
            b"\xff\0",
        ];
        let mut messages: Vec<_> = bodies.map(|_| message(&Task::default(), &[])).into();
        for (message, body) in messages.iter_mut().zip(bodies) {
            message.body = Bytes::from_static(body);
        }
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        self.publish(PLAIN_QUEUE, messages.clone(), Duration::ZERO).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        assert!(notes.is_empty(), "no handler saw them: {notes:?}");
        let letters = self.letters(&ids).await;
        assert_eq!(letters.len(), bodies.len(), "{letters:?}");
        for (letter, message) in letters.iter().zip(&messages) {
            assert_eq!((letter.kind.as_str(), &letter.body), ("permanent", &message.body));
            assert!(letter.reason.starts_with(UNREADABLE), "{}", letter.reason);
        }
    }

    pub(super) async fn what_is_too_large_is_refused(&self) {
        let mut large = message(&Task::default(), &[]);
        large.body = Bytes::from(vec![b' '; MESSAGE_LIMIT_BYTES]);
        let ids = [large.id.clone()];
        let sent = self.rig.messaging().publish(PLAIN_QUEUE, vec![large], Duration::ZERO).await;
        assert!(matches!(sent, Err(EngineError::TooLarge { .. })), "{sent:?}");
        let notes = self.settled(PLAIN.id, &ids).await;
        assert!(notes.is_empty() && self.letters(&ids).await.is_empty(), "it was not sent");
    }

    pub(super) async fn what_is_held_is_nobody_elses(&self) {
        let ids = self.send(PLAIN_QUEUE, &vec![Task { takes: 50, ..Task::default() }; 10]).await;
        let notes = self.settled(PLAIN.id, &ids).await;
        for id in &ids {
            let own: Vec<_> = notes.iter().filter(|note| note.message == *id).map(|note| note.end).collect();
            assert_eq!(own, [None, Some(true)], "{id} began again before its end");
        }
    }

    pub(super) async fn each_item_of_a_batch_has_its_own_outcome(&self) {
        let mut tasks = vec![Task::default(); 21];
        tasks.extend([
            failing(1, How::Error),
            failing(u32::MAX, How::Error),
            failing(u32::MAX, How::Permanent),
            failing(1, How::Panic),
            failing(1, How::Silence),
            failing(u32::MAX, How::Silence),
        ]);
        let mut messages: Vec<_> = tasks.iter().map(|task| message(task, &[])).collect();
        let mut unreadable = message(&Task::default(), &[]);
        unreadable.body = Bytes::from_static(b"[]");
        messages.insert(4, unreadable);
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        self.publish(Channel::Queue("batched"), messages, Duration::ZERO).await;
        let notes = self.settled(BATCHED.id, &ids).await;
        let most = self.declares.batch.min(BATCH as usize);
        assert!(notes.iter().all(|note| note.together <= most), "more than {most} at once");
        if self.declares.attempts {
            assert!(notes.iter().any(|note| note.together == most), "never {most} at once");
            let again = notes.iter().filter(|note| note.attempt != Some(1));
            assert!(again.into_iter().all(|note| note.together == 1), "what is tried again comes alone");
        }
        let letters = self.letters(&ids).await;
        let given_up = |id: &str| letters.iter().find(|letter| letter.id == id);
        for (at, id) in ids.iter().enumerate() {
            let expected = match at {
                4 => Some(("permanent", UNREADABLE)),
                23 => Some(("error", "told to fail")),
                24 => Some(("permanent", "told to give up")),
                27 => Some(("error", "without reporting it done")),
                _ => None,
            };
            let letter = given_up(id);
            match expected {
                None => assert!(is_done(&notes, id) && letter.is_none(), "message {at}: {letter:?}"),
                Some((kind, reason)) => {
                    let letter = letter.unwrap_or_else(|| panic!("message {at} is lost"));
                    assert_eq!((letter.kind.as_str(), letter.handler.as_str()), (kind, BATCHED.id), "message {at}");
                    assert!(letter.reason.contains(reason), "message {at}: {}", letter.reason);
                }
            }
        }
        if self.declares.attempts {
            for (at, id) in ids.iter().enumerate().take(9).filter(|(at, _)| *at != 4) {
                assert_eq!(begun(&notes, id).len(), 1, "message {at}, done, came again with a neighbour");
            }
        }
    }
}
