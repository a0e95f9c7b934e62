//! A letter as SQS has it, as people see it, and as it goes back to its handler.

use super::boxes::Letterbox;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use updraft_wire::aws::{
    GivenUp, MESSAGE_ATTRIBUTES_MOST, METADATA_ATTRIBUTE, Metadata, REASON, TICKS_GROUP, TRIED, declared_attribute,
};
use updraft_wire::envelope;
use updraft_wire::ids::{object_event_type, queue_event_type, tick_event_type, topic_event_type};

/// How much of a reason a list shows, in characters.
const REASON_CHARACTERS: usize = 300;

/// A message that was given up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Letter {
    /// SQS's own id of it.
    pub(super) item: String,
    /// What it takes to delete it.
    pub(super) receipt: String,
    /// The message's id.
    pub(super) id: String,
    /// Of a FIFO queue.
    pub(super) group: Option<String>,
    /// When it was given up.
    pub(super) last: Timestamp,
    told: GivenUp,
    metadata: Metadata,
    /// Whether what the sender wrote of it is nothing that anybody can read.
    unreadable: bool,
    /// As SQS has them.
    attributes: Map<String, Value>,
    body: String,
}

impl Letter {
    /// What was received.
    pub(super) fn of(message: &Value) -> Letter {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let system = |name: &str| message["Attributes"][name].as_str();
        let sent = system("SentTimestamp").and_then(|millis| millis.parse().ok());
        let sent = sent.and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        let attributes = message["MessageAttributes"].as_object().cloned().unwrap_or_default();
        let written = attributes.get(METADATA_ATTRIBUTE).and_then(|one| one["StringValue"].as_str());
        let read = written.and_then(|written| serde_json::from_str::<Metadata>(written).ok());
        // One from outside: SQS gave it an id and a time.
        let outside = || Metadata {
            id: text("MessageId"),
            source: String::new(),
            time: sent.to_string(),
            schema: None,
            traceparent: None,
            tracestate: None,
            own: BTreeMap::new(),
        };
        let unreadable = written.is_some() && read.is_none();
        let metadata = read.unwrap_or_else(outside);
        let told = metadata.own.get(REASON).and_then(|told| serde_json::from_str::<GivenUp>(told).ok());
        let by_aws = || GivenUp {
            reason: match system("DeadLetterQueueSourceArn") {
                Some(_) => "SQS gave it up: it was received as often as it may be, and nobody said how that ended",
                None => "it could not be put into its handler's queue, or somebody else put it here",
            }
            .to_owned(),
            kind: "error".to_owned(),
            attempts: None,
            first: format!("{sent:.6}"),
            last: format!("{sent:.6}"),
        };
        let told = told.unwrap_or_else(by_aws);
        Letter {
            item: text("MessageId"),
            receipt: text("ReceiptHandle"),
            id: metadata.id.clone(),
            group: system("MessageGroupId").map(str::to_owned),
            last: told.last.parse().unwrap_or(sent),
            told,
            metadata,
            unreadable,
            attributes,
            body: text("Body"),
        }
    }

    /// Who gave it up, or else who sent it.
    pub(super) fn handler<'a>(&'a self, held: &'a Letterbox) -> &'a str {
        match held.handler.as_str() {
            "" => self.metadata.source.rsplit('/').next().unwrap_or_default(),
            handler => handler,
        }
    }

    /// Its place among others: handler, the message's time, id.
    pub(super) fn key(&self, held: &Letterbox) -> String {
        format!("{}/{}/{}", self.handler(held), self.metadata.time, self.id)
    }

    /// Without body and metadata.
    pub(super) fn summary(&self, held: &Letterbox) -> Value {
        let mut summary = self.record(held);
        summary["reason"] = self.told.reason.chars().take(REASON_CHARACTERS).collect::<String>().into();
        summary["bytes"] = self.body.len().into();
        summary
    }

    /// All that is kept of it.
    pub(super) fn whole(&self, held: &Letterbox, app: &str) -> Value {
        let mut letter = self.record(held);
        letter["headers"] = json!(self.headers(held, app));
        letter["body"] = STANDARD.encode(&self.body).into();
        letter
    }

