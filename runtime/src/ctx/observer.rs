//! What happens in an application, and who is told.

use crate::engine::{Channel, EngineError, Message};
use crate::telemetry::Tracer;
use std::time::Duration;

/// Is told what happens: the live log of `dev`, the test harness, metrics.
pub trait Observer: Send + Sync + 'static {
    /// Something happened. Must be quick.
    fn observe(&self, event: &Event<'_>);

    /// What makes spans, where traces are wanted. Asked once, at the start.
    fn tracer(&self) -> Option<Tracer> {
        None
    }

    /// Whether [`Event::Operated`] is wanted: otherwise no operation of an engine is timed.
    fn watches_operations(&self) -> bool {
        false
    }

    /// Whether it wants to be told of each request ([`Event::Answered`]) just now. What that takes is spared otherwise.
    fn watches_requests(&self) -> bool {
        true
    }
}

/// An observer that looks away.
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Event<'_>) {}

    fn watches_requests(&self) -> bool {
        false
    }
}

/// What happens in an application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request was answered.
    Answered {
        /// The handler.
        handler: &'a str,
        /// `POST`.
        method: &'a str,
        /// `/orders`.
        path: &'a str,
        /// `202`.
        status: u16,
        /// From request to response head.
        elapsed: Duration,
    },
    /// A handler sent a message.
    Sent {
        /// The sender.
        handler: &'a str,
        /// Where to.
        channel: Channel,
        /// What.
        message: &'a Message,
    },
    /// A handler finished a message, a run or a call, well or not.
    Finished {
        /// The handler.
        handler: &'a str,
        /// `consumer`, `subscriber`, `schedule` or `function`.
        trigger: &'a str,
        /// The message's id, where there is one.
        message: Option<&'a str>,
        /// Counted from 1.
        attempt: u32,
        /// How long this attempt took.
        elapsed: Duration,
        /// What went wrong and what follows.
        failure: Option<(&'a crate::dispatch::Failure, Verdict)>,
    },
    /// A handler begins with messages or a run. (Requests and calls are told at their end alone.)
    Began {
        /// The handler.
        handler: &'a str,
        /// How long ago the oldest of the messages was sent, or the run was due.
        age: Duration,
    },
    /// An engine finished an operation.
    Operated {
        /// The handler.
        handler: &'a str,
        /// `store`, `bucket` or `external`.
        kind: &'static str,
        /// The resource's id.
        resource: &'a str,
        /// `get`, `put`, …
        method: &'static str,
        /// How long it took.
        elapsed: Duration,
        /// Why it failed, if it did.
        error: Option<&'a EngineError>,
    },
    /// A message is among the dead letters.
    Buried {
        /// Who gave it up.
        handler: &'a str,
        /// What it came from.
        resource: &'a str,
        /// `error`, `permanent`, `panic` or `timeout`.
        kind: &'a str,
    },
    /// Chaos made something go wrong.
    Injected {
        /// The handler, or the queue or topic.
        who: &'a str,
        /// What went wrong, in a word or two: `duplicated`, `crashed`, …
        fault: &'a str,
        /// Of which message or request, at which operation, and how.
        detail: &'a str,
    },
    /// A stand-in on this laptop took a request for an external.
    StoodIn {
        /// The external's id.
        external: &'a str,
        /// `POST`.
        method: &'a str,
        /// `/messages`.
        path: &'a str,
    },
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Another attempt after this pause.
    Retry(Duration),
    /// It waits so long for a version of the program that can read it; the attempt doesn't count.
    Return(Duration),
    /// It goes to the dead letters.
    DeadLetter,
    /// The caller is told.
    Answer,
}
