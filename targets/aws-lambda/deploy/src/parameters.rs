//! Parameters of Parameter Store, in which an application may keep its secrets: none of the stack's, which says what it needs.

use crate::client::Service;
use crate::error::{Error, Result};
use crate::remove::Leaving;
use crate::stack::Target;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use updraft_wire::aws::parameter;

/// A parameter that a template needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// What the template calls it.
    pub(crate) logical: String,
    /// `/updraft/shop/MailerKeySecret`.
    pub(crate) name: String,
    /// What it is there for.
    pub(crate) from: Vec<String>,
    /// Whether it is there, which is with a value.
    pub(crate) there: bool,
}

/// The name in a parameter's ARN; `None` if it is another's.
pub(crate) fn name_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    (parts.nth(2) == Some("ssm")).then(|| parts.nth(2)?.strip_prefix("parameter"))?
}

/// Those that a template needs, as if none were there.
fn needed(stack: &str, template: &Value) -> Vec<Parameter> {
    let of = |(logical, what): (&String, &Value)| Parameter {
        logical: logical.clone(),
        name: parameter(stack, logical),
        from: what["from"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        there: false,
    };
    let all = template["Metadata"]["updraft"]["parameters"].as_object();
    all.into_iter().flatten().map(of).collect()
}

impl Target {
    /// The parameters that a stack's template needs. Their values are nobody's to read here: they are listed.
    pub(crate) async fn parameters(&self, stack: &str, template: &Value) -> Result<Vec<Parameter>> {
        let mut all = needed(stack, template);
        if all.is_empty() {
            return Ok(all);
        }
        let (mut there, mut token) = (BTreeSet::new(), Value::Null);
        loop {
            let filter = json!({ "Key": "Name", "Option": "BeginsWith", "Values": [parameter(stack, "")] });
            let mut content = json!({ "ParameterFilters": [filter], "MaxResults": 50 });
            if !token.is_null() {
                content["NextToken"] = token;
            }
            let page = self.client.json(Service::Ssm, "DescribeParameters", &content).await?;
            let found = page["Parameters"].as_array().into_iter().flatten();
            there.extend(found.filter_map(|found| found["Name"].as_str()).map(str::to_owned));
            // A page may be empty, and more follow.
            token = page["NextToken"].clone();
            if token.as_str().is_none_or(str::is_empty) {
                break;
            }
        }
        for one in &mut all {
            one.there = there.contains(&one.name);
        }
        Ok(all)
    }

    /// A parameter's ARN.
    pub(crate) fn arn_of(&self, name: &str) -> String {
        let partition = self.account.arn.split(':').nth(1).unwrap_or("aws");
        format!("arn:{partition}:ssm:{}:{}:parameter{name}", self.region(), self.account.id)
    }

    /// Those that stay when the stack goes. Who may not list them is told of all.
    pub(crate) async fn parameters_left(&self, stack: &str, template: &Value) -> Result<Vec<Leaving>> {
        let left = match self.parameters(stack, template).await {
            Ok(all) => all.into_iter().filter(|one| one.there).collect(),
            Err(Error::Refused(refusal)) if refusal.is_denied() => needed(stack, template),
            Err(error) => return Err(error),
        };
        let leaving = |one: Parameter| Leaving {
            logical: one.logical,
            physical: one.name,
            kind: "AWS::SSM::Parameter".to_owned(),
            from: one.from,
            stays: true,
        };
        Ok(left.into_iter().map(leaving).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_needs_is_named_after_its_stack() {
        let template = json!({ "Metadata": { "updraft": { "parameters": {
            "MailerKeySecret": { "from": ["secret mailer-key"] },
        } } } });
        let all = needed("shop", &template);
        assert_eq!(
            (all.len(), &*all[0].name, &*all[0].from[0]),
            (1, "/updraft/shop/MailerKeySecret", "secret mailer-key")
        );
        assert_eq!(needed("shop", &json!({ "Resources": {} })), []);
    }

    #[test]
    fn a_parameters_name_is_in_its_arn() {
        assert_eq!(
            name_of("arn:aws:ssm:eu-central-1:123456789012:parameter/updraft/shop/Key"),
            Some("/updraft/shop/Key")
        );
        assert_eq!(name_of("arn:aws:secretsmanager:eu-central-1:123456789012:secret:parameter"), None);
    }
}
