//! What Lambda mode asks of AWS beside what engines do: small, so that a test can stand in for it.

#[cfg(not(all(feature = "sqs", feature = "invoke")))]
use crate::engine::EngineError;
use crate::engine::{BoxFuture, EngineResult, Message};
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
pub(super) fn peers() -> Peers {
    Peers { queues: queues(), invoke: invoke() }
}

#[cfg(feature = "sqs")]
fn queues() -> Arc<dyn Queues> {
    Arc::new(Sqs::default())
}

#[cfg(not(feature = "sqs"))]
fn queues() -> Arc<dyn Queues> {
    Arc::new(Absent)
}

#[cfg(feature = "invoke")]
fn invoke() -> Arc<dyn Invoke> {
    Arc::new(Functions::default())
}

#[cfg(not(feature = "invoke"))]
fn invoke() -> Arc<dyn Invoke> {
    Arc::new(Absent)
}

/// SQS, reached when something fails for the first time: what goes well asks nothing of it.
#[cfg(feature = "sqs")]
#[derive(Default)]
struct Sqs(std::sync::OnceLock<crate::engines::sqs::SqsQueues>);

#[cfg(feature = "sqs")]
impl Sqs {
    fn get(&self) -> EngineResult<&crate::engines::sqs::SqsQueues> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let made = crate::engines::sqs::SqsQueues::new(&crate::engines::aws::Account::from_environment()?)?;
        Ok(self.0.get_or_init(|| made))
    }
}

#[cfg(feature = "sqs")]
impl Queues for Sqs {
    fn put<'a>(&'a self, url: &'a str, message: Message, delay: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move { self.get()?.put(url, message, delay).await })
    }

    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, pause: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move { self.get()?.hide(url, receipt, pause).await })
    }
}

/// Lambda, reached by the first call.
#[cfg(feature = "invoke")]
#[derive(Default)]
struct Functions(std::sync::OnceLock<crate::engines::invoke::Functions>);

#[cfg(feature = "invoke")]
impl Functions {
    fn get(&self) -> EngineResult<&crate::engines::invoke::Functions> {
        if let Some(made) = self.0.get() {
            return Ok(made);
        }
        let made = crate::engines::invoke::Functions::new(&crate::engines::aws::Account::from_environment()?)?;
        Ok(self.0.get_or_init(|| made))
    }
}

#[cfg(feature = "invoke")]
impl Invoke for Functions {
    fn invoke<'a>(&'a self, function: &'a str, event: Bytes, within: Duration) -> BoxFuture<'a, EngineResult<Bytes>> {
        Box::pin(async move { self.get()?.invoke(function, event, within).await })
    }
}

/// Stands in where nothing is taken from queues, or nobody is called.
#[cfg(not(all(feature = "sqs", feature = "invoke")))]
struct Absent;

#[cfg(not(all(feature = "sqs", feature = "invoke")))]
impl Absent {
    fn refuse<T: Send + 'static>(what: &str) -> BoxFuture<'static, EngineResult<T>> {
        let reason = format!("this program was built without updraft's feature `{what}`");
        Box::pin(async { Err(EngineError::Misconfigured(reason)) })
    }
}

#[cfg(not(feature = "sqs"))]
impl Queues for Absent {
    fn put<'a>(&'a self, _: &'a str, _: Message, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Absent::refuse("sqs")
    }

    fn hide<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Absent::refuse("sqs")
    }
}

#[cfg(not(feature = "invoke"))]
impl Invoke for Absent {
    fn invoke<'a>(&'a self, _: &'a str, _: Bytes, _: Duration) -> BoxFuture<'a, EngineResult<Bytes>> {
        Absent::refuse("invoke")
    }
}
