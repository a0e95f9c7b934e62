//! `Topic<Name>`: each message goes to every subscriber, at least once.

use super::queue::envelope;
use super::{Resource, ResourceError, capability, check};
use crate::ctx::Scope;
use crate::engine::Channel;
use crate::schema::{Data, Forms};
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

/// Declared by `#[topic(message = …)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no topic",
    label = "needs a type declared by `#[topic(message = …)]`"
)]
pub trait TopicResource: Resource {
    /// What it carries.
    type Message: Data;
    /// The forms in which it may come.
    fn forms() -> &'static Forms<Self::Message>;
    /// Fields of the message that travel as attributes, for subscribers to filter on.
    const ATTRIBUTES: &'static [&'static str];
}

/// The capability to publish to a topic.
pub struct Topic<R>(Scope, PhantomData<fn() -> R>);
capability!([R: TopicResource] Topic<R>, "topic", "write");

impl<R: TopicResource> Topic<R> {
    /// Publishes a message. After `Ok` it is durable, and every subscriber gets it at least once.
    ///
    /// # Errors
    /// If the engine can't be reached, or body and metadata are over 256 KiB.
    pub async fn publish(&self, message: &R::Message) -> Result<(), ResourceError> {
        check::<Self>(&self.0, "write", "publish").map_err(ResourceError::engine::<Self>("publish"))?;
        let attributes = attributes::<R>(message).map_err(ResourceError::json::<Self>("publish"))?;
        let message = envelope::<Self, _>(&self.0, message, R::forms(), "publish", attributes)?;
        let sent = self.0.publish(Channel::Topic(R::ID), vec![message], Duration::ZERO).await;
        sent.map_err(ResourceError::engine::<Self>("publish"))
    }

    /// Publishes a message with the transaction's commit: if and only if that succeeds, every subscriber gets the message
    /// at least once, under one id.
    ///
    /// # Errors
    /// If the database can't be reached, or body and metadata are over 256 KiB.
    #[cfg(feature = "postgres")]
    pub fn publish_in<'a, D, A>(
        &'a self,
        transaction: &'a mut super::Transaction<D, A>,
        message: &'a R::Message,
    ) -> crate::engine::BoxFuture<'a, Result<(), ResourceError>>
    where
        D: super::DatabaseResource,
        A: super::DatabaseAccess + super::CanWrite,
    {
        Box::pin(async move {
            check::<Self>(&self.0, "write", "publish_in").map_err(ResourceError::engine::<Self>("publish_in"))?;
            let attributes = attributes::<R>(message).map_err(ResourceError::json::<Self>("publish_in"))?;
            let message = envelope::<Self, _>(&self.0, message, R::forms(), "publish_in", attributes)?;
            transaction.hold::<Self>(Channel::Topic(R::ID), &message, "publish_in").await
        })
    }
}

/// The declared attributes, taken from the message's own fields; one that is absent or no scalar is left out.
fn attributes<R: TopicResource>(message: &R::Message) -> Result<BTreeMap<String, String>, serde_json::Error> {
    if R::ATTRIBUTES.is_empty() {
        return Ok(BTreeMap::new());
    }
    let value = message.to_value()?;
    let text = |name: &&'static str| {
        let text = match value.get(name)? {
            Value::String(text) => text.clone(),
            scalar @ (Value::Bool(_) | Value::Number(_)) => scalar.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(((*name).to_owned(), text))
    };
    Ok(R::ATTRIBUTES.iter().filter_map(text).collect())
}
