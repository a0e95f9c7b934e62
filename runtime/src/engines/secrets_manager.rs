//! Secrets of Secrets Manager.

pub use crate::engines::aws::secrets::KEPT;
use crate::engines::aws::secrets::{Keeper, Secrets};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Secrets, each by its ARN (or name).
pub type SecretsManager = Secrets<Manager>;

/// Secrets Manager.
pub struct Manager;

impl Keeper for Manager {
    const SERVICE: &'static str = "secretsmanager";
    const OPERATION: &'static str = "secretsmanager.GetSecretValue";
    /// Also where the secret is there, and has no value yet.
    const MISSING: &'static str = "ResourceNotFoundException";
    const CALLED: &'static str = "secret of Secrets Manager";

    fn question(address: &str) -> Value {
        json!({ "SecretId": address })
    }

    fn text(answer: &Value) -> Option<SecretString> {
        if let Some(text) = answer["SecretString"].as_str() {
            return Some(text.into());
        }
        let bytes = STANDARD.decode(answer["SecretBinary"].as_str()?).ok()?;
        String::from_utf8(bytes).ok().map(SecretString::from)
    }

    fn command(address: &str) -> String {
        format!("aws secretsmanager put-secret-value --secret-id {address} --secret-string …")
    }
}
