//! `Queue<Name>`: each message goes to the queue's one consumer, at least once.

use super::{Capability, Resource, ResourceError, capability, check};
use crate::ctx::Scope;
use crate::engine::{BoxFuture, Channel, EngineError, Message};
use crate::schema::{Data, Forms};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;
use updraft_wire::defaults::MESSAGE_KEY_LIMIT_BYTES;
use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

/// Declared by `#[queue(message = …)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no queue",
    label = "needs a type declared by `#[queue(message = …)]`"
)]
pub trait QueueResource: Resource {
    /// What it carries.
    type Message: Data;

    /// The forms in which it may come.
    fn forms() -> &'static Forms<Self::Message>;

    /// What the message is ordered by, if the queue is: `#[queue(message = …, ordered = "customer")]`.
    #[doc(hidden)]
    fn key(_message: &Self::Message) -> serde_json::Result<Option<String>> {
        Ok(None)
    }
}

/// A field's value as an ordered queue compares it: a text as it is, anything else as its JSON.
///
/// # Errors
/// If the value has no JSON.
pub fn key_of<T: Serialize>(field: &T) -> serde_json::Result<Option<String>> {
    Ok(Some(match serde_json::to_value(field)? {
        Value::String(text) => text,
        other => other.to_string(),
    }))
}

/// Declared by `#[queue(message = …, delay)]`: not every engine can hold a message back, so the declaration says that it is
/// needed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold messages back",
    label = "sends later",
    note = "declare it so: `#[queue(message = …, delay)]`"
)]
pub trait Delayed: QueueResource {}

/// Declared by `#[queue(message = …, dedup = "10m")]`: not every engine can tell that a message was sent before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not know a message again",
    label = "sends under an id",
    note = "declare for how long it shall: `#[queue(message = …, dedup = \"10m\")]`"
)]
pub trait Deduplicated: QueueResource {}

/// The capability to send to a queue.
pub struct Queue<R>(Scope, PhantomData<fn() -> R>);
capability!([R: QueueResource] Queue<R>, "queue", "write");

impl<R: QueueResource> Queue<R> {
    /// Sends a message. After `Ok` it is durable, and the consumer gets it at least once.
    ///
    /// # Errors
    /// If the engine can't be reached, or body and metadata are over 256 KiB.
    pub async fn send(&self, message: &R::Message) -> Result<(), ResourceError> {
        self.send_all(std::slice::from_ref(message)).await
    }

    /// Sends a message that is delivered `delay` from now, or a little later.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub fn send_after<'a>(
        &'a self,
        message: &'a R::Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), ResourceError>>
    where
        R: Delayed,
    {
        Box::pin(self.publish(std::slice::from_ref(message), delay, "send_after", None))
    }

    /// Sends a message under an id of its own: an order's number, a request's idempotency key. Another one that was sent
    /// under this id within the time that the queue declares (`dedup = "10m"`, counted from that one) stands for it, and
    /// nothing is sent. After `Ok` one of them is durable, whichever it was.
    ///
    /// # Errors
    /// As [`Queue::send`]; and if the id is empty, or longer than 128 bytes.
    pub fn send_as<'a>(&'a self, id: &'a str, message: &'a R::Message) -> BoxFuture<'a, Result<(), ResourceError>>
    where
        R: Deduplicated,
    {
        Box::pin(self.publish(std::slice::from_ref(message), Duration::ZERO, "send_as", Some(id)))
    }

    /// Sends several messages. On an error some may have been sent.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub async fn send_all(&self, messages: &[R::Message]) -> Result<(), ResourceError> {
        self.publish(messages, Duration::ZERO, "send", None).await
    }

    /// Sends a message with the transaction's commit: if and only if that succeeds, the consumer gets the message at least
    /// once, under one id.
    ///
    /// # Errors
    /// If the database can't be reached, or body and metadata are over 256 KiB.
    #[cfg(feature = "postgres")]
    pub fn send_in<'a, D, A>(
        &'a self,
        transaction: &'a mut super::Transaction<D, A>,
        message: &'a R::Message,
    ) -> BoxFuture<'a, Result<(), ResourceError>>
    where
        D: super::DatabaseResource,
        A: super::DatabaseAccess + super::CanWrite,
    {
        Box::pin(async move {
            check::<Self>(&self.0, "write", "send_in").map_err(ResourceError::engine::<Self>("send_in"))?;
            let message = envelope::<Self, _>(
                &self.0,
                message,
                R::forms(),
                "send_in",
                Self::attributes(message, "send_in", None)?,
            )?;
            transaction.hold::<Self>(Channel::Queue(R::ID), &message, "send_in").await
        })
    }

    async fn publish(
        &self,
        messages: &[R::Message],
        delay: Duration,
        method: &'static str,
        id: Option<&str>,
    ) -> Result<(), ResourceError> {
        check::<Self>(&self.0, "write", method).map_err(ResourceError::engine::<Self>(method))?;
        let messages = messages
            .iter()
            .map(|one| envelope::<Self, _>(&self.0, one, R::forms(), method, Self::attributes(one, method, id)?))
            .collect::<Result<_, _>>()?;
        let sent = self.0.publish(Channel::Queue(R::ID), messages, delay).await;
        sent.map_err(ResourceError::engine::<Self>(method))
    }

    /// What travels beside the body: the key that an ordered queue orders by, the sender's own id.
    fn attributes(
        message: &R::Message,
        method: &'static str,
        id: Option<&str>,
    ) -> Result<BTreeMap<String, String>, ResourceError> {
        let key = R::key(message).map_err(ResourceError::json::<Self>(method))?;
        let both = [(PARTITION_KEY, key), (DEDUP_ID, id.map(str::to_owned))];
        let mut attributes = BTreeMap::new();
        for (name, text) in both.into_iter().filter_map(|(name, text)| Some((name, text?))) {
            check_key(name, &text).map_err(ResourceError::engine::<Self>(method))?;
            attributes.insert(name.to_owned(), text);
        }
        Ok(attributes)
    }
}

/// Refuses a key or an id that not every engine can carry.
fn check_key(name: &str, text: &str) -> Result<(), EngineError> {
    match text.len() {
        0 if name == DEDUP_ID => Err(EngineError::Misconfigured("an empty text can't be a message's id".into())),
        bytes if bytes > MESSAGE_KEY_LIMIT_BYTES => {
            Err(EngineError::TooLarge { bytes, limit: MESSAGE_KEY_LIMIT_BYTES })
        }
        _ => Ok(()),
    }
}

/// A message with its metadata, refused if it is larger than the smallest target takes.
pub(super) fn envelope<C: Capability, M: Data>(
    scope: &Scope,
    message: &M,
    forms: &Forms<M>,
    method: &'static str,
    attributes: BTreeMap<String, String>,
) -> Result<Message, ResourceError> {
    let body = message.to_json().map_err(ResourceError::json::<C>(method))?;
    let message = scope.envelope(body.into(), forms.schema(), attributes);
    message.check_size().map_err(ResourceError::engine::<C>(method))?;
    Ok(message)
}
