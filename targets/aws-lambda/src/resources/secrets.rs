//! `AWS::SecretsManager::Secret`: a place for a value, which no template holds.

use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Secret {
    description: String,
}

impl Properties for Secret {
    const TYPE: &'static str = "AWS::SecretsManager::Secret";
}

impl Secret {
    /// Empty.
    pub(crate) fn new(description: String) -> Self {
        Secret { description }
    }
}

impl Id<Secret> {
    /// Its attribute `Id` is its ARN (AWS CloudFormation, "AWS::SecretsManager::Secret", return values).
    pub(crate) fn arn(&self) -> Text {
        self.attribute("Id")
    }
}
