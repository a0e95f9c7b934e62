//! A message's metadata on the wire: CloudEvents 1.0 in binary mode, the body bare JSON.
//!
//! Source: CloudEvents v1.0.2 and its HTTP protocol binding.

/// The version that [`SPEC_VERSION`] carries.
pub const SPEC_VERSION_VALUE: &str = "1.0";
/// `ce-specversion`.
pub const SPEC_VERSION: &str = "ce-specversion";
/// UUIDv7 that retries keep.
pub const ID: &str = "ce-id";
/// `<app>.queue.<id>` or `<app>.topic.<id>`.
pub const TYPE: &str = "ce-type";
/// `//<app>/<sender's handler id>`.
pub const SOURCE: &str = "ce-source";
/// RFC 3339.
pub const TIME: &str = "ce-time";
/// The hash of the message's schema.
pub const DATA_SCHEMA: &str = "ce-dataschema";
/// Until when a message that can't be read is returned (RFC 3339): a newer version of the program is being rolled out.
pub const SKEW_UNTIL: &str = "ce-skewuntil";
/// The one handler that a message published again is for; the others let it pass.
pub const HANDLER: &str = "ce-handler";
/// On a request that redrives a dead letter: whatever fails is answered, and becomes no other letter.
pub const REDRIVE: &str = "updraft-redrive";
/// W3C trace context.
pub const TRACE_PARENT: &str = "traceparent";
/// Of W3C trace context too: what tracing systems keep beside it.
pub const TRACE_STATE: &str = "tracestate";
/// Prefix of attributes (`#[topic(attributes(…))]`) among a request's headers.
pub const EXTENSION_PREFIX: &str = "ce-";
/// What an ordered queue orders by, among a message's attributes: CloudEvents' partitioning extension.
pub const PARTITION_KEY: &str = "partitionkey";
/// The sender's own id of a message, by which a queue with `dedup` knows it again; among a message's attributes.
pub const DEDUP_ID: &str = "dedupid";
/// A structured event's content type.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// Headers that Knative's dead-letter sink adds: the address that failed, its status, and (base64) body.
pub const KNATIVE_ERROR_DEST: &str = "ce-knativeerrordest";
/// See [`KNATIVE_ERROR_DEST`].
pub const KNATIVE_ERROR_CODE: &str = "ce-knativeerrorcode";
/// See [`KNATIVE_ERROR_DEST`].
pub const KNATIVE_ERROR_DATA: &str = "ce-knativeerrordata";
