//! Secrets that are parameters of Systems Manager's Parameter Store. A value is asked for anew after [`KEPT`].

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
pub use crate::engines::aws::kept::KEPT;
use crate::engines::aws::kept::Kept;
use crate::engines::aws::{Account, Repeat, Service};
use secrecy::SecretString;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The JSON that it speaks.
const JSON: &str = "application/x-amz-json-1.1";

/// Secrets.
pub struct ParameterStore {
    service: Service,
    secrets: BTreeMap<String, Kept>,
    kept: Duration,
}

impl ParameterStore {
    /// Without secrets; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(ParameterStore { service: account.service("ssm")?, secrets: BTreeMap::new(), kept: KEPT })
    }

    /// With the secret `id` in the parameter of this name.
    #[must_use]
    pub fn secret(mut self, id: &str, name: &str) -> Self {
        self.secrets.insert(id.to_owned(), Kept::at(name));
        self
    }

    /// Whose values are kept so long.
    #[must_use]
    pub fn kept(self, kept: Duration) -> Self {
        ParameterStore { kept, ..self }
    }

    async fn ask(&self, id: &str, name: &str) -> EngineResult<Option<SecretString>> {
        // One that is not encrypted is read as well.
        let content = json!({ "Name": name, "WithDecryption": true });
        let answer = match self.service.json("AmazonSSM.GetParameter", JSON, &content, Repeat::Always).await? {
            Ok(answer) => answer,
            Err(failure) if failure.code == "ParameterNotFound" => return Ok(None),
            Err(failure) => return Err(failure.explained(&format!("the secret `{id}`"))),
        };
        let none = || EngineError::Misconfigured(format!("the secret `{id}` holds no text"));
        answer["Parameter"]["Value"].as_str().map(|text| Some(text.into())).ok_or_else(none)
    }
}

impl SecretEngine for ParameterStore {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move {
            let Some(known) = self.secrets.get(secret) else { return Ok(None) };
            known.value(secret, self.kept, self.ask(secret, &known.address)).await
        })
    }

    fn how_to_provide(&self, secret: &str) -> String {
        match self.secrets.get(secret) {
            Some(known) => {
                format!("aws ssm put-parameter --type SecureString --overwrite --name {} --value …", known.address)
            }
            None => format!("no parameter of Parameter Store is known for `{secret}`"),
        }
    }
}
