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

    async fn send(&self, url: &str, what: &str, messages: &[Message], delay: Duration) -> EngineResult<()> {
        let fifo = is_fifo(url);
        if delay > LONGEST_DELAY || fifo && !delay.is_zero() {
            let longest = if fifo { "no message" } else { "none for more than 15 minutes" };
            return Err(EngineError::Misconfigured(format!("{what} holds {longest} back")));
        }
        // At least so long.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        let messages = messages.iter().map(|message| Outgoing::of(message, fifo, what));
        let messages = messages.collect::<EngineResult<Vec<_>>>()?;
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
            self.send(url, &format!("the queue `{id}`"), &messages, delay).await
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
            if !is_fifo(url) {
                // A letter's order and the ids of its queue are over.
                message.attributes.remove(updraft_wire::envelope::PARTITION_KEY);
                message.attributes.remove(updraft_wire::envelope::DEDUP_ID);
            }
            self.send(url, &format!("the dead letters of `{handler}`"), &[message], Duration::ZERO).await?;
            Ok(true)
        })
    }
}
