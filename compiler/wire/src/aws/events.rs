//! What a function is invoked with, and what it answers. Only what is read is named: AWS adds fields as it likes.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// `eventSource` of a batch of SQS's.
pub const SQS_SOURCE: &str = "aws:sqs";

/// Messages of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqsEvent {
    /// They.
    #[serde(rename = "Records")]
    pub records: Vec<SqsRecord>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsRecord {
    /// What [`BatchFailure`] names.
    pub message_id: String,
    /// What `ChangeMessageVisibility` takes.
    pub receipt_handle: String,
    /// The message's body.
    pub body: String,
    /// `ApproximateReceiveCount`, `SentTimestamp` (milliseconds), `MessageGroupId`, …
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// [`super::METADATA_ATTRIBUTE`], and declared ones.
    #[serde(default)]
    pub message_attributes: BTreeMap<String, SqsAttribute>,
    /// [`SQS_SOURCE`].
    pub event_source: String,
    /// The queue's ARN.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
}

/// A message's attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqsAttribute {
    /// Its text, if its type has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// `String`.
    pub data_type: String,
}

/// The answer to a batch: what is to be delivered again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// None: all went well.
    pub batch_item_failures: Vec<BatchFailure>,
}

/// A message that is to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchFailure {
    /// [`SqsRecord::message_id`].
    pub item_identifier: String,
}

/// A request, payload format 2.0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpEvent {
    /// `2.0`.
    pub version: String,
    /// As the client sent it, percent-encoded. It begins with the stage unless that is `$default`.
    pub raw_path: String,
    /// Without the `?`.
    #[serde(default, deserialize_with = "null_or")]
    pub raw_query_string: String,
    /// One entry a cookie: the header `cookie`, split.
    #[serde(default, deserialize_with = "null_or", skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<String>,
    /// Names in lower case; several values are joined by commas.
    #[serde(default, deserialize_with = "null_or")]
    pub headers: BTreeMap<String, String>,
    /// Where it came from.
    pub request_context: HttpContext,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether `body` is base64.
    #[serde(default, deserialize_with = "null_or")]
    pub is_base64_encoded: bool,
}

/// Of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpContext {
    /// Line and peer.
    pub http: HttpLine,
    /// `abc123.execute-api.eu-central-1.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// The gateway's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `$default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When it reached the gateway, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_epoch: Option<i64>,
}

/// Of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpLine {
    /// `GET`.
    pub method: String,
    /// The path, decoded by the gateway; [`HttpEvent::raw_path`] is what counts.
    pub path: String,
    /// `HTTP/1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAnswer {
    /// `200`.
    pub status_code: u16,
    /// Several values are joined by commas, but for `set-cookie`.
    pub headers: BTreeMap<String, String>,
    /// Values of `set-cookie`. There if it is empty too: `cargo lambda watch` asks for it.
    #[serde(default)]
    pub cookies: Vec<String>,
    /// What it carries.
    pub body: String,
    /// Whether `body` is base64.
    pub is_base64_encoded: bool,
}

/// What a response begins with where it is streamed: JSON, [`HEAD_ENDS`], and then the body, as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpHead {
    /// `200`.
    pub status_code: u16,
    /// Several values are joined by commas, but for `set-cookie`.
    pub headers: BTreeMap<String, String>,
    /// Values of `set-cookie`.
    #[serde(default)]
    pub cookies: Vec<String>,
}

/// What tells the head of a streamed response from its body.
pub const HEAD_ENDS: [u8; 8] = [0; 8];

/// What another function or the scheduler asks: `{"updraft": {"schedule": …}}` or `{"updraft": {"call": …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direct {
    /// It.
    pub updraft: Asked,
}

/// See [`Direct`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// A schedule is due.
    Schedule(Due),
    /// A function is called.
    Call(Call),
    /// What a database's outbox holds is to be handed on, should nobody else do.
    Outbox(Outbox),
}

/// A schedule that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The handler's id.
    pub handler: String,
    /// When it was due, RFC 3339: [`SCHEDULED`] in the template.
    pub scheduled: String,
    /// Counted from 1, where the scheduler invokes a function itself: [`ATTEMPT`] in its input. A text, since an input must be
    /// JSON before anything is put into it. `1` in a tick that comes from a queue, where `ApproximateReceiveCount` tells: so
    /// that a tick which is sent twice has the same contents, by which a FIFO queue knows it again.
    #[serde(deserialize_with = "number_or_text")]
    pub attempt: String,
}

/// An outbox to look after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// The database's id.
    pub database: String,
}

/// What EventBridge Scheduler replaces by the time at which a schedule was due.
pub const SCHEDULED: &str = "<aws.scheduler.scheduled-time>";
/// What it replaces by the number of the attempt.
pub const ATTEMPT: &str = "<aws.scheduler.attempt-number>";

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The function's id.
    pub handler: String,
    /// Until when the caller waits, RFC 3339.
    pub deadline: String,
    /// The caller's span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// An object: argument → value.
    pub arguments: Value,
}

/// W3C trace context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// `traceparent`.
    pub traceparent: String,
    /// `tracestate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

/// The answer to a call: `{"ok": …}` or `{"error": {"kind": …, "message": …}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallAnswer {
    /// What the function returned.
    Ok(Value),
    /// Why there is nothing.
    Error(CallFailure),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    /// Which of the caller's errors it becomes.
    pub kind: CallFailureKind,
    /// In words.
    pub message: String,
    /// Of [`CallFailureKind::Failed`]: the function's own error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// See [`CallFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallFailureKind {
    /// The function returned an error.
    Failed,
    /// It took too long.
    TimedOut,
    /// It panicked.
    Panicked,
    /// Arguments or result can't make the trip.
    Unreadable,
}

