//! `AWS::SecretsManager::Secret`: a place for a value, which no template holds. Or a parameter of Parameter Store, which stands
//! in no template at all: CloudFormation makes none that is encrypted, so that whoever gives it its value makes it.

use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_wire::aws::actions::PARAMETER_READ;
use updraft_wire::aws::{Action, Known, PARAMETERS, Use, actions};

/// How long the description of a secret may be, in characters.
const DESCRIPTION: usize = 2_048;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Secret {
    description: String,
}

impl Properties for Secret {
    const TYPE: &'static str = "AWS::SecretsManager::Secret";
}

impl Secret {
    /// Empty. What is said of it may be as long as a page.
    pub(crate) fn new(about: &str) -> Self {
        let whole = about.chars().count() <= DESCRIPTION;
        let cut = || about.chars().take(DESCRIPTION - 1).chain(['…']).collect();
        Secret { description: if whole { about.to_owned() } else { cut() } }
    }
}

/// Where a secret's value is.
#[derive(Debug)]
pub(crate) enum Kept {
    /// In one of the stack's.
    Secret(Id<Secret>),
    /// In a parameter, whose name ends with this.
    Parameter(String),
}

impl Kept {
    /// What statements about it are named after.
    pub(crate) fn logical(&self) -> &str {
        match self {
            Kept::Secret(id) => id.logical(),
            Kept::Parameter(logical) => logical,
        }
    }

    pub(crate) fn arn(&self) -> Text {
        match self {
            // Its attribute `Id` is its ARN (AWS CloudFormation, "AWS::SecretsManager::Secret", return values).
            Kept::Secret(id) => id.attribute("Id"),
            Kept::Parameter(logical) => {
                let (region, account) = (Text::region(), Text::account());
                let start = ["arn:".into(), Text::partition(), ":ssm:".into(), region, ":".into(), account];
                Text::of(start).then(":parameter").then(name(logical))
            }
        }
    }

    /// What a function is told of it.
    pub(crate) fn address(&self) -> Text {
        match self {
            Kept::Secret(_) => self.arn(),
            Kept::Parameter(logical) => name(logical),
        }
    }

    /// What it takes to read it.
    pub(crate) fn read(&self) -> &'static [Action] {
        match self {
            Kept::Secret(_) => actions(Known::Secret, Use::Read),
            Kept::Parameter(_) => PARAMETER_READ,
        }
    }
}

/// As [`updraft_wire::aws::parameter`] has it.
fn name(logical: &str) -> Text {
    Text::plain(PARAMETERS).then(Text::stack_name()).then("/").then(logical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_no_longer_than_aws_takes() {
        for (length, expected) in [(2_048, 2_048), (2_049, 2_048)] {
            let description = Secret::new(&"ü".repeat(length)).description;
            assert_eq!((description.chars().count(), description.ends_with('…')), (expected, length > expected));
        }
    }

    #[test]
    fn a_parameter_is_named_as_everybody_names_it() {
        let written = serde_json::to_value(name("MailerKeySecret")).unwrap();
        let filled = written["Fn::Sub"].as_str().unwrap().replace("${AWS::StackName}", "shop");
        assert_eq!(filled, updraft_wire::aws::parameter("shop", "MailerKeySecret"));
    }
}
