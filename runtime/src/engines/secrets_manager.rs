//! Secrets of Secrets Manager. A value is asked for anew after [`KEPT`].

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
pub use crate::engines::aws::kept::KEPT;
use crate::engines::aws::kept::Kept;
use crate::engines::aws::{Account, Repeat, Service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The JSON that it speaks.
const JSON: &str = "application/x-amz-json-1.1";

/// Secrets.
pub struct SecretsManager {
    service: Service,
    secrets: BTreeMap<String, Kept>,
    kept: Duration,
}

impl SecretsManager {
    /// Without secrets; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(SecretsManager { service: account.service("secretsmanager")?, secrets: BTreeMap::new(), kept: KEPT })
    }

    /// With the secret `id` of this ARN (or name).
    #[must_use]
    pub fn secret(mut self, id: &str, arn: &str) -> Self {
        self.secrets.insert(id.to_owned(), Kept::at(arn));
        self
    }

    /// Whose values are kept so long.
    #[must_use]
    pub fn kept(self, kept: Duration) -> Self {
        SecretsManager { kept, ..self }
    }

    async fn ask(&self, id: &str, arn: &str) -> EngineResult<Option<SecretString>> {
        let content = json!({ "SecretId": arn });
        let target = "secretsmanager.GetSecretValue";
        let answer = match self.service.json(target, JSON, &content, Repeat::Always).await? {
            Ok(answer) => answer,
            // Also where the secret is there, and has no value yet.
            Err(failure) if failure.code == "ResourceNotFoundException" => return Ok(None),
            Err(failure) => return Err(failure.explained(&format!("the secret `{id}`"))),
        };
        if let Some(text) = answer["SecretString"].as_str() {
            return Ok(Some(text.into()));
        }
        let bytes = answer["SecretBinary"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let none = || EngineError::Misconfigured(format!("the secret `{id}` holds no text"));
        text.map(|text| Some(text.into())).ok_or_else(none)
    }
}

impl SecretEngine for SecretsManager {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move {
            let Some(known) = self.secrets.get(secret) else { return Ok(None) };
            known.value(secret, self.kept, self.ask(secret, &known.address)).await
        })
    }

    fn how_to_provide(&self, secret: &str) -> String {
        match self.secrets.get(secret) {
            Some(known) => {
                format!("aws secretsmanager put-secret-value --secret-id {} --secret-string …", known.address)
            }
            None => format!("no secret of Secrets Manager is known for `{secret}`"),
        }
    }
}
