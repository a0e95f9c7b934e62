//! Queues and topics over a broker: publishing to its ingress as CloudEvents in binary mode. 202 says that it took the
//! event.

use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::server::client::Client;
use crate::server::cloudevent;
use crate::server::events::post_letter;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{StatusCode, Uri};
use std::time::Duration;
use updraft_wire::ids::{queue_event_type, topic_event_type};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before further attempts.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];
/// How many messages of one call are under way at once.
const AT_ONCE: usize = 16;

/// The broker.
pub(crate) struct Broker {
    client: Client,
    app: String,
    ingress: Uri,
    /// Where dead letters are kept.
    dead_letters: Option<Uri>,
}

impl Broker {
    /// The broker of `app` whose ingress is at `ingress`.
    pub(crate) fn new(client: Client, app: impl Into<String>, ingress: Uri) -> Self {
        Broker { client, app: app.into(), ingress, dead_letters: None }
    }

    /// The same, and what it can't send goes there.
    pub(crate) fn dead_letters(self, unit: Option<Uri>) -> Self {
        Broker { dead_letters: unit, ..self }
    }

    /// Sends one event, several times if need be: the id stays, so that a receiver can tell.
    ///
    /// # Errors
    /// What the last attempt said.
    pub(crate) async fn send(&self, event_type: &str, message: &Message) -> EngineResult<()> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let headers = cloudevent::headers(event_type, message);
            let error = match self.client.post(&self.ingress, headers, message.body.clone(), TIMEOUT).await {
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((status, text)) => refusal(status, &text, message),
                Err(reason) => EngineError::Unavailable(format!("the broker: {reason}")),
            };
            match (&error, pauses.next()) {
                (EngineError::Unavailable(_), Some(pause)) => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }
}

fn refusal(status: StatusCode, text: &str, message: &Message) -> EngineError {
    let text: String = text.chars().take(200).collect();
    let reason = format!("the broker answered {status}: {text}");
    match status.as_u16() {
        401 | 403 => EngineError::Refused(reason),
        413 => EngineError::TooLarge { bytes: message.body.len(), limit: updraft_wire::defaults::MESSAGE_LIMIT_BYTES },
        // No such broker yet, or the ingress is not ready: that passes.
        404 | 408 | 409 | 425 | 429 | 500.. => EngineError::Unavailable(reason),
        _ => EngineError::Other(reason.into()),
    }
}

impl Messaging for Broker {
    fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            if !delay.is_zero() {
                let reason = format!("the broker can't hold messages of `{}` back", channel.id());
                return Err(EngineError::Misconfigured(reason));
            }
            for message in &messages {
                message.check_size()?;
                if message.key().is_some() || message.dedup_id().is_some() {
                    let reason = format!("the broker knows no order and no ids of `{}`", channel.id());
                    return Err(EngineError::Misconfigured(reason));
                }
            }
            let event_type = match channel {
                Channel::Queue(id) => queue_event_type(&self.app, id),
                Channel::Topic(id) => topic_event_type(&self.app, id),
            };
            let event_type = &event_type;
            let sending = stream::iter(messages).map(|message| async move { self.send(event_type, &message).await });
            sending.buffer_unordered(AT_ONCE).try_collect::<()>().await
        })
    }

    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        Box::pin(async move {
            let nowhere = || EngineError::Misconfigured("the binding names no `dead_letter_url`".to_owned());
            let url = self.dead_letters.as_ref().ok_or_else(nowhere)?;
            // The unit that keeps it tells of it.
            post_letter(&self.client, url, &letter).await.map(|()| false).map_err(EngineError::Unavailable)
        })
    }
}

/// Stands in where no unit has a broker: nothing is ever sent there, or the binding is wrong.
pub(crate) struct NoBroker;

impl Messaging for NoBroker {
    fn publish(&self, channel: Channel, _: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        let reason = format!("the binding names no `broker_url`, so `{}` goes nowhere", channel.id());
        Box::pin(async { Err(EngineError::Misconfigured(reason)) })
    }
}
