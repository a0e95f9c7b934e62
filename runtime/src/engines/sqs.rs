//! Queues of SQS, as senders see them.

use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::engines::aws::messages::{Outgoing, Refused, is_fifo, send_all};
use crate::engines::aws::{Account, Repeat, Service};
use crate::message::{HANDLER, SKEW_UNTIL};
use crate::registry::{HANDLERS, Handler};
use crate::server::resource;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use updraft_wire::aws::{GivenUp, REASON, TRIED};

/// The longest that SQS holds a message back.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// How much of a reason lies beside a message.
const REASON_LIMIT_BYTES: usize = 4096;
/// The JSON that it speaks.
const JSON: &str = "application/x-amz-json-1.0";

/// Queues.
pub struct SqsQueues {
    service: Service,
    queues: BTreeMap<String, String>,
    dead_letters: BTreeMap<String, String>,
    unsent: Option<String>,
}

impl SqsQueues {
    /// Without queues; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        let service = account.service("sqs")?;
        Ok(SqsQueues { service, queues: BTreeMap::new(), dead_letters: BTreeMap::new(), unsent: None })
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

    /// With the queue at this URL, in which is kept what an outbox can't send and no handler would have got.
    #[must_use]
    pub fn unsent(mut self, url: Option<&str>) -> Self {
        self.unsent = url.map(str::to_owned);
        self
    }

    /// Where a letter is kept. What its handler, who sent it, does not take itself is none of its own.
    fn place(&self, letter: &DeadLetter) -> Option<&String> {
        let own = self.dead_letters.get(&letter.handler);
        let takes = |known: &&Handler| known.id == letter.handler && resource(known) == letter.resource;
        match &self.unsent {
            Some(unsent) if !HANDLERS.iter().any(|known| takes(&known)) => Some(unsent),
            _ => own,
        }
    }

    /// Puts messages that were taken from a queue into the one at `url`.
    ///
    /// # Errors
    /// If some may not be there.
    #[cfg(feature = "lambda")]
    pub(crate) async fn put(&self, url: &str, messages: Vec<Message>, delay: Duration) -> EngineResult<()> {
        let messages = messages.into_iter().map(|message| again(url, message)).collect::<EngineResult<_>>()?;
        self.send(url, &format!("the queue at {url}"), messages, delay).await
    }

    /// Keeps a message that was given up in the queue at `url`, with the reason.
    ///
    /// # Errors
    /// If it may not be there.
    pub(crate) async fn keep(&self, url: &str, message: Message, told: GivenUp) -> EngineResult<()> {
        self.send(url, &format!("the dead letters at {url}"), vec![letter(url, message, told)?], Duration::ZERO).await
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
            Ok(refused(&answer.map_err(|failure| failure.explained(what))?, batch.len()))
        })
        .await
    }
}

/// A message that was taken from a queue, on its way into another or the same.
fn again(url: &str, mut message: Message) -> EngineResult<Outgoing> {
    let fifo = is_fifo(url);
    if !fifo {
        // Its order and the ids of its queue are over.
        message.attributes.remove(updraft_wire::envelope::PARTITION_KEY);
        message.attributes.remove(updraft_wire::envelope::DEDUP_ID);
    }
    Ok(Outgoing::again(&message, fifo)?.under_own_id(&message))
}

