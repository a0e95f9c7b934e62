//! What Lambda mode asks of AWS beside what engines do: small, so that a test can stand in for it.

use crate::engine::{BoxFuture, EngineError, EngineResult, Message};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// SQS, of queues that the unit takes messages from or gives them up to.
pub(crate) trait Queues: Send + Sync + 'static {
    /// Puts a message into the queue at `url`, to be seen after `delay`; into a FIFO queue under its key and, so that nothing
    /// passes for something else, its own id.
    fn put<'a>(&'a self, url: &'a str, message: Message, delay: Duration) -> BoxFuture<'a, EngineResult<()>>;

    /// Has a message that was received be seen again after `pause`.
    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, pause: Duration) -> BoxFuture<'a, EngineResult<()>>;
}

/// Lambda's own `Invoke`.
pub(crate) trait Invoke: Send + Sync + 'static {
    /// Invokes and waits for the answer.
    fn invoke<'a>(&'a self, function: &'a str, event: Bytes, within: Duration) -> BoxFuture<'a, EngineResult<Bytes>>;
}

/// Both.
pub(super) struct Peers {
    pub(super) queues: Arc<dyn Queues>,
    pub(super) invoke: Arc<dyn Invoke>,
}

/// Those of the function's own account.
///
/// # Errors
/// If there is no way to reach it.
pub(super) fn peers() -> Result<Peers, String> {
    Ok(Peers { queues: Arc::new(Absent), invoke: Arc::new(Absent) })
}

/// Stands in where the program can't reach AWS. Nothing is lost by that: what can't be given up stays in its queue, which
/// gives it up by itself in the end.
struct Absent;

impl Absent {
    fn refuse<T: Send + 'static>(what: &str) -> BoxFuture<'static, EngineResult<T>> {
        let reason = format!("this program was built without {what}");
        Box::pin(async { Err(EngineError::Misconfigured(reason)) })
    }
}

impl Queues for Absent {
    fn put<'a>(&'a self, _: &'a str, _: Message, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Absent::refuse("SQS")
    }

    fn hide<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Absent::refuse("SQS")
    }
}

impl Invoke for Absent {
    fn invoke<'a>(&'a self, _: &'a str, _: Bytes, _: Duration) -> BoxFuture<'a, EngineResult<Bytes>> {
        Absent::refuse("Lambda's `Invoke`")
    }
}
