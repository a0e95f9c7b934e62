//! Readiness: a flag, set once every engine has been reached by a connector in the background. Later outages don't take it
//! back: one that everybody shares must not take every process out.

use crate::engine::EngineError;
use crate::engines::Probe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The flag. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Whether it is set.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Sets it.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Reaches each engine, however long it takes.
///
/// # Errors
/// If one refuses the credentials or can't be right: trying again won't help.
pub(crate) async fn reach(probes: Vec<Arc<dyn Probe>>) -> Result<(), String> {
    futures_util::future::try_join_all(probes.into_iter().map(reach_one)).await.map(|_| ())
}

async fn reach_one(engine: Arc<dyn Probe>) -> Result<(), String> {
    let (mut pause, mut said) = (FIRST_PAUSE, String::new());
    loop {
        let reason = match engine.probe().await {
            Ok(()) => {
                tracing::info!(engine = engine.name(), "reached");
                return Ok(());
            }
            Err(error @ (EngineError::Refused(_) | EngineError::Misconfigured(_))) => {
                return Err(format!("{}: {error}", engine.name()));
            }
            Err(error) => error.to_string(),
        };
        if reason != said {
            tracing::warn!(engine = engine.name(), reason, "not reached yet, trying on");
            said = reason;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
