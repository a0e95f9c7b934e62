//! Values of secrets, kept for a while: each question costs, in money and in milliseconds.

use crate::engine::{EngineError, EngineResult};
use secrecy::{ExposeSecret, SecretString};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long a value is kept: so long a rotated one may take to be known.
pub const KEPT: Duration = Duration::from_secs(60);

/// A secret: where it is, and what it was.
pub(crate) struct Kept {
    /// An ARN or a name.
    pub(crate) address: String,
    /// Held while one asks, so that the others wait for the same answer.
    last: Mutex<Option<Last>>,
}

struct Last {
    value: Option<SecretString>,
    asked: Instant,
}

impl Kept {
    /// That nobody asked for yet.
    pub(crate) fn at(address: &str) -> Self {
        Kept { address: address.to_owned(), last: Mutex::new(None) }
    }

    /// Its value: the last one if that is not so old, else what is answered now.
    ///
    /// # Errors
    /// What is answered, unless it is that nobody answers, and a value is known.
    pub(crate) async fn value(
        &self,
        secret: &str,
        longest: Duration,
        ask: impl Future<Output = EngineResult<Option<SecretString>>>,
    ) -> EngineResult<Option<String>> {
        let mut last = self.last.lock().await;
        let value = |last: &Last| last.value.as_ref().map(|value| value.expose_secret().to_owned());
        // What has no value may be given one any time.
        if let Some(last) = last.as_ref().filter(|last| last.value.is_some() && last.asked.elapsed() < longest) {
            return Ok(value(last));
        }
        match (ask.await, last.as_ref()) {
            (Ok(found), _) => Ok(value(last.insert(Last { value: found, asked: Instant::now() }))),
            // Who can't be asked now has not said that it changed.
            (Err(EngineError::Unavailable(reason)), Some(old)) if old.value.is_some() => {
                tracing::warn!(secret, reason, "the last known value is used on");
                Ok(value(old))
            }
            (Err(error), _) => Err(error),
        }
    }
}
