//! CloudEvents 1.0 over HTTP: read in binary and structured mode, written in binary mode.
//!
//! Source: CloudEvents v1.0.2, its HTTP protocol binding and its JSON event format.

use crate::engine::Message;
use crate::telemetry::TraceContext;
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;
use updraft_wire::envelope::{
    EXTENSION_PREFIX, SPEC_VERSION, SPEC_VERSION_VALUE, STRUCTURED, TRACE_PARENT, TRACE_STATE,
};

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEvent {
    /// `shop.queue.orders`.
    pub event_type: String,
    /// When it happened, if it says so.
    pub time: Option<Timestamp>,
    /// The data's type.
    pub content_type: Option<String>,
    /// All the rest: extensions are the message's attributes, and its time is the epoch if the event has none.
    pub message: Message,
}

/// Why a request is no event.
#[derive(Debug, PartialEq)]
pub struct Unreadable(pub String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a CloudEvent: {}", self.0)
    }
}

/// Reads a request.
///
/// # Errors
/// If it is no event of version 1.0.
pub fn read(headers: &HeaderMap, body: Bytes) -> Result<CloudEvent, Unreadable> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(STRUCTURED) {
        let mut event = structured(&body)?;
        event.message.trace = event.message.trace.or_else(|| TraceContext::of_headers(headers));
        return Ok(event);
    }
    if media_type.to_ascii_lowercase().starts_with("application/cloudevents") {
        return Err(Unreadable(format!("`{media_type}` is neither one event nor JSON")));
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(EXTENSION_PREFIX) else { continue };
        let value = decode(value.as_bytes()).ok_or_else(|| Unreadable(format!("`ce-{name}` is no text")))?;
        attributes.insert(name.to_owned(), value);
    }
    if attributes.is_empty() {
        return Err(Unreadable(format!("neither `{SPEC_VERSION}` nor the type `{STRUCTURED}`")));
    }
    let mut event = event(attributes, body)?;
    event.content_type = content_type.map(str::to_owned);
    // The extension is the context that the sender made; the header may be a hop's on the way.
    event.message.trace = event.message.trace.or_else(|| TraceContext::of_headers(headers));
    Ok(event)
}

/// Everything that is common to both modes.
fn event(mut attributes: BTreeMap<String, String>, body: Bytes) -> Result<CloudEvent, Unreadable> {
    let version = attributes.remove("specversion");
    if version.as_deref() != Some(SPEC_VERSION_VALUE) {
        return Err(Unreadable(format!("its `specversion` is {version:?}")));
    }
    let mut required = |name: &str| match attributes.remove(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(Unreadable(format!("it has no `{name}`"))),
    };
    let (id, source, event_type) = (required("id")?, required("source")?, required("type")?);
    let time = attributes.remove("time").map(|time| {
        let read = time.parse::<Timestamp>();
        read.map_err(|_| Unreadable(format!("its `time` is {time:?}")))
    });
    let time = time.transpose()?;
    let (parent, state) = (attributes.remove(TRACE_PARENT), attributes.remove(TRACE_STATE));
    let message = Message {
        id,
        source,
        time: time.unwrap_or(Timestamp::UNIX_EPOCH),
        schema: attributes.remove("dataschema"),
        trace: parent.and_then(|parent| TraceContext::parse(&parent, state.as_deref())),
        body,
        attributes: {
            attributes.remove("datacontenttype");
            attributes
        },
    };
    Ok(CloudEvent { event_type, time, content_type: None, message })
}

