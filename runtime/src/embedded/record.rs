//! A message as it lies in the database: attempts `u32`, first attempt `i64` (microseconds, `i64::MIN` before it), length
//! of the metadata `u32`, metadata as JSON, body. What changes with each attempt has a fixed place.

use crate::engine::Message;
use crate::telemetry::TraceContext;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

const FIRST: usize = 4;
const LENGTH: usize = 12;
const METADATA: usize = 16;

/// The bytes of one message with its attempts.
#[derive(Clone)]
pub(super) struct Record(Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    time: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_state: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl Record {
    /// A message that nobody has tried.
    pub(super) fn fresh(message: &Message) -> Self {
        let metadata = Metadata {
            id: Cow::Borrowed(&message.id),
            source: Cow::Borrowed(&message.source),
            time: message.time.to_string().into(),
            schema: message.schema.as_deref().map(Cow::Borrowed),
            trace: message.trace.as_ref().map(|trace| trace.parent().into()),
            trace_state: message.trace.as_ref().and_then(|trace| trace.state.as_deref()).map(Cow::Borrowed),
            attributes: message.attributes.clone(),
        };
        let metadata = serde_json::to_vec(&metadata).expect("texts serialise");
        let mut bytes = Vec::with_capacity(METADATA + metadata.len() + message.body.len());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&i64::MIN.to_le_bytes());
        bytes.extend_from_slice(&(metadata.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&metadata);
        bytes.extend_from_slice(&message.body);
        Record(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Record(bytes.to_vec())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Metadata and body: what the limit is about.
    pub(super) fn len(&self) -> usize {
        self.0.len() - METADATA
    }

    /// Whether a message that lies like this was tried before.
    pub(super) fn was_tried(bytes: &[u8]) -> bool {
        bytes.get(..FIRST).is_some_and(|count| count != 0u32.to_le_bytes())
    }

    pub(super) fn attempts(&self) -> u32 {
        self.fixed(0).map_or(0, u32::from_le_bytes)
    }

    pub(super) fn first(&self, otherwise: Timestamp) -> Timestamp {
        let micros = self.fixed(FIRST).map_or(i64::MIN, i64::from_le_bytes);
        Timestamp::from_microsecond(micros).unwrap_or(otherwise)
    }

    pub(super) fn count_attempt(&mut self, now: Timestamp) {
        let attempts = self.attempts().saturating_add(1);
        let Some((count, first)) = self.0.get_mut(..LENGTH).map(|fixed| fixed.split_at_mut(FIRST)) else { return };
        count.copy_from_slice(&attempts.to_le_bytes());
        if *first == i64::MIN.to_le_bytes() {
            first.copy_from_slice(&now.as_microsecond().to_le_bytes());
        }
    }

    /// The same message, perhaps with another attribute, as if its last attempt had not been. (When it was first tried
    /// stays.)
    pub(super) fn returned(&self, attribute: Option<(&str, String)>) -> Result<Self, serde_json::Error> {
        let mut message = self.message()?;
        message.attributes.extend(attribute.map(|(name, value)| (name.to_owned(), value)));
        let mut record = Record::fresh(&message);
        let attempts = self.attempts().saturating_sub(1);
        if let (Some(fixed), Some(first)) = (record.0.get_mut(..LENGTH), self.0.get(FIRST..LENGTH)) {
            fixed[..FIRST].copy_from_slice(&attempts.to_le_bytes());
            fixed[FIRST..].copy_from_slice(first);
        }
        Ok(record)
    }

    pub(super) fn message(&self) -> Result<Message, serde_json::Error> {
        let length = self.fixed(LENGTH).map_or(0, u32::from_le_bytes) as usize;
        let rest = self.0.get(METADATA..).unwrap_or_default();
        let (metadata, body) = rest.split_at(length.min(rest.len()));
        let Metadata { id, source, time, schema, trace, trace_state, attributes } = serde_json::from_slice(metadata)?;
        Ok(Message {
            id: id.into_owned(),
            source: source.into_owned(),
            time: time.parse().map_err(serde::de::Error::custom)?,
            schema: schema.map(Cow::into_owned),
            trace: trace.and_then(|trace| TraceContext::parse(&trace, trace_state.as_deref())),
            attributes,
            body: Bytes::copy_from_slice(body),
        })
    }

    fn fixed<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_field_and_counts_attempts() {
        let message = Message {
            id: "0190".into(),
            source: "//shop/\"quoted\"".into(),
            time: "2026-11-23T01:02:03.123456789Z".parse().unwrap(),
            schema: Some("abc".into()),
            trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1")),
            attributes: BTreeMap::from([("region".into(), "eu".into())]),
            body: Bytes::from_static(b"{}"),
        };
        let mut record = Record::from_bytes(Record::fresh(&message).bytes());
        let (early, late) = (Timestamp::from_second(5).unwrap(), Timestamp::from_second(9).unwrap());
        assert_eq!((record.attempts(), record.first(late)), (0, late));
        record.count_attempt(early);
        record.count_attempt(late);
        assert_eq!((record.attempts(), record.first(late)), (2, early));
        assert_eq!(record.message().unwrap(), message);

        let returned = record.returned(Some(("skewuntil", "later".into()))).unwrap();
        assert_eq!((returned.attempts(), returned.first(late)), (1, early));
        let attributes = BTreeMap::from([("region", "eu"), ("skewuntil", "later")].map(|(n, v)| (n.into(), v.into())));
        assert_eq!(returned.message().unwrap(), Message { attributes, ..message });
    }
}