    fn record(&self, held: &Letterbox) -> Value {
        let GivenUp { reason, kind, attempts, first, last } = &self.told;
        let mut record = json!({
            "id": self.id, "resource": held.resource, "handler": self.handler(held), "reason": reason, "kind": kind,
            "first": first, "last": last,
        });
        if let Some(attempts) = attempts {
            record["attempts"] = (*attempts).into();
        }
        record
    }

    /// Its metadata, under the names of CloudEvents' headers.
    fn headers(&self, held: &Letterbox, app: &str) -> BTreeMap<String, String> {
        let Metadata { id, source, time, schema, traceparent, tracestate, own } = &self.metadata;
        let event_type = match held.kind.as_str() {
            "queue" => Some(queue_event_type(app, &held.resource)),
            "topic" => Some(topic_event_type(app, &held.resource)),
            "bucket" => Some(object_event_type(app, &held.resource)),
            "schedule" => Some(tick_event_type(app, &held.handler)),
            // It says nowhere of which queue or topic.
            _ => None,
        };
        let mut headers = BTreeMap::from([
            (envelope::SPEC_VERSION.to_owned(), envelope::SPEC_VERSION_VALUE.to_owned()),
            (envelope::ID.to_owned(), id.clone()),
            (envelope::SOURCE.to_owned(), source.clone()),
            (envelope::TIME.to_owned(), time.clone()),
        ]);
        let mut add = |name: &str, value: &Option<String>| {
            headers.extend(value.clone().map(|value| (name.to_owned(), value)));
        };
        add(envelope::TYPE, &event_type);
        add(envelope::DATA_SCHEMA, schema);
        add(envelope::TRACE_PARENT, traceparent);
        add(envelope::TRACE_STATE, tracestate);
        let extension = |name: &str| format!("{}{name}", envelope::EXTENSION_PREFIX);
        let declared = self.attributes.iter().filter_map(|(name, value)| {
            Some((extension(declared_attribute(name)?), value["StringValue"].as_str()?.to_owned()))
        });
        headers.extend(declared);
        let own = own.iter().filter(|(name, _)| ![REASON, TRIED].contains(&name.as_str()));
        headers.extend(own.map(|(name, value)| (extension(name), value.clone())));
        headers
    }

    /// The message as its handler gets it again: as it was sent, with all its attempts before it.
    pub(super) fn again(&self, held: &Letterbox) -> Value {
        let mut metadata = self.metadata.clone();
        for gone in [REASON, TRIED, "skewuntil", "handler"] {
            metadata.own.remove(gone);
        }
        let mut attributes = self.attributes.clone();
        if !self.unreadable {
            attributes.remove(METADATA_ATTRIBUTE);
        }
        // From outside it may have as many as there can be: one of them travels with the metadata.
        while !self.unreadable && attributes.len() >= MESSAGE_ATTRIBUTES_MOST {
            let text = attributes
                .iter()
                .find_map(|(name, value)| Some((name.clone(), value["StringValue"].as_str()?.to_owned())));
            let Some((name, value)) = text else { break };
            attributes.remove(&name);
            metadata.own.insert(declared_attribute(&name).unwrap_or(&name).to_owned(), value);
        }
        if !self.unreadable && attributes.len() < MESSAGE_ATTRIBUTES_MOST {
            let metadata = serde_json::to_string(&metadata).unwrap_or_default();
            attributes.insert(METADATA_ATTRIBUTE.to_owned(), json!({ "DataType": "String", "StringValue": metadata }));
        }
        let mut message = json!({ "MessageBody": self.body, "MessageAttributes": attributes });
        if held.fifo {
            // A schedule's runs are one group, whoever put them where.
            let group = if held.of_schedule() { TICKS_GROUP } else { self.group.as_deref().unwrap_or(&self.id) };
            message["MessageGroupId"] = group.into();
            // The queue may know the message's own id still. Sent twice, it is one.
            message["MessageDeduplicationId"] = format!("redriven-{}", self.item).into();
        }
        message
    }
}