fn structured(body: &[u8]) -> Result<CloudEvent, Unreadable> {
    // Raw values, so that the data's bytes stay as they are (numbers of any size among them).
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|error| Unreadable(format!("its JSON is broken: {error}")))?;
    let (mut attributes, mut data, mut base64) = (BTreeMap::new(), None, None);
    for (name, value) in members {
        match (name.as_str(), value.get()) {
            ("data", json) => data = Some(json),
            ("data_base64", json) => base64 = Some(json),
            (_, "null") => {}
            (_, json) if json.starts_with('"') => {
                let text = serde_json::from_str(json).map_err(|error| Unreadable(format!("`{name}`: {error}")))?;
                attributes.insert(name, text);
            }
            (_, json) if json.starts_with(['{', '[']) => {
                return Err(Unreadable(format!("`{name}` is neither text nor number nor boolean")));
            }
            (_, json) => {
                attributes.insert(name, json.to_owned());
            }
        }
    }
    let content_type = attributes.get("datacontenttype").cloned();
    let body = match (data, base64) {
        (Some(_), Some(_)) => return Err(Unreadable("it has both `data` and `data_base64`".to_owned())),
        (None, None) => Bytes::new(),
        (None, Some(json)) => {
            let text: String = serde_json::from_str(json).map_err(|_| Unreadable("`data_base64` is no text".into()))?;
            STANDARD.decode(text).map_err(|error| Unreadable(format!("`data_base64`: {error}")))?.into()
        }
        // JSON stands there as itself; text of another type as a JSON string.
        (Some(json), None) if json.starts_with('"') && !content_type.as_deref().is_none_or(is_json) => {
            let text: String = serde_json::from_str(json).map_err(|error| Unreadable(format!("`data`: {error}")))?;
            text.into()
        }
        (Some(json), None) => Bytes::copy_from_slice(json.as_bytes()),
    };
    let mut event = event(attributes, body)?;
    event.content_type = content_type;
    Ok(event)
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

/// The headers of an event in binary mode; its body is the message's.
pub fn headers(event_type: &str, message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let time = message.time.to_string();
    let core = [
        ("specversion", SPEC_VERSION_VALUE),
        ("id", &message.id),
        ("source", &message.source),
        ("type", event_type),
        ("time", &time),
    ];
    let schema = message.schema.as_deref().map(|schema| ("dataschema", schema));
    let parent = message.trace.as_ref().map(TraceContext::parent);
    let state = message.trace.as_ref().and_then(|trace| trace.state.as_deref());
    let trace = [(TRACE_PARENT, parent.as_deref()), (TRACE_STATE, state)];
    let trace = trace.into_iter().filter_map(|(name, value)| Some((name, value?)));
    // First the attributes: none of them can pass for one of the core's.
    let attributes = message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in attributes.chain(core).chain(schema).chain(trace.clone()) {
        let name = HeaderName::try_from(format!("{EXTENSION_PREFIX}{}", name.to_ascii_lowercase()));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(encode(value))) {
            headers.insert(name, value);
        }
    }
    for (name, value) in trace {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A value as a header carries it: what is not printable ASCII, and space, `"` and `%`, percent-encoded.
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b' ' | b'"' | b'%' | ..=0x1f | 0x7f.. => {
                let _ = write!(encoded, "%{byte:02X}");
            }
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}

