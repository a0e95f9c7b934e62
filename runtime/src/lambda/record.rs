//! What a record of SQS says: the message, and how it came.

use crate::engine::Message;
use crate::telemetry::TraceContext;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use updraft_wire::aws::events::SqsRecord;
use updraft_wire::aws::{METADATA_ATTRIBUTE, Metadata, TRIED, declared_attribute};

/// A message that was received.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// SQS's own id of it, which the answer names.
    pub(super) item: String,
    /// What takes it to say when it shall be seen again.
    pub(super) receipt: String,
    /// How often it was received, this time included, but for when it was put back untried.
    pub(super) attempt: u32,
    /// When it first was.
    pub(super) first: Timestamp,
    /// Of a FIFO queue: messages of one group come one at a time.
    pub(super) group: Option<String>,
    /// Itself; as it came if its metadata can't be read.
    pub(super) message: Message,
    /// Why its metadata can't be read, if it can't.
    pub(super) unreadable: Option<String>,
}

impl Received {
    /// What this record says. Without metadata it is a message from outside: a body, and an id that SQS gave it.
    pub(super) fn of(record: SqsRecord, now: Timestamp) -> Self {
        let SqsRecord { message_id, receipt_handle, body, attributes, message_attributes, event_source_arn, .. } =
            record;
        let time = |name: &str| {
            let millis = attributes.get(name)?.parse().ok()?;
            Timestamp::from_millisecond(millis).ok()
        };
        let sent = time("SentTimestamp").unwrap_or(now);
        let mut message = Message {
            id: message_id.clone(),
            source: String::new(),
            time: sent,
            schema: None,
            trace: None,
            attributes: BTreeMap::new(),
            body: Bytes::from(body),
        };
        let texts = message_attributes.into_iter().filter_map(|(name, value)| Some((name, value.string_value?)));
        let mut metadata = None;
        for (name, value) in texts {
            match declared_attribute(&name) {
                Some(declared) => {
                    message.attributes.insert(declared.to_owned(), value);
                }
                None if name == METADATA_ATTRIBUTE => metadata = Some(value),
                None => {}
            }
        }
        let unreadable = metadata.and_then(|metadata| add(&mut message, &metadata).err());
        let tried = message.attributes.remove(TRIED).and_then(|tried| tried.parse().ok()).unwrap_or(0u32);
        let received = attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
        // A standard queue may have groups too, for fairness among tenants, and promises nothing of them.
        let fifo = event_source_arn.ends_with(".fifo");
        Received {
            item: message_id,
            receipt: receipt_handle,
            attempt: tried.saturating_add(received).max(1),
            first: time("ApproximateFirstReceiveTimestamp").unwrap_or(now),
            group: attributes.get("MessageGroupId").filter(|_| fifo).cloned(),
            message,
            unreadable,
        }
    }
}

impl Received {
    /// The message as it goes back, as if this time it had not been received.
    pub(super) fn back(&self) -> Message {
        let mut message = self.message.clone();
        if self.attempt > 1 {
            message.attributes.insert(TRIED.to_owned(), (self.attempt - 1).to_string());
        }
        message
    }
}

/// Adds what the sender wrote beside the message.
fn add(message: &mut Message, metadata: &str) -> Result<(), String> {
    let wrong = |reason: String| format!("its attribute `{METADATA_ATTRIBUTE}` can't be read: {reason}");
    let Metadata { id, source, time, schema, traceparent, tracestate, own } =
        serde_json::from_str(metadata).map_err(|error| wrong(error.to_string()))?;
    let time = time.parse().map_err(|error| wrong(format!("`{time}`: {error}")))?;
    if id.is_empty() {
        return Err(wrong("the id is empty".to_owned()));
    }
    let trace = traceparent.and_then(|parent| TraceContext::parse(&parent, tracestate.as_deref()));
    message.attributes.extend(own);
    *message = Message { id, source, time, schema, trace, ..std::mem::replace(message, empty()) };
    Ok(())
}

fn empty() -> Message {
    Message {
        id: String::new(),
        source: String::new(),
        time: Timestamp::UNIX_EPOCH,
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: Bytes::new(),
    }
}

