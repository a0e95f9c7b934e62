//! Which secrets have no value yet. Values are nobody's to read here.

use crate::client::{Ask, Service};
use crate::cloudformation::Stack;
use crate::error::{Error, Result};
use crate::stack::Target;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

/// A secret without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Its name in the template.
    pub logical: String,
    /// Its ARN.
    pub arn: String,
}

impl Empty {
    /// How it gets one, from a file: what stands in a command is kept in a shell's history.
    pub fn command(&self) -> String {
        format!("aws secretsmanager put-secret-value --secret-id {} --secret-string file:///dev/stdin", self.arn)
    }
}

impl Target {
    /// The secrets of a stack that have no value yet.
    ///
    /// # Errors
    /// AWS's.
    pub async fn empty_secrets(&self, stack: &Stack) -> Result<Vec<Empty>> {
        let mut empty = Vec::new();
        for resource in self.cloud().resources(&stack.id).await? {
            if resource.kind == "AWS::SecretsManager::Secret" && !self.has_value(&resource.physical).await? {
                empty.push(Empty { logical: resource.logical, arn: resource.physical });
            }
        }
        Ok(empty)
    }

    async fn has_value(&self, arn: &str) -> Result<bool> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_static("secretsmanager.DescribeSecret"));
        headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
        let (service, action) = (Service::SecretsManager, "DescribeSecret");
        let url = format!("{}/", self.client.endpoint(service));
        let body = json!({ "SecretId": arn }).to_string().into();
        let answer = self.client.ask(Ask { service, action, method: Method::POST, url, headers, body }).await?;
        let unreadable = |_| Error::Unreadable { action: "secretsmanager:DescribeSecret".to_owned() };
        let said: Value = serde_json::from_slice(&answer.body).map_err(unreadable)?;
        Ok(holds_a_value(&said))
    }
}

/// What describes a secret lists its versions: one that was never given a value has none.
fn holds_a_value(said: &Value) -> bool {
    said["VersionIdsToStages"].as_object().is_some_and(|versions| !versions.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_without_versions_has_no_value() {
        assert!(!holds_a_value(&json!({ "ARN": "arn:1", "Name": "key" })));
        assert!(!holds_a_value(&json!({ "ARN": "arn:1", "VersionIdsToStages": {} })));
        assert!(holds_a_value(&json!({ "ARN": "arn:1", "VersionIdsToStages": { "1": ["AWSCURRENT"] } })));
    }
}