/// The other way. A value in quotes, as older senders write it, is read too.
pub(crate) fn decode(value: &[u8]) -> Option<String> {
    let unquoted: Vec<u8> = match value {
        [b'"', inner @ .., b'"'] => {
            let mut escaped = false;
            let mut keep = |byte: &u8| {
                escaped = *byte == b'\\' && !escaped;
                !escaped
            };
            inner.iter().copied().filter(|byte| keep(byte)).collect()
        }
        value => value.to_vec(),
    };
    let mut decoded = Vec::with_capacity(unquoted.len());
    let mut rest = &unquoted[..];
    while let [byte, after @ ..] = rest {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(code) if *byte == b'%' => {
                decoded.push(code);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_of(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    /// The scenarios of the CloudEvents project's conformance suite for the HTTP binding.
    #[test]
    fn the_conformance_scenarios() {
        for content_type in ["application/json", "application/json; charset=utf-8"] {
            let headers = headers_of(&[
                ("ce-specversion", "1.0"),
                ("ce-type", "com.example.someevent"),
                ("ce-time", "2018-04-05T03:56:24Z"),
                ("ce-id", "1234-1234-1234"),
                ("ce-source", "/mycontext/subcontext"),
                ("content-type", content_type),
            ]);
            check(read(&headers, Bytes::from_static(b"{\n  \"message\": \"Hello World!\"\n}")), content_type);
        }
        for content_type in ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"] {
            let body = r#"{"specversion": "1.0", "type": "com.example.someevent", "time": "2018-04-05T03:56:24Z",
                "id": "1234-1234-1234", "source": "/mycontext/subcontext", "datacontenttype": "application/json",
                "data": {"message": "Hello World!"}}"#;
            check(read(&headers_of(&[("content-type", content_type)]), body.into()), "application/json");
        }
        fn check(event: Result<CloudEvent, Unreadable>, content_type: &str) {
            let event = event.expect("an event");
            assert_eq!(event.event_type, "com.example.someevent");
            assert_eq!(event.time, Some("2018-04-05T03:56:24Z".parse().expect("a time")));
            assert_eq!(event.content_type.as_deref(), Some(content_type));
            assert_eq!(event.message.id, "1234-1234-1234");
            assert_eq!(event.message.source, "/mycontext/subcontext");
            assert_eq!(event.message.attributes, BTreeMap::new());
            let data: serde_json::Value = serde_json::from_slice(&event.message.body).expect("JSON");
            assert_eq!(data, serde_json::json!({"message": "Hello World!"}));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let message = Message {
            id: "0190-ü %41 \"x\"".to_owned(),
            source: "//shop/shop::orders::place_order".to_owned(),
            time: "2026-11-23T07:00:00.123456Z".parse().expect("a time"),
            schema: Some("abc".to_owned()),
            trace: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some("a=1,b=2")),
            attributes: BTreeMap::from([("region".to_owned(), "日本 \\ eu".to_owned())]),
            body: Bytes::from_static(b"{}"),
        };
        let written = headers("shop.topic.shipped", &message);
        let event = read(&written, message.body.clone()).expect("an event");
        assert_eq!(event.message, message);
        assert_eq!(event.event_type, "shop.topic.shipped");
        let posing = Message { attributes: BTreeMap::from([("id".to_owned(), "other".to_owned())]), ..message.clone() };
        let event = read(&headers("t", &posing), Bytes::new()).expect("an event");
        assert_eq!(event.message.id, message.id, "an attribute can't pass for the id");
    }

    proptest::proptest! {
        #[test]
        fn any_value_survives_a_header(value in ".*") {
            proptest::prop_assert_eq!(decode(encode(&value).as_bytes()), Some(value));
        }

        #[test]
        fn no_bytes_make_it_panic(name in "[a-z]{1,8}", value: Vec<u8>, body: Vec<u8>) {
            let mut headers = headers_of(&[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")]);
            let name = HeaderName::try_from(format!("ce-{name}")).expect("a name");
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.insert(name, value);
            }
            let _ = read(&headers, body.clone().into());
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
            let _ = read(&headers, body.into());
        }
    }

    #[test]
    fn structured_data_keeps_its_bytes() {
        let read = |body: &str| {
            let body = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{body}}}"#);
            read(&headers_of(&[("content-type", STRUCTURED)]), body.into())
        };
        let data = |body: &str| read(body).expect("an event").message.body;
        assert_eq!(
            data(r#""data": {"n": 123456789012345678901234567890.50}"#),
            r#"{"n": 123456789012345678901234567890.50}"#
        );
        assert_eq!(data(r#""data": "text""#), r#""text""#);
        assert_eq!(data(r#""data": "<x/>", "datacontenttype": "text/xml""#), "<x/>");
        assert_eq!(data(r#""data_base64": "AP8=""#), &[0, 255][..]);
        assert_eq!(data(r#""region": "eu""#), "");
        let attributes = read(r#""count": 3, "flag": true, "none": null"#).expect("an event").message.attributes;
        let expected = [("count", "3"), ("flag", "true")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(attributes, BTreeMap::from(expected));
        for broken in [
            r#""data": 1, "data_base64": """#,
            r#""data_base64": "?""#,
            r#""x": {}"#,
            r#""time": "noon""#,
            r#""data": "#,
        ] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_is_no_event_says_why() {
        let core = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
        assert!(read(&headers_of(&core), Bytes::new()).is_ok());
        for missing in 0..core.len() {
            let mut headers = headers_of(&core);
            headers.remove(core[missing].0);
            let name = core[missing].0.trim_start_matches("ce-");
            let error = read(&headers, Bytes::new()).expect_err("incomplete");
            assert!(error.0.contains(name), "{error}");
        }
        for (name, value) in [("ce-specversion", "0.3"), ("ce-id", ""), ("ce-time", "yesterday"), ("ce-x", "%FF")] {
            let mut headers = headers_of(&core);
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            assert!(read(&headers, Bytes::new()).is_err(), "{name}: {value}");
        }
        for content_type in ["application/cloudevents-batch+json", "application/cloudevents+avro", "application/json"] {
            assert!(read(&headers_of(&[("content-type", content_type)]), Bytes::new()).is_err(), "{content_type}");
        }
        let quoted = headers_of(&[("ce-quoted", "\"a \\\"b\\\" %C3%BC\"")].into_iter().chain(core).collect::<Vec<_>>());
        let event = read(&quoted, Bytes::new()).expect("an event");
        assert_eq!(event.message.attributes["quoted"], "a \"b\" ü");
    }
}
