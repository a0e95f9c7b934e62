//! Effects once, in a cluster: whether a handler is done with a message is recorded in a store, and while it runs the message
//! is claimed there, so that another delivery of it waits.
//!
//! An entry is `{"running": "<claim>"}`, which ends by itself if its holder does, or `{"done": "<time>"}`, kept for as long as
//! the handler's `once` says.

use crate::dispatch::{Failure, FailureKind};
use crate::engine::{EngineError, EngineResult, Expect, StoreEngine};
use crate::once::{COMPLETIONS, key};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much longer than its handler's timeout a claim lasts: what a busy machine may be late.
const GRACE: Duration = Duration::from_secs(5);
/// Pauses between looks at another's claim.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Pauses between attempts to record a completion: the handler has had its effect, so it is worth some.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Running(String),
    Done(String),
}

/// The store, for one unit.
#[derive(Clone)]
pub(crate) struct Once(Arc<dyn StoreEngine>);

/// What became of asking for a message.
enum Asked {
    /// It is ours alone to handle.
    Claimed(Claim),
    /// The handler is done with it.
    Done,
    /// Another delivery still runs.
    Busy,
}

/// A message that one delivery handles.
struct Claim {
    key: String,
    name: String,
}

/// How a delivery of a message ended.
pub(crate) enum Guarded {
    /// The handler ran. One that did well, where that could not be recorded, has failed.
    Ran(Result<(), Failure>),
    /// The handler was done with it before.
    Done,
    /// Another delivery still runs.
    Busy,
    /// What is done can't be looked up, so nothing ran.
    Unknown(EngineError),
}

impl Guarded {
    /// Runs `work`, a handler's at a message: with completions, which are kept so long, only if it is not done yet and alone.
    pub(crate) async fn run(
        completions: Option<(&Once, Duration)>,
        (handler, message): (&str, &str),
        timeout: Duration,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> Self {
        let Some((once, keep)) = completions else { return Guarded::Ran(work.await) };
        let claim = match once.claim(handler, message, timeout).await {
            Ok(Asked::Claimed(claim)) => claim,
            Ok(Asked::Done) => return Guarded::Done,
            Ok(Asked::Busy) => return Guarded::Busy,
            Err(error) => return Guarded::Unknown(error),
        };
        let outcome = work.await;
        if outcome.is_err() {
            once.release(&claim).await;
            return Guarded::Ran(outcome);
        }
        Guarded::Ran(once.complete(claim, keep).await.map_err(|error| {
            tracing::error!(handler, message, %error, "done, but that is not recorded");
            let reason = format!("it is done, but that could not be recorded: {error}");
            Failure { kind: FailureKind::Error, reason }
        }))
    }
}

impl Once {
    /// Claims and completions in `store`.
    pub(crate) fn new(store: Arc<dyn StoreEngine>) -> Self {
        Once(store)
    }

    /// Asks to handle a message; waits for another delivery of it for at most `timeout`, the handler's own.
    ///
    /// # Errors
    /// The store's.
    async fn claim(&self, handler: &str, message: &str, timeout: Duration) -> EngineResult<Asked> {
        let started = Instant::now();
        let claim = Claim { key: key(handler, message), name: uuid::Uuid::now_v7().to_string() };
        let mut pause = FIRST_PAUSE;
        loop {
            let running = json(&Mark::Running(claim.name.clone()))?;
            match self
                .0
                .put(COMPLETIONS, claim.key.as_bytes(), running, Expect::Absent, Some(timeout.saturating_add(GRACE)))
                .await
            {
                Ok(true) => return Ok(Asked::Claimed(claim)),
                Ok(false) => {}
                Err(error) => {
                    // The store may have written it all the same.
                    self.release(&claim).await;
                    return Err(error);
                }
            }
            match self.0.get(COMPLETIONS, claim.key.as_bytes()).await?.map(|entry| mark(&entry.value)).transpose()? {
                Some(Mark::Done(_)) => return Ok(Asked::Done),
                Some(Mark::Running(_)) if started.elapsed() >= timeout => return Ok(Asked::Busy),
                Some(Mark::Running(_)) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                None => {} // it has just ended
            }
        }
    }

    /// The handler is done: no later delivery is handled while the record is kept.
    ///
    /// # Errors
    /// If the store can't be reached, several times: the message will be handled again.
    async fn complete(&self, claim: Claim, keep: Duration) -> EngineResult<()> {
        let done = json(&Mark::Done(Timestamp::now().to_string()))?;
        let mut pauses = PAUSES.into_iter();
        loop {
            // Whoever claimed it meanwhile: it is done.
            let kept = self.0.put(COMPLETIONS, claim.key.as_bytes(), done.clone(), Expect::Anything, Some(keep)).await;
            match (kept, pauses.next()) {
                (Ok(_), _) => return Ok(()),
                (Err(_), Some(pause)) => tokio::time::sleep(pause).await,
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// The handler failed: the next delivery may begin at once. (If this can't be said, the claim ends by itself.)
    async fn release(&self, claim: &Claim) {
        let key = claim.key.as_bytes();
        let released = async {
            let Some(entry) = self.0.get(COMPLETIONS, key).await? else { return Ok(()) };
            if mark(&entry.value)? == Mark::Running(claim.name.clone()) {
                self.0.delete(COMPLETIONS, key, Expect::Version(entry.version)).await?;
            }
            EngineResult::Ok(())
        };
        if let Err(error) = released.await {
            tracing::warn!(claim = claim.key, %error, "a claim could not be given back, and ends by itself");
        }
    }
}

fn json(mark: &Mark) -> EngineResult<Bytes> {
    serde_json::to_vec(mark).map(Bytes::from).map_err(|error| EngineError::Other(Box::new(error)))
}

fn mark(value: &[u8]) -> EngineResult<Mark> {
    serde_json::from_slice(value).map_err(|error| EngineError::Other(Box::new(error)))
}
