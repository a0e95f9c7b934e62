//! Keys to sign with: of a secret, read at each use so that a rotated one needs no restart; of the environment; or of a role,
//! lent for a time and asked for anew before it ends.

use super::account::variable;
use super::http::Http;
use super::role::Role;
use crate::engine::{EngineError, EngineResult, SecretEngine};
use crate::engines::credentials;
use aws_credential_types::Credentials as Key;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// A lent key is asked for anew so long before it ends. (Whoever lends them has the next one by then.)
const AHEAD: Duration = Duration::from_secs(240);

/// Where keys come from.
pub(crate) enum Credentials {
    /// A secret's value.
    Secret {
        /// Who knows it.
        secrets: Arc<dyn SecretEngine>,
        /// Its id.
        id: String,
    },
    /// The environment's own key.
    Fixed(Key),
    /// A role's.
    Lent {
        /// The role, and whom to ask.
        role: Box<Role>,
        /// The last key.
        last: Mutex<Option<Key>>,
    },
}

#[derive(Deserialize)]
struct InSecret {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
}

impl Credentials {
    /// What the environment gives. A service's key in variables (a function has one) stays the same while the process lives.
    pub(super) fn of_environment(http: Http, region: &str) -> Self {
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Self::Fixed(key(id, secret, variable("AWS_SESSION_TOKEN"), None)),
            _ => Self::Lent { role: Box::new(Role::of_environment(http, region)), last: Mutex::new(None) },
        }
    }

    /// A key that is valid now.
    pub(super) async fn key(&self) -> EngineResult<Key> {
        match self {
            Self::Secret { secrets, id } => {
                let json = credentials(&**secrets, id).await?;
                // serde's message could quote the value.
                let read: InSecret = serde_json::from_str(&json).map_err(|_| {
                    let form = r#"{"access_key_id": "…", "secret_access_key": "…"}"#;
                    EngineError::Misconfigured(format!("the secret `{id}` does not hold {form}"))
                })?;
                Ok(key(read.access_key_id, read.secret_access_key, read.session_token, None))
            }
            Self::Fixed(key) => Ok(key.clone()),
            Self::Lent { role, last } => {
                // Held while one asks, so that the others wait for the same answer.
                let mut last = last.lock().await;
                let lasts = |until: SystemTime| until > SystemTime::now() + AHEAD;
                if let Some(key) = last.as_ref().filter(|key| key.expiry().is_none_or(lasts)) {
                    return Ok(key.clone());
                }
                match role.lend().await {
                    Ok(key) => Ok(last.insert(key).clone()),
                    // Who can't be asked now may be asked later: until its end the old one does.
                    Err(error) => match last.as_ref() {
                        Some(key) if key.expiry().is_none_or(|until| until > SystemTime::now()) => Ok(key.clone()),
                        _ => Err(error),
                    },
                }
            }
        }
    }
}

/// A key; it shows its secrets to nobody.
pub(super) fn key(id: String, secret: String, token: Option<String>, until: Option<SystemTime>) -> Key {
    Key::new(id, secret, token.filter(|token| !token.is_empty()), until, "updraft")
}
