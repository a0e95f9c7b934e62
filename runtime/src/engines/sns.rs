//! Topics of SNS, as publishers see them.

use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::engines::aws::messages::{Outgoing, Refused, is_fifo, send_all};
use crate::engines::aws::{Account, Call, Element, Service, encoded};
use http::Method;
use http::header::CONTENT_TYPE;
use std::collections::BTreeMap;
use std::time::Duration;

/// Topics.
pub struct SnsTopics {
    service: Service,
    topics: BTreeMap<String, String>,
}

impl SnsTopics {
    /// Without topics; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(SnsTopics { service: account.service("sns")?, topics: BTreeMap::new() })
    }

    /// With the topic `id` of this ARN.
    #[must_use]
    pub fn topic(mut self, id: &str, arn: &str) -> Self {
        self.topics.insert(id.to_owned(), arn.to_owned());
        self
    }

    async fn publish_batch(&self, arn: &str, what: &str, batch: &[Outgoing]) -> EngineResult<Vec<Refused>> {
        let mut call = Call::new(Method::POST, "/").header(CONTENT_TYPE, "application/x-www-form-urlencoded")?;
        call.body = form(arn, batch).into();
        let answer = self.service.ask(&call).await?.map_err(|failure| failure.explained(what))?;
        let strange = || EngineError::Unavailable(format!("{what}: SNS does not say what it took"));
        Ok(refused(&Element::read(&answer).ok_or_else(strange)?, batch.len()))
    }
}

/// SNS speaks no JSON.
fn form(arn: &str, batch: &[Outgoing]) -> String {
    let mut form = format!("Action=PublishBatch&Version=2010-03-31&TopicArn={}", encoded(arn));
    for (at, message) in batch.iter().enumerate() {
        let mut add = |name: &str, value: &str| {
            form.push_str(&format!("&PublishBatchRequestEntries.member.{}.{name}={}", at + 1, encoded(value)));
        };
        add("Id", &at.to_string());
        add("Message", &message.body);
        for (number, (name, value)) in (1..).zip(&message.attributes) {
            let entry = format!("MessageAttributes.entry.{number}");
            add(&format!("{entry}.Name"), name);
            add(&format!("{entry}.Value.DataType"), "String");
            add(&format!("{entry}.Value.StringValue"), value);
        }
        if let Some(fifo) = &message.fifo {
            add("MessageGroupId", &fifo.group);
            add("MessageDeduplicationId", &fifo.id);
        }
    }
    form
}

/// What was not taken of so many.
fn refused(answer: &Element, count: usize) -> Vec<Refused> {
    let of = |list, place: usize| {
        let id = |member: &&Element| member.text_of("Id").and_then(|id| id.parse().ok()) == Some(place);
        answer.find(list)?.all("member").find(id)
    };
    let one = |place: usize| match (of("Successful", place), of("Failed", place)) {
        (Some(_), _) => None,
        (None, None) => Some(Refused::unsaid(place)),
        (None, Some(failed)) => {
            let text = |name| failed.text_of(name).unwrap_or_default();
            let (for_good, reason) = (text("SenderFault") == "true", format!("{}: {}", text("Code"), text("Message")));
            Some(Refused { at: place, for_good, reason })
        }
    };
    (0..count).filter_map(one).collect()
}

impl Messaging for SnsTopics {
    fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            let unknown = || EngineError::Misconfigured(format!("no topic of SNS is known for {channel:?}"));
            let Channel::Topic(id) = channel else { return Err(unknown()) };
            let arn = self.topics.get(id).ok_or_else(unknown)?;
            let what = &*format!("the topic `{id}`");
            if !delay.is_zero() {
                return Err(EngineError::Misconfigured(format!("{what} can't hold messages back")));
            }
            let fifo = is_fifo(arn);
            let messages = messages.iter().map(|message| Outgoing::of(message, fifo, what));
            let messages = messages.collect::<EngineResult<Vec<_>>>()?;
            send_all(messages, what, |batch| async move { self.publish_batch(arn, what, &batch).await }).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_told() {
        let answer = "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id></member></Successful><Failed>\
            <member><Id>1</Id><Code>InternalError</Code><Message>later</Message><SenderFault>false</SenderFault></member>\
            <member><Id>2</Id><Code>InvalidParameter</Code><SenderFault>true</SenderFault></member>\
            </Failed></PublishBatchResult></PublishBatchResponse>";
        let told = |answer: &str, count| {
            let refused = refused(&Element::read(answer.as_bytes()).expect("XML"), count);
            refused.into_iter().map(|one| (one.at, one.for_good, one.reason)).collect::<Vec<_>>()
        };
        let failed = [(1, false, "InternalError: later".to_owned()), (2, true, "InvalidParameter: ".to_owned())];
        assert_eq!(told(answer, 3), failed);
        let silent = (0, false, "the service does not say what became of it".to_owned());
        assert_eq!(told("<Nothing/>", 1), [silent]);
        let last = told(answer, 4);
        assert_eq!((last.len(), last[2].0, last[2].1), (3, 3, false), "{last:?}");
    }
}