/// The URL of the queue with this ARN, where SQS keeps it.
pub(super) fn url(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let [_, partition, service, region, account, name] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    if service != "sqs" || [region, account, name].iter().any(|part| part.is_empty()) {
        return None;
    }
    let suffix = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Some(format!("https://sqs.{region}.{suffix}/{account}/{name}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A record of this queue, with these members changed.
    pub(in super::super) fn record(queue: &str, id: &str, body: &str, over: Value) -> SqsRecord {
        let mut record = json!({
            "messageId": id, "receiptHandle": format!("receipt-{id}"), "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1000", "ApproximateFirstReceiveTimestamp": "2000" },
            "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:eu-central-1:1:{queue}")
        });
        for (name, value) in over.as_object().expect("an object") {
            let members = record.get_mut(name.as_str()).and_then(Value::as_object_mut);
            match (members, value) {
                (Some(members), Value::Object(more)) => members.extend(more.clone()),
                _ => record[name] = value.clone(),
            }
        }
        serde_json::from_value(record).expect("a record")
    }

    pub(in super::super) fn text(value: &str) -> Value {
        json!({ "stringValue": value, "dataType": "String" })
    }

    fn received(record: SqsRecord) -> Received {
        Received::of(record, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_message_is_what_was_sent() {
        let metadata = json!({ "id": "1", "source": "//shop/a", "time": "2026-11-25T00:00:00Z", "schema": "blake3:0",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "own": { "partitionkey": "k" } });
        let attributes = json!({ "updraft": text(&metadata.to_string()), "region": text("eu"), "x-updraft": text("odd"),
            "picture": { "dataType": "Binary" } });
        let got = received(record("orders", "m", "{}", json!({ "messageAttributes": attributes })));
        assert_eq!((got.item.as_str(), got.message.id.as_str(), got.unreadable), ("m", "1", None));
        let own = [("partitionkey", "k"), ("region", "eu"), ("updraft", "odd")];
        assert_eq!(got.message.attributes, own.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(got.message.time.to_string(), "2026-11-25T00:00:00Z");
        assert_eq!((got.message.schema.as_deref(), got.message.source.as_str()), (Some("blake3:0"), "//shop/a"));
        assert!(got.message.trace.is_some());
    }

    #[test]
    fn what_was_put_back_untried_counts_on() {
        let of = |receives: &str, own: Value| {
            let metadata = json!({ "id": "1", "source": "", "time": "2026-11-25T00:00:00Z", "own": own });
            let more = json!({ "messageAttributes": { "updraft": text(&metadata.to_string()) },
                "attributes": { "ApproximateReceiveCount": receives } });
            received(record("orders", "m", "{}", more))
        };
        let got = of("3", json!({}));
        assert_eq!((got.attempt, got.back().attributes.get(TRIED).map(String::as_str)), (3, Some("2")));
        let got = of("1", json!({ "tried": "2" }));
        assert_eq!((got.attempt, got.message.attributes.len()), (3, 0), "no handler sees it");
        assert_eq!(of("1", json!({})).back().attributes.len(), 0);
        assert_eq!(of("1", json!({ "tried": "x" })).attempt, 1);
    }

    #[test]
    fn what_comes_from_outside_has_sqs_own_id_and_time() {
        let got = received(record("orders", "m", "[]", json!({ "attributes": { "ApproximateReceiveCount": "3" } })));
        assert_eq!(
            (got.message.id.as_str(), got.message.time, got.attempt),
            ("m", Timestamp::from_second(1).unwrap(), 3)
        );
        assert_eq!((got.message.body.as_ref(), got.first), (b"[]".as_slice(), Timestamp::from_second(2).unwrap()));
        assert_eq!(got.unreadable, None);
    }

    #[test]
    fn metadata_that_is_none_is_said() {
        for wrong in
            ["", "{}", r#"{"id":"","source":"","time":"2026-11-25T00:00:00Z"}"#, r#"{"id":"1","source":"","time":"x"}"#]
        {
            let attributes = json!({ "updraft": text(wrong) });
            let got = received(record("orders", "m", "body", json!({ "messageAttributes": attributes })));
            assert!(got.unreadable.is_some_and(|reason| reason.contains("`updraft` can't be read")), "{wrong}");
            assert_eq!((got.message.id.as_str(), got.message.body.as_ref()), ("m", b"body".as_slice()));
        }
    }

    #[test]
    fn groups_are_of_fifo_queues_alone() {
        let group = json!({ "attributes": { "MessageGroupId": "g" } });
        assert_eq!(received(record("orders.fifo", "m", "", group.clone())).group.as_deref(), Some("g"));
        assert_eq!(received(record("orders", "m", "", group)).group, None);
    }

    #[test]
    fn a_queue_has_a_url() {
        assert_eq!(url("arn:aws:sqs:eu-1:12:a.fifo").unwrap(), "https://sqs.eu-1.amazonaws.com/12/a.fifo");
        assert_eq!(url("arn:aws-cn:sqs:cn-north-1:12:a").unwrap(), "https://sqs.cn-north-1.amazonaws.com.cn/12/a");
        for wrong in ["", "orders", "arn:aws:sns:eu-1:12:a", "arn:aws:sqs:eu-1:12:"] {
            assert_eq!(url(wrong), None);
        }
    }
}
