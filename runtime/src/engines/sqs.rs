//! Queues of SQS, as senders see them.

use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::engines::aws::messages::{Outgoing, Refused, is_fifo, send_all};
use crate::engines::aws::{Account, Repeat, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use updraft_wire::aws::{GivenUp, REASON};

/// The longest that SQS holds a message back.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// The JSON that it speaks.
const JSON: &str = "application/x-amz-json-1.0";

/// Queues.
pub struct SqsQueues {
    service: Service,
    queues: BTreeMap<String, String>,
    dead_letters: BTreeMap<String, String>,
}

impl SqsQueues {
    /// Without queues; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(SqsQueues { service: account.service("sqs")?, queues: BTreeMap::new(), dead_letters: BTreeMap::new() })
    }

    /// With the queue `id` at this URL.
    #[must_use]
    pub fn queue(mut self, id: &str, url: &str) -> Self {
        self.queues.insert(id.to_owned(), url.to_owned());
        self
    }

    /// With the queue at this URL, in which what `handler` gives up is kept.
    #[must_use]
    pub fn dead_letters(mut self, handler: &str, url: &str) -> Self {
        self.dead_letters.insert(handler.to_owned(), url.to_owned());
        self
    }

    /// Puts a message that was taken from a queue into the one at `url`.
    ///
    /// # Errors
    /// If it is not there.
    #[cfg(feature = "lambda")]
    pub(crate) async fn put(&self, url: &str, message: Message, delay: Duration) -> EngineResult<()> {
        let what = format!("the queue at {url}");
        self.send(url, &what, vec![again(url, message, &what)?], delay).await
    }

    /// Has a message that was received be seen again after `pause`.
    ///
    /// # Errors
    /// If it may be seen at another time.
    #[cfg(feature = "lambda")]
    pub(crate) async fn hide(&self, url: &str, receipt: &str, pause: Duration) -> EngineResult<()> {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let content = json!({ "QueueUrl": url, "ReceiptHandle": receipt, "VisibilityTimeout": seconds });
        let answer = self.service.json("AmazonSQS.ChangeMessageVisibility", JSON, &content, Repeat::Always).await?;
        answer.map(|_| ()).map_err(|failure| failure.explained(&format!("the queue at {url}")))
    }

    async fn send(&self, url: &str, what: &str, messages: Vec<Outgoing>, delay: Duration) -> EngineResult<()> {
        let fifo = is_fifo(url);
        if delay > LONGEST_DELAY || fifo && !delay.is_zero() {
            let longest = if fifo { "no message" } else { "none for more than 15 minutes" };
            return Err(EngineError::Misconfigured(format!("{what} holds {longest} back")));
        }
        // At least so long.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        send_all(messages, what, |batch| async move {
            let entries = batch.iter().enumerate().map(|(at, message)| entry(at, message, seconds));
            let content = json!({ "QueueUrl": url, "Entries": entries.collect::<Vec<_>>() });
            // Twice is what "at least once" allows, and a FIFO queue knows the second by its id.
            let answer = self.service.json("AmazonSQS.SendMessageBatch", JSON, &content, Repeat::Always).await?;
            Ok(refused(&answer.map_err(|failure| failure.explained(what))?))
        })
        .await
    }
}

/// A message that was taken from a queue, on its way into another or the same.
fn again(url: &str, mut message: Message, what: &str) -> EngineResult<Outgoing> {
    let fifo = is_fifo(url);
    if !fifo {
        // Its order and the ids of its queue are over.
        message.attributes.remove(updraft_wire::envelope::PARTITION_KEY);
        message.attributes.remove(updraft_wire::envelope::DEDUP_ID);
    }
    Ok(Outgoing::of(&message, fifo, what)?.under_own_id(&message))
}

fn entry(at: usize, message: &Outgoing, delay: u64) -> Value {
    let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
    let attributes: Map<_, _> = message.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let mut entry = json!({ "Id": at.to_string(), "MessageBody": message.body, "MessageAttributes": attributes });
    if delay > 0 {
        entry["DelaySeconds"] = delay.into();
    }
    if let Some(fifo) = &message.fifo {
        entry["MessageGroupId"] = fifo.group.clone().into();
        entry["MessageDeduplicationId"] = fifo.id.clone().into();
    }
    entry
}

fn refused(answer: &Value) -> Vec<Refused> {
    let failed = answer["Failed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let refused = failed.iter().filter_map(|failed| {
        let text = |name: &str| failed[name].as_str().unwrap_or_default();
        Some(Refused {
            at: text("Id").parse().ok()?,
            for_good: failed["SenderFault"].as_bool().unwrap_or_default(),
            reason: format!("{}: {}", text("Code"), text("Message")),
        })
    });
    refused.collect()
}

impl Messaging for SqsQueues {
    fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            let unknown = || EngineError::Misconfigured(format!("no queue of SQS is known for {channel:?}"));
            let Channel::Queue(id) = channel else { return Err(unknown()) };
            let url = self.queues.get(id).ok_or_else(unknown)?;
            let (fifo, what) = (is_fifo(url), format!("the queue `{id}`"));
            let messages = messages.iter().map(|message| Outgoing::of(message, fifo, &what));
            let messages = messages.collect::<EngineResult<Vec<_>>>()?;
            self.send(url, &what, messages, delay).await
        })
    }

    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        Box::pin(async move {
            let handler = &letter.handler;
            let unknown = || EngineError::Misconfigured(format!("no queue is known for what `{handler}` gives up"));
            let url = self.dead_letters.get(handler).ok_or_else(unknown)?;
            let mut message = letter.message();
            let given_up = GivenUp {
                reason: letter.reason.clone(),
                kind: letter.kind.clone(),
                attempts: letter.attempts,
                first: letter.first.clone(),
                last: letter.last.clone(),
            };
            let given_up = serde_json::to_string(&given_up).map_err(|error| EngineError::Other(error.into()))?;
            message.attributes.insert(REASON.to_owned(), given_up);
            let what = format!("the dead letters of `{handler}`");
            self.send(url, &what, vec![again(url, message, &what)?], Duration::ZERO).await?;
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jiff::Timestamp;
    use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

    #[test]
    fn what_is_put_back_passes_for_nothing_else() {
        let own =
            [(PARTITION_KEY, "ann"), (DEDUP_ID, "order-1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let message = Message {
            id: "m".to_owned(),
            source: String::new(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: own.into(),
            body: Bytes::from_static(b"{}"),
        };
        let fifo = again("https://sqs/1/orders.fifo", message.clone(), "it").unwrap().fifo.unwrap();
        assert_eq!((fifo.group.as_str(), fifo.id.as_str()), ("ann", "m"));
        assert_eq!(again("https://sqs/1/orders", message, "it").unwrap().fifo, None);
    }
}
