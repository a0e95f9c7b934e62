//! What Lambda mode asks of AWS beside what engines do: small, so that a test can stand in for it.

use crate::engine::{BoxFuture, EngineError, EngineResult, Message};
#[cfg(feature = "invoke")]
use crate::engines::invoke::Functions;
#[cfg(feature = "sqs")]
use crate::engines::sqs::SqsQueues;
use crate::server::engines::Aws;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::aws::GivenUp;

/// SQS, of queues that the unit takes messages from or gives them up to.
pub(crate) trait Queues: Send + Sync + 'static {
    /// Puts messages back into the queue at `url`, to be seen after `delay`; into a FIFO queue under their keys and, so that
    /// nothing passes for something else, their own ids. On an error some may be there.
    fn put<'a>(&'a self, url: &'a str, messages: Vec<Message>, delay: Duration) -> BoxFuture<'a, EngineResult<()>>;

    /// Keeps a message among the dead letters at `url`.
    fn keep<'a>(&'a self, url: &'a str, message: Message, told: GivenUp) -> BoxFuture<'a, EngineResult<()>>;

    /// Has a message that was received be seen again after `pause`.
    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, pause: Duration) -> BoxFuture<'a, EngineResult<()>>;
}

/// Lambda's own `Invoke`.
pub(crate) trait Invoke: Send + Sync + 'static {
    /// Invokes and waits for the answer.
    fn invoke<'a>(&'a self, function: &'a str, event: Bytes, within: Duration) -> BoxFuture<'a, EngineResult<Bytes>>;
}

/// SQS, with the account's connections: what goes well asks nothing of it.
///
/// # Errors
/// If the program has no engine for it, or there is no account.
pub(super) fn queues(aws: &mut Aws) -> Result<Arc<dyn Queues>, String> {
    #[cfg(feature = "sqs")]
    return Ok(Arc::new(SqsQueues::new(&aws.account()?).map_err(|error| error.to_string())?));
    #[cfg(not(feature = "sqs"))]
    missing("sqs", aws)
}

/// Lambda, with the account's connections.
///
/// # Errors
/// If the program has no engine for it, or there is no account.
pub(super) fn invoke(aws: &mut Aws) -> Result<Arc<dyn Invoke>, String> {
    #[cfg(feature = "invoke")]
    return Ok(Arc::new(Functions::new(&aws.account()?).map_err(|error| error.to_string())?));
    #[cfg(not(feature = "invoke"))]
    missing("invoke", aws)
}

#[cfg(not(all(feature = "sqs", feature = "invoke")))]
fn missing<T>(feature: &str, _: &Aws) -> Result<T, String> {
    Err(crate::server::engines::built_without(feature))
}

#[cfg(feature = "sqs")]
impl Queues for SqsQueues {
    fn put<'a>(&'a self, url: &'a str, messages: Vec<Message>, delay: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(self.put(url, messages, delay))
    }

    fn keep<'a>(&'a self, url: &'a str, message: Message, told: GivenUp) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(self.keep(url, message, told))
    }

    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, pause: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(self.hide(url, receipt, pause))
    }
}

#[cfg(feature = "invoke")]
impl Invoke for Functions {
    fn invoke<'a>(&'a self, function: &'a str, event: Bytes, within: Duration) -> BoxFuture<'a, EngineResult<Bytes>> {
        Box::pin(self.invoke(function, event, within))
    }
}

/// Where a unit takes nothing from queues.
pub(super) struct NoQueues;

impl NoQueues {
    fn refuse<T: Send + 'static>() -> BoxFuture<'static, EngineResult<T>> {
        Box::pin(async { Err(EngineError::Misconfigured("this unit takes nothing from queues".to_owned())) })
    }
}

impl Queues for NoQueues {
    fn put<'a>(&'a self, _: &'a str, _: Vec<Message>, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Self::refuse()
    }

    fn keep<'a>(&'a self, _: &'a str, _: Message, _: GivenUp) -> BoxFuture<'a, EngineResult<()>> {
        Self::refuse()
    }

    fn hide<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Self::refuse()
    }
}
