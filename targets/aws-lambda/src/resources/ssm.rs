//! Parameters of Systems Manager's: what one stack tells others.

use crate::intrinsics::Text;
use crate::template::Properties;
use serde::Serialize;

/// `AWS::SSM::Parameter`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Stored {
    name: Text,
    #[serde(rename = "Type")]
    kind: &'static str,
    value: Text,
    description: String,
}

impl Properties for Stored {
    const TYPE: &'static str = "AWS::SSM::Parameter";
}

impl Stored {
    /// A text of 4,096 characters at most.
    pub(crate) fn text(description: String, name: Text, value: Text) -> Self {
        Stored { name, kind: "String", value, description }
    }

    /// Several, with commas between them.
    pub(crate) fn list(description: String, name: Text, value: Text) -> Self {
        Stored { name, kind: "StringList", value, description }
    }
}
