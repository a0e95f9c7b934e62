//! `Queue<Name>`: each message goes to the queue's one consumer, at least once.

use super::{Capability, Resource, ResourceError, capability, check};
use crate::ctx::Scope;
use crate::engine::{BoxFuture, Channel, EngineError, Message};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;

/// Declared by `#[queue(message = …)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no queue",
    label = "needs a type declared by `#[queue(message = …)]`"
)]
pub trait QueueResource: Resource {
    /// What it carries.
    type Message: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// Declared by `#[queue(message = …, delay)]`: not every engine can hold a message back, so the declaration says that it is
/// needed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not hold messages back",
    label = "sends later",
    note = "declare it so: `#[queue(message = …, delay)]`"
)]
pub trait Delayed: QueueResource {}

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
        Box::pin(self.publish(std::slice::from_ref(message), delay, "send_after"))
    }

    /// Sends several messages. On an error some may have been sent.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub async fn send_all(&self, messages: &[R::Message]) -> Result<(), ResourceError> {
        self.publish(messages, Duration::ZERO, "send").await
    }

    async fn publish(
        &self,
        messages: &[R::Message],
        delay: Duration,
        method: &'static str,
    ) -> Result<(), ResourceError> {
        check::<Self>(&self.0, "write", method).map_err(ResourceError::engine::<Self>(method))?;
        let messages = messages
            .iter()
            .map(|message| envelope::<Self, _>(&self.0, message, method, BTreeMap::new()))
            .collect::<Result<_, _>>()?;
        let sent = self.0.publish(Channel::Queue(R::ID), messages, delay).await;
        sent.map_err(ResourceError::engine::<Self>(method))
    }
}

/// A message with its metadata, refused if it is larger than the smallest target takes.
pub(super) fn envelope<C: Capability, M: Serialize>(
    scope: &Scope,
    message: &M,
    method: &'static str,
    attributes: BTreeMap<String, String>,
) -> Result<Message, ResourceError> {
    let body = serde_json::to_vec(message).map_err(ResourceError::json::<C>(method))?;
    let metadata: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = body.len() + metadata + 512; // ids, time, schema and trace have bounded lengths
    if bytes > MESSAGE_LIMIT_BYTES {
        let too_large = EngineError::TooLarge { bytes, limit: MESSAGE_LIMIT_BYTES };
        return Err(ResourceError::engine::<C>(method)(too_large));
    }
    Ok(scope.envelope(body.into(), attributes))
}