/// A message that was given up, with the reason. It is another one each time that it was handed out for the first time: one
/// that was redriven, and is given up again, is kept again.
fn letter(url: &str, mut message: Message, mut told: GivenUp) -> EngineResult<Outgoing> {
    told.reason.truncate(told.reason.floor_char_boundary(REASON_LIMIT_BYTES));
    let first = told.first.clone();
    let told = serde_json::to_string(&told).map_err(|error| EngineError::Other(error.into()))?;
    // Redriven, it begins anew.
    [SKEW_UNTIL, HANDLER, TRIED].iter().for_each(|name| drop(message.attributes.remove(*name)));
    message.attributes.insert(REASON.to_owned(), told);
    Ok(again(url, message.clone())?.beside(&message, &first))
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

/// What was not taken of so many.
fn refused(answer: &Value, count: usize) -> Vec<Refused> {
    let all = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let at = |entry: &Value| entry["Id"].as_str()?.parse::<usize>().ok();
    let one = |place: usize| {
        if all("Successful").any(|taken| at(taken) == Some(place)) {
            return None;
        }
        let Some(failed) = all("Failed").find(|failed| at(failed) == Some(place)) else {
            return Some(Refused::unsaid(place));
        };
        let text = |name: &str| failed[name].as_str().unwrap_or_default();
        Some(Refused {
            at: place,
            for_good: failed["SenderFault"].as_bool().unwrap_or_default(),
            reason: format!("{}: {}", text("Code"), text("Message")),
        })
    };
    (0..count).filter_map(one).collect()
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
            let url = self.place(&letter).ok_or_else(unknown)?;
            let message = letter.message();
            let DeadLetter { reason, kind, attempts, first, last, .. } = letter;
            self.keep(url, message, GivenUp { reason, kind, attempts, first, last }).await?;
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jiff::Timestamp;
    use updraft_wire::aws::{MESSAGE_ATTRIBUTES_MOST, Metadata};
    use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

    const FIFO: &str = "https://sqs/1/orders.fifo";

    fn message(attributes: &[(&str, &str)], body: &str) -> Message {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Message {
            id: "m".to_owned(),
            source: String::new(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: attributes.iter().map(owned).collect(),
            body: Bytes::from(body.to_owned()),
        }
    }

    fn told(first: &str) -> GivenUp {
        GivenUp {
            reason: "no stock".to_owned(),
            kind: "error".to_owned(),
            attempts: Some(3),
            first: first.to_owned(),
            last: "2026-01-02T03:05:05Z".to_owned(),
        }
    }

    #[test]
    fn what_is_put_back_passes_for_nothing_else() {
        let message = message(&[(PARTITION_KEY, "ann"), (DEDUP_ID, "order-1")], "{}");
        let fifo = again(FIFO, message.clone()).unwrap().fifo.unwrap();
        assert_eq!((fifo.group.as_str(), fifo.id.as_str()), ("ann", "m"));
        assert_eq!(again("https://sqs/1/orders", message).unwrap().fifo, None);
    }

    /// Within five minutes a FIFO queue takes nothing twice under one id: a letter that was redriven and is given up again is
    /// another one.
    #[test]
    fn a_letter_is_known_again_until_it_is_redriven() {
        let message = message(&[(PARTITION_KEY, "ann")], "{}");
        let id = |first: &str| letter(FIFO, message.clone(), told(first)).unwrap().fifo.unwrap().id;
        assert_eq!(id("2026-01-02T03:04:05Z"), id("2026-01-02T03:04:05Z"));
        assert_ne!(id("2026-01-02T03:04:05Z"), id("2026-01-02T03:04:06Z"));
    }

    /// What SQS has handed out it takes again, though no sender could have sent it through us.
    #[test]
    fn what_was_received_is_refused_for_neither_size_nor_attributes() {
        let names: Vec<_> = (0..10).map(|number| format!("n{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (&**name, "1")).collect();
        let message = message(&many, &"x".repeat(300 << 10));
        let outgoing = letter("https://sqs/1/dead", message.clone(), told("2026-01-02T03:04:05Z")).unwrap();
        assert_eq!(outgoing.attributes.len(), MESSAGE_ATTRIBUTES_MOST);
        let metadata: Metadata = serde_json::from_str(&outgoing.attributes[0].1).unwrap();
        assert_eq!(metadata.own.keys().map(String::as_str).collect::<Vec<_>>(), [REASON, "n9"], "nothing is lost");
        assert!(Outgoing::of(&message, false, "it").is_err(), "sent, it is");
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let told = GivenUp { reason: "ü".repeat(5_000), ..told("2026-01-02T03:04:05Z") };
        let outgoing = letter("https://sqs/1/dead", message(&[], "{}"), told).unwrap();
        let metadata: Metadata = serde_json::from_str(&outgoing.attributes[0].1).unwrap();
        let kept: GivenUp = serde_json::from_str(&metadata.own[REASON]).unwrap();
        assert_eq!(kept.reason, "ü".repeat(2_048));
    }

    #[test]
    fn what_is_not_said_to_be_taken_was_not() {
        let told = |answer: Value, count| {
            let refused = refused(&answer, count).into_iter();
            refused.map(|one| (one.at, one.for_good)).collect::<Vec<_>>()
        };
        let taken = json!([{ "Id": "0", "MessageId": "x" }]);
        let failed = json!([{ "Id": "1", "SenderFault": true, "Code": "InvalidMessageContents" }]);
        assert_eq!(told(json!({ "Successful": taken, "Failed": failed }), 2), [(1, true)]);
        assert_eq!(told(json!({ "Successful": taken }), 2), [(1, false)]);
        assert_eq!(told(json!({}), 1), [(0, false)]);
        assert_eq!(told(Value::Null, 1), [(0, false)]);
    }
}