/// What a bucket tells, in the body of a message. The one with which S3 tries the queue has no records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Event {
    /// What happened.
    #[serde(rename = "Records", default)]
    pub records: Vec<S3Record>,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Record {
    /// `ObjectCreated:Put`, `ObjectRemoved:Delete`.
    pub event_name: String,
    /// RFC 3339.
    pub event_time: String,
    /// Which object.
    pub s3: S3Entity,
}

/// See [`S3Record`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Entity {
    /// The bucket.
    pub bucket: S3Bucket,
    /// The object.
    pub object: S3Object,
}

/// See [`S3Entity`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Bucket {
    /// Its name.
    pub name: String,
}

/// See [`S3Entity`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Object {
    /// Form-encoded: `+` for a space.
    pub key: String,
    /// Bytes; not of a deleted one.
    #[serde(default)]
    pub size: Option<u64>,
    /// Not of a deleted one.
    #[serde(default)]
    pub e_tag: Option<String>,
    /// Of two events of one key, the later one has the greater: compare as hex numbers.
    #[serde(default)]
    pub sequencer: Option<String>,
}

/// Stand-ins for Lambda (`cargo lambda watch`) say `null` where a gateway says nothing.
fn null_or<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The scheduler writes the number where a text's placeholder stood; people who invoke a function by hand write a number.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Either;
    impl Visitor<'_> for Either {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or a text")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_any(Either)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_directly() {
        let text =
            r#"{"updraft":{"schedule":{"handler":"shop::nightly","scheduled":"2026-01-01T03:00:00Z","attempt":1}}}"#;
        let Direct { updraft: Asked::Schedule(due) } = serde_json::from_str(text).unwrap() else { panic!() };
        assert_eq!((due.handler.as_str(), due.attempt.as_str()), ("shop::nightly", "1"));
        let text = r#"{"updraft":{"call":{"handler":"a::b","deadline":"2026-01-01T03:00:00Z","arguments":{"n":1}}}}"#;
        let direct: Direct = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&direct).unwrap(), text);
        let failure = CallFailure { kind: CallFailureKind::TimedOut, message: "late".into(), error: None };
        let text = serde_json::to_string(&CallAnswer::Error(failure)).unwrap();
        assert_eq!(text, r#"{"error":{"kind":"timed-out","message":"late"}}"#);
        assert_eq!(serde_json::to_string(&CallAnswer::Ok(Value::Null)).unwrap(), r#"{"ok":null}"#);
    }

    #[test]
    fn a_batch() {
        let text = r#"{"Records":[{"messageId":"1","receiptHandle":"r","body":"{}",
            "attributes":{"ApproximateReceiveCount":"2","SentTimestamp":"1545082649183"},
            "messageAttributes":{"region":{"stringValue":"eu","stringListValues":[],"binaryListValues":[],"dataType":"String"}},
            "md5OfBody":"x","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-1:1:orders","awsRegion":"eu-1"}]}"#;
        let event: SqsEvent = serde_json::from_str(text).unwrap();
        let record = &event.records[0];
        assert_eq!(record.event_source, SQS_SOURCE);
        assert_eq!(record.event_source_arn, "arn:aws:sqs:eu-1:1:orders");
        assert_eq!(record.message_attributes["region"].string_value.as_deref(), Some("eu"));
        let failure = BatchFailure { item_identifier: "1".into() };
        let text = serde_json::to_string(&BatchAnswer { batch_item_failures: vec![failure] }).unwrap();
        assert_eq!(text, r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#);
    }

    #[test]
    fn what_a_bucket_tells() {
        let trial = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-01T00:00:00Z","Bucket":"b"}"#;
        assert_eq!(serde_json::from_str::<S3Event>(trial).unwrap().records, []);
        let text = r#"{"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z",
            "s3":{"bucket":{"name":"b","arn":"a"},"object":{"key":"a+b.txt","size":3,"eTag":"e","sequencer":"0A"}}}]}"#;
        let event: S3Event = serde_json::from_str(text).unwrap();
        assert_eq!(event.records[0].s3.object.e_tag.as_deref(), Some("e"));
    }

    #[test]
    fn an_answer_has_cookies_though_there_are_none() {
        let (headers, cookies) = Default::default();
        let answer = HttpAnswer { status_code: 200, headers, cookies, body: "a".into(), is_base64_encoded: false };
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(text, r#"{"statusCode":200,"headers":{},"cookies":[],"body":"a","isBase64Encoded":false}"#);
    }

    #[test]
    fn what_is_null_is_not_there() {
        let text = r#"{"version":"2.0","rawPath":"/a","rawQueryString":null,"cookies":null,"headers":null,"body":null,
            "isBase64Encoded":null,"requestContext":{"http":{"method":"GET","path":"/a","protocol":null,"sourceIp":null}}}"#;
        let event: HttpEvent = serde_json::from_str(text).unwrap();
        assert_eq!((event.raw_query_string.as_str(), event.cookies.len(), event.is_base64_encoded), ("", 0, false));
    }

    #[test]
    fn a_request() {
        let text = r#"{"version":"2.0","routeKey":"GET /a","rawPath":"/a%20b","rawQueryString":"x=1","cookies":["c=d"],
            "headers":{"host":"h"},"requestContext":{"accountId":"1","http":{"method":"GET","path":"/a b",
            "protocol":"HTTP/1.1","sourceIp":"192.0.2.1","userAgent":"u"},"stage":"$default"},"isBase64Encoded":false}"#;
        let event: HttpEvent = serde_json::from_str(text).unwrap();
        assert_eq!((event.raw_path.as_str(), event.request_context.http.method.as_str()), ("/a%20b", "GET"));
        assert_eq!(event.body, None);
    }
}
