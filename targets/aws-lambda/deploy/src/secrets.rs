//! Which secrets have no value yet. Values are nobody's to read here.

use crate::client::Service;
use crate::cloudformation::Stack;
use crate::error::Result;
use crate::parameters;
use crate::stack::Target;
use serde_json::{Value, json};

/// A secret without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Its name in the template.
    pub logical: String,
    /// Its ARN: a secret's of Secrets Manager, or a parameter's.
    pub arn: String,
}

impl Empty {
    /// How it gets one, from a file: what stands in a command is kept in a shell's history.
    pub fn command(&self) -> String {
        match parameters::name_of(&self.arn) {
            Some(name) => {
                format!("aws ssm put-parameter --type SecureString --overwrite --name {name} --value file:///dev/stdin")
            }
            None => format!(
                "aws secretsmanager put-secret-value --secret-id {} --secret-string file:///dev/stdin",
                self.arn
            ),
        }
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
        let template = self.cloud().template(&stack.id).await?;
        for parameter in self.parameters(&stack.name, &serde_json::from_str(&template).unwrap_or_default()).await? {
            if !parameter.there {
                empty.push(Empty { arn: self.arn_of(&parameter.name), logical: parameter.logical });
            }
        }
        Ok(empty)
    }

    async fn has_value(&self, arn: &str) -> Result<bool> {
        let said = self.client.json(Service::SecretsManager, "DescribeSecret", &json!({ "SecretId": arn })).await?;
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
    fn each_is_given_a_value_where_it_is_kept() {
        let command = |arn: &str| Empty { logical: "KeySecret".to_owned(), arn: arn.to_owned() }.command();
        let secret = "arn:aws:secretsmanager:eu-central-1:1:secret:KeySecret-a1b2c3";
        assert!(command(secret).starts_with(&format!("aws secretsmanager put-secret-value --secret-id {secret} ")));
        let parameter = command("arn:aws:ssm:eu-central-1:1:parameter/updraft/shop/KeySecret");
        assert!(parameter.contains(" --name /updraft/shop/KeySecret "), "{parameter}");
    }

    #[test]
    fn a_secret_without_versions_has_no_value() {
        assert!(!holds_a_value(&json!({ "ARN": "arn:1", "Name": "key" })));
        assert!(!holds_a_value(&json!({ "ARN": "arn:1", "VersionIdsToStages": {} })));
        assert!(holds_a_value(&json!({ "ARN": "arn:1", "VersionIdsToStages": { "1": ["AWSCURRENT"] } })));
    }
}
