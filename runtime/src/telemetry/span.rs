//! One span: what is recorded while it is open, and what is left of it.

use super::context::TraceContext;
use super::tracer::Sink;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A span that may still record. Dropped, it has ended.
pub(crate) struct Span(Option<Box<Open>>);

struct Open {
    sink: Arc<dyn Sink>,
    started: Instant,
    data: Finished,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Its own ids.
    pub context: TraceContext,
    /// The span that caused it.
    pub parent: Option<[u8; 8]>,
    /// `POST /orders`, `send orders`, …
    pub name: Cow<'static, str>,
    /// What stands on the other side.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970; never before `start`.
    pub end: u64,
    /// By the semantic conventions, or beginning with `updraft.`.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans that caused it beside its parent.
    pub links: Vec<TraceContext>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A span's kind, with OTLP's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Inside the application.
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Asks something outside.
    Client = 3,
    /// Makes a message.
    Producer = 4,
    /// Works a message.
    Consumer = 5,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl Span {
    /// One that records nothing.
    pub(crate) const fn none() -> Self {
        Span(None)
    }

    pub(super) fn open(
        sink: Arc<dyn Sink>,
        context: &TraceContext,
        parent: Option<[u8; 8]>,
        kind: Kind,
        name: Cow<'static, str>,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let data = Finished {
            context: context.clone(),
            parent,
            name,
            kind,
            start,
            end: start,
            attributes: Vec::with_capacity(12),
            links: Vec::new(),
            error: None,
        };
        Span(Some(Box::new(Open { sink, started: Instant::now(), data })))
    }

    /// It began so long before it was made.
    #[cfg(feature = "lambda")]
    pub(crate) fn began(&mut self, ago: std::time::Duration) {
        if let Some(open) = &mut self.0 {
            let nanos = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
            open.data.start = open.data.start.saturating_sub(nanos);
            open.started = open.started.checked_sub(ago).unwrap_or(open.started);
        }
    }

    /// Adds an attribute; the value is made only if it is recorded.
    pub(crate) fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(open) = &mut self.0 {
            open.data.attributes.push((name, value().into()));
        }
    }

    /// Links another span as a cause.
    pub(crate) fn link(&mut self, cause: Option<&TraceContext>) {
        if let (Some(open), Some(cause)) = (&mut self.0, cause) {
            open.data.links.push(cause.clone());
        }
    }

    /// It failed: of which type (`error.type`, of few values), and why in words.
    pub(crate) fn fail(&mut self, kind: impl Into<Value>, reason: impl FnOnce() -> String) {
        if let Some(open) = &mut self.0 {
            open.data.attributes.push(("error.type", kind.into()));
            open.data.error = Some(reason());
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let Open { sink, started, mut data } = *open;
            let took = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            data.end = data.start.saturating_add(took);
            sink.take(data);
        }
    }
}
