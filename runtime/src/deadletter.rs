//! What is kept of a message that was given up: one record in every mode, so that the same commands list and redrive it.

use crate::dispatch::Failure;
use crate::engine::Message;
use crate::registry::Handler;
use crate::telemetry::TraceContext;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use updraft_wire::envelope;

/// A dead letter. The same handler's letter with the same id is the same letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message's id.
    pub id: String,
    /// The queue, the topic, or the schedule's handler.
    pub resource: String,
    /// Who gave up. Redriving delivers to this handler alone.
    pub handler: String,
    /// What the last attempt said.
    pub reason: String,
    /// `error`, `permanent`, `panic`, `timeout` or `skew`.
    pub kind: String,
    /// How often it was tried, where the engine knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it was first tried, RFC 3339 in microseconds, so that texts sort as times.
    pub first: String,
    /// When it was given up, RFC 3339.
    pub last: String,
    /// The message's metadata as CloudEvents headers (`ce-id`, `ce-type`, …).
    pub headers: BTreeMap<String, String>,
    /// The message's body; base64 in JSON.
    #[serde(with = "base64")]
    pub body: Bytes,
}

impl DeadLetter {
    /// The letter of a message that `handler` gave up.
    pub fn new(
        handler: &Handler,
        resource: &str,
        event_type: String,
        message: &Message,
        failure: &Failure,
        attempts: Option<u32>,
        (first, last): (Timestamp, Timestamp),
    ) -> Self {
        let handler = handler.id.to_owned();
        DeadLetter { handler, attempts, ..Self::unsent(resource, event_type, message, failure, 0, (first, last)) }
    }

    /// The letter of a message that did not get to a handler; whose it is, the caller says.
    pub fn unsent(
        resource: &str,
        event_type: String,
        message: &Message,
        failure: &Failure,
        attempts: u32,
        (first, last): (Timestamp, Timestamp),
    ) -> Self {
        let headers = headers(event_type, message);
        DeadLetter {
            id: message.id.clone(),
            resource: resource.to_owned(),
            handler: String::new(),
            reason: failure.reason.clone(),
            kind: failure.kind.as_str().to_owned(),
            attempts: Some(attempts),
            first: format!("{first:.6}"),
            last: format!("{last:.6}"),
            headers,
            body: message.body.clone(),
        }
    }

    /// Where a store keeps it: handler, the message's time, id. Whoever gives the message up, and whenever: the same letter
    /// has the same key.
    pub fn key(&self) -> String {
        let time = self.headers.get(envelope::TIME).map_or("-", String::as_str);
        format!("{}/{time}/{}", self.handler, self.id)
    }

    /// The trace that it belongs to.
    fn trace(&self) -> Option<TraceContext> {
        let state = self.headers.get(envelope::TRACE_STATE).map(String::as_str);
        TraceContext::parse(self.headers.get(envelope::TRACE_PARENT)?, state)
    }

    /// The message again, as it was sent: what was noted on it while it waited for a newer version is gone.
    pub fn message(&self) -> Message {
        let header = |name: &str| self.headers.get(name).cloned();
        let own = [
            envelope::SPEC_VERSION,
            envelope::ID,
            envelope::TYPE,
            envelope::SOURCE,
            envelope::TIME,
            envelope::SKEW_UNTIL,
            envelope::HANDLER,
        ];
        let attributes = self.headers.iter().filter(|(name, _)| {
            name.starts_with(envelope::EXTENSION_PREFIX)
                && !own.contains(&name.as_str())
                && *name != envelope::DATA_SCHEMA
        });
        Message {
            id: self.id.clone(),
            source: header(envelope::SOURCE).unwrap_or_default(),
            time: header(envelope::TIME)
                .and_then(|time| time.parse().ok())
                .or_else(|| self.first.parse().ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
            schema: header(envelope::DATA_SCHEMA),
            trace: self.trace(),
            attributes: attributes
                .map(|(name, value)| (name[envelope::EXTENSION_PREFIX.len()..].to_owned(), value.clone()))
                .collect(),
            body: self.body.clone(),
        }
    }
}

/// A message's metadata as texts under the names of headers. (No header's encoding: that is the sender's business.)
pub(crate) fn headers(event_type: String, message: &Message) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::from([
        (envelope::SPEC_VERSION.to_owned(), envelope::SPEC_VERSION_VALUE.to_owned()),
        (envelope::ID.to_owned(), message.id.clone()),
        (envelope::TYPE.to_owned(), event_type),
        (envelope::SOURCE.to_owned(), message.source.clone()),
        (envelope::TIME.to_owned(), message.time.to_string()),
    ]);
    headers.extend(message.schema.clone().map(|schema| (envelope::DATA_SCHEMA.to_owned(), schema)));
    if let Some(trace) = &message.trace {
        headers.insert(envelope::TRACE_PARENT.to_owned(), trace.parent());
        headers.extend(trace.state.iter().map(|state| (envelope::TRACE_STATE.to_owned(), state.as_ref().to_owned())));
    }
    let attributes = message.attributes.iter();
    headers.extend(attributes.map(|(name, value)| (format!("{}{name}", envelope::EXTENSION_PREFIX), value.clone())));
    headers
}

/// Bytes as base64, since JSON has none.
mod base64 {
    use ::base64::Engine;
    use ::base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::FailureKind;
    use crate::registry::Dispatch;

    #[test]
    fn a_letter_gives_its_message_back() {
        let handler = Handler {
            id: "shop::ship",
            descriptor: &[],
            grants: updraft_wire::Grants::None,
            timeout_millis: 1,
            dispatch: Dispatch::Consumer { queue: "orders", retries: 0, deliver: |_, _| Box::pin(async { Ok(()) }) },
        };
        for length in 0..6 {
            let message = Message {
                id: "1".into(),
                source: "//shop/x".into(),
                time: Timestamp::from_second(7).unwrap(),
                schema: Some("hash".into()),
                trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1")),
                attributes: BTreeMap::from([("region".into(), "eu".into())]),
                body: (0..length).map(|byte| byte * 51).collect::<Vec<u8>>().into(),
            };
            let failure = Failure { kind: FailureKind::Permanent, reason: "broken".into() };
            let times = (Timestamp::from_second(8).unwrap(), Timestamp::from_second(9).unwrap());
            let letter =
                DeadLetter::new(&handler, "orders", "shop.queue.orders".into(), &message, &failure, Some(1), times);
            assert_eq!(letter.key(), "shop::ship/1970-01-01T00:00:07Z/1");
            let json = serde_json::to_string(&letter).unwrap();
            let read: DeadLetter = serde_json::from_str(&json).unwrap();
            assert_eq!(read, letter);
            assert_eq!(read.message(), message);
        }
    }
}
