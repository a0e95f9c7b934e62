//! What every engine of queues and topics must do: for the guarantees that it declares, on a [`Rig`] that is made for it.
//!
//! A rig publishes through the engine's own `Messaging`, and has its own consumer loop work the handlers of [`handlers`],
//! wherever that runs. What they did is read from the store that they note it in.

pub mod handlers;
mod optional;
mod queue;
mod topic;

use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, Message, Messaging};
use bytes::Bytes;
use handlers::{Note, Task};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long `known` and `known-too` know an id again, where the engine can.
pub const WINDOW: Duration = Duration::from_secs(60);

/// What an engine promises beyond the least: at least once, retries, dead letters, and a copy for each subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Declares {
    /// It counts attempts, and tries a message no oftener than it must while nothing is lost.
    pub attempts: bool,
    /// A message that a handler holds is nobody else's.
    pub exclusive: bool,
    /// The pauses between attempts are ours: exponential with full jitter, by the application's clock.
    pub backoff: bool,
    /// `send_after`.
    pub delay: bool,
    /// One at a time, in order, of each key.
    pub ordered: bool,
    /// An id is known again.
    pub dedup: bool,
    /// The most messages that it hands out together.
    pub batch: usize,
    /// A dead letter can be put before its handler again.
    pub redrive: bool,
    /// Consumers can be ended in the middle of their work.
    pub crash: bool,
}

/// An engine with consumers, as the suite meets it.
pub trait Rig: Send + Sync {
    /// What it shall be held to.
    fn declares(&self) -> Declares;
    /// Where messages are sent.
    fn messaging(&self) -> Arc<dyn Messaging>;
    /// The application's time.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;
    /// Returns once every message is done or given up, letting time pass as it must.
    fn settle(&self) -> BoxFuture<'_, ()>;
    /// What the handlers noted: [`handlers::notes`].
    fn notes(&self) -> BoxFuture<'_, Vec<Note>>;
    /// All dead letters.
    fn letters(&self) -> BoxFuture<'_, Vec<DeadLetter>>;
    /// Puts a dead letter before its handler again.
    fn redrive<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, ()>;
    /// Ends the consumers in the middle of what they do, without a warning. Others start in their place.
    fn crash(&self) -> BoxFuture<'_, ()>;
}

/// All promises of queues and topics, on an engine without messages.
///
/// # Panics
/// At the first that is not kept.
pub async fn messaging(rig: &dyn Rig) {
    let suite = Suite { rig, declares: rig.declares() };
    suite.each_message_arrives_as_it_was_sent().await;
    suite.a_failure_is_tried_again().await;
    suite.what_fails_for_good_is_kept_with_its_reason().await;
    suite.what_can_not_be_read_is_kept().await;
    suite.what_is_too_large_is_refused().await;
    suite.each_item_of_a_batch_has_its_own_outcome().await;
    suite.each_subscriber_has_its_own_copy().await;
    suite.subscribers_filter().await;
    if suite.declares.exclusive {
        suite.what_is_held_is_nobody_elses().await;
    }
    if suite.declares.redrive {
        suite.redriving_reaches_the_one_that_gave_up().await;
    }
    if suite.declares.backoff {
        suite.pauses_grow_and_differ().await;
    }
    if suite.declares.delay {
        suite.what_is_delayed_waits().await;
    }
    if suite.declares.dedup {
        suite.an_id_is_known_again().await;
    }
    if suite.declares.ordered {
        suite.messages_of_a_key_keep_their_order().await;
    }
    if suite.declares.crash {
        suite.a_crash_loses_nothing().await;
    }
}

struct Suite<'a> {
    rig: &'a dyn Rig,
    declares: Declares,
}

/// A message of this task.
pub(crate) fn message(task: &Task, attributes: &[(&str, &str)]) -> Message {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Message {
        id: uuid::Uuid::now_v7().to_string(),
        source: "//conformance/suite".to_owned(),
        time: Timestamp::now(),
        schema: None,
        trace: None,
        attributes: attributes.collect::<BTreeMap<_, _>>(),
        body: Bytes::from(serde_json::to_vec(task).expect("JSON")),
    }
}

impl Suite<'_> {
    /// Sends a task each, in one call; their messages' ids.
    async fn send(&self, channel: Channel, tasks: &[Task]) -> Vec<String> {
        let messages: Vec<_> = tasks.iter().map(|task| message(task, &[])).collect();
        let ids = messages.iter().map(|message| message.id.clone()).collect();
        self.publish(channel, messages, Duration::ZERO).await;
        ids
    }

    async fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) {
        self.rig.messaging().publish(channel, messages, delay).await.expect("published");
    }

    /// Settles, and gives the notes that were made of these messages by `handler`.
    async fn settled(&self, handler: &str, ids: &[String]) -> Vec<Note> {
        self.rig.settle().await;
        self.noted(handler, ids).await
    }

    async fn noted(&self, handler: &str, ids: &[String]) -> Vec<Note> {
        let mut notes = self.rig.notes().await;
        notes.retain(|note| note.handler == handler && ids.contains(&note.message));
        notes
    }

    /// The dead letters of these messages, sorted by id.
    async fn letters(&self, ids: &[String]) -> Vec<DeadLetter> {
        let mut letters = self.rig.letters().await;
        letters.retain(|letter| ids.contains(&letter.id));
        letters.sort_by(|a, b| (&a.id, &a.handler).cmp(&(&b.id, &b.handler)));
        letters
    }
}

/// The attempts that began, of one message.
fn begun<'a>(notes: &'a [Note], id: &str) -> Vec<&'a Note> {
    notes.iter().filter(|note| note.message == id && note.end.is_none()).collect()
}

/// Whether an attempt at a message ended well.
fn is_done(notes: &[Note], id: &str) -> bool {
    notes.iter().any(|note| note.message == id && note.end == Some(true))
}
