//! What the names of a stack's resources begin with, and what that makes of their ARNs.

use super::{Deployer, sub};
use serde_json::Value;
use updraft_wire::aws::ROLE_PATH;

/// CloudFormation cuts a stack's name to as many characters where it makes other names of it.
const SHOWN: usize = 24;

impl Deployer<'_> {
    /// `arn:aws:sqs:eu-central-1:123456789012:…`.
    pub(super) fn arn(&self, service: &str, rest: &str) -> Value {
        sub(&format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"))
    }

    /// The stack's roles have a path of their own, which no other stack's can begin with.
    pub(super) fn role(&self) -> Value {
        sub(&format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{ROLE_PATH}{}/*", self.stack))
    }

    /// What CloudFormation's names for the stack's resources begin with: not what those of `shopping` do if it is `shop`.
    pub(super) fn prefix(&self) -> String {
        match self.stack.char_indices().nth(SHOWN) {
            Some((end, _)) => self.stack[..end].to_owned(),
            None => format!("{}-", self.stack),
        }
    }

    /// Buckets have names of ours, which end with what the stack's id does.
    pub(super) fn buckets(&self) -> Vec<Value> {
        let name = |resource: &Value| {
            let name = &resource["Properties"]["BucketName"];
            let text = name["Fn::Sub"][0].as_str().or(name.as_str()).unwrap_or_default();
            sub(&format!("arn:${{AWS::Partition}}:s3:::{}*", text.split("${").next().unwrap_or_default()))
        };
        self.of_type("AWS::S3::Bucket").map(|(_, resource)| name(resource)).collect()
    }

    /// CloudFormation has called secrets by their names in the template alone, without the stack's before them.
    pub(super) fn secrets(&self) -> Vec<Value> {
        let names = self.of_type("AWS::SecretsManager::Secret").map(|(logical, _)| logical);
        let of = |name: &str| self.arn("secretsmanager", &format!("secret:{name}-*"));
        let both = |logical: &String| [of(logical), of(&format!("{}*{logical}", self.prefix()))];
        names.flat_map(both).collect()
    }
}
