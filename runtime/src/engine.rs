//! What implements resources. Capabilities speak to these traits; embedded, Redis, S3 and the broker stand behind them.
//!
//! Engines are handed canonical bytes: keys in the one order-preserving encoding, values and messages as JSON. They know
//! nothing of handlers or grants.

mod blob;
mod store;

pub(crate) use blob::collect;
#[allow(unused_imports, reason = "a program without a bucket has no engine that asks")]
pub(crate) use blob::within;
pub use blob::{
    BLOB_KEY_LIMIT_BYTES, Blob, BucketEngine, ByteStream, ExpectBlob, Meta, Presign, Reading, check_blob_key,
};
pub use store::{Entry, Expect, Span, StoreEngine};
#[allow(unused_imports, reason = "a program without a store has no engine that asks")]
pub(crate) use store::{foreign_cursor, hex, key_range, unhex};

use crate::deadletter::DeadLetter;
use crate::telemetry::TraceContext;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;

/// What an engine's methods return: object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an engine answers.
pub type EngineResult<T> = Result<T, EngineError>;

/// A message with its metadata, going out or coming in.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// UUIDv7, kept by retries.
    pub id: String,
    /// `//<app>/<sender's handler id>`.
    pub source: String,
    /// When it was sent.
    pub time: Timestamp,
    /// The hash of its schema.
    pub schema: Option<String>,
    /// The trace it belongs to: the span that made it.
    pub trace: Option<TraceContext>,
    /// CloudEvents extensions: a topic's attributes; `partitionkey`, an ordered queue's key; `dedupid`, the sender's id.
    pub attributes: BTreeMap<String, String>,
    /// Bare JSON.
    pub body: Bytes,
}

impl Message {
    /// Its trace's id in hex, for lines of the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.trace.as_ref().map(TraceContext::id)
    }

    /// Messages of a queue that have the same one are delivered one at a time, in the order in which they were sent.
    pub fn key(&self) -> Option<&str> {
        self.attributes.get(updraft_wire::envelope::PARTITION_KEY).map(String::as_str)
    }

    /// Refuses one that is larger than the smallest target takes.
    ///
    /// # Errors
    /// [`EngineError::TooLarge`].
    pub fn check_size(&self) -> EngineResult<()> {
        let metadata: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        let state = self.trace.as_ref().and_then(|trace| trace.state.as_ref()).map_or(0, |state| state.len());
        let bytes = self.body.len() + metadata + state + 512; // ids, time, schema and the trace's ids have bounded lengths
        if bytes <= MESSAGE_LIMIT_BYTES {
            return Ok(());
        }
        Err(EngineError::TooLarge { bytes, limit: MESSAGE_LIMIT_BYTES })
    }

    /// What the sender calls it: within the queue's window nothing else is sent under this id.
    pub fn dedup_id(&self) -> Option<&str> {
        self.attributes.get(updraft_wire::envelope::DEDUP_ID).map(String::as_str)
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A queue's id.
    Queue(&'static str),
    /// A topic's id.
    Topic(&'static str),
}

impl Channel {
    /// The resource's id.
    pub fn id(self) -> &'static str {
        match self {
            Channel::Queue(id) | Channel::Topic(id) => id,
        }
    }
}

/// Takes messages. When `publish` has answered `Ok`, every message of the call is durable and will be delivered at least
/// once to each consumer or subscriber.
pub trait Messaging: Send + Sync + 'static {
    /// Sends all or says why not (on an error some may have been sent). `delay` holds them back at least so long.
    fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) -> BoxFuture<'_, EngineResult<()>>;

    /// Keeps a dead letter of a message that can't be published, once however often it is asked to. Whether that was done
    /// here and for the first time: if so, the caller tells of it.
    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        let reason = format!("dead letters are kept nowhere here, and one is `{}`", letter.id);
        Box::pin(async { Err(EngineError::Misconfigured(reason)) })
    }
}

/// Some entries and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as asked for, in an order the engine chooses.
    pub items: Vec<T>,
    /// Hand this in for the next page; `None` at the end.
    pub next: Option<String>,
}

/// Where secrets come from. Read at each use, so that a rotated value needs no restart.
pub trait SecretEngine: Send + Sync + 'static {
    /// The value; `None` if there is none.
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>>;
    /// How a user provides this secret here: ends the sentence of a missing value's error.
    fn how_to_provide(&self, secret: &str) -> String;
}

/// Time. Tests have one that they advance.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns once `now` has reached `until`.
    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()>;
}

/// Why an engine could not do it.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// It can't be reached, or is overloaded: trying later may work.
    Unavailable(String),
    /// It refused the credentials.
    Refused(String),
    /// Too many bytes.
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many may be.
        limit: usize,
    },
    /// It has no such thing, and never will under this binding.
    Misconfigured(String),
    /// Anything else.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Unavailable(reason) => write!(f, "unavailable: {reason}"),
            EngineError::Refused(reason) => write!(f, "refused: {reason}"),
            EngineError::TooLarge { bytes, limit } => write!(f, "{bytes} bytes are more than the {limit} allowed"),
            EngineError::Misconfigured(reason) => f.write_str(reason),
            EngineError::Other(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for EngineError {}
