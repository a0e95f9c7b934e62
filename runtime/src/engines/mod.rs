//! Engines outside the process. Each stands behind a cargo feature of its own, which the compiler turns on as bindings
//! need it, so that a program carries only what its target needs.

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};

#[cfg(feature = "aws")]
#[cfg_attr(
    not(all(
        feature = "dynamodb",
        feature = "parameter-store",
        feature = "s3",
        feature = "secrets-manager",
        feature = "sns",
        feature = "sqs"
    )),
    allow(dead_code, reason = "each engine uses some of it")
)]
pub mod aws;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "invoke")]
pub mod invoke;
#[cfg(feature = "parameter-store")]
pub mod parameter_store;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "secrets-manager")]
pub mod secrets_manager;
#[cfg(feature = "sns")]
pub mod sns;
#[cfg(feature = "sqs")]
pub mod sqs;
#[cfg(any(feature = "aws", feature = "client", feature = "postgres", feature = "redis"))]
pub mod tls;

/// A way to find out whether an engine can be used: reaches it and shows it the credentials.
pub trait Probe: Send + Sync + 'static {
    /// For the log: which server, never with credentials.
    fn name(&self) -> String;
    /// Reaches it once.
    fn probe(&self) -> BoxFuture<'_, EngineResult<()>>;
}

/// The value of the secret that holds an engine's credentials.
///
/// # Errors
/// If it can't be read or has no value.
pub async fn credentials(secrets: &dyn SecretEngine, id: &str) -> EngineResult<String> {
    let missing = || format!("the secret `{id}` has no value: {}", secrets.how_to_provide(id));
    let value = secrets.get(id).await?.ok_or_else(|| EngineError::Misconfigured(missing()))?;
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(EngineError::Misconfigured(missing()));
    }
    Ok(trimmed.to_owned())
}
