//! `AWS::IAM::Role` and the policies that stand in it and at queues and buckets.

use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use std::collections::BTreeMap;
use updraft_wire::aws::actions::NETWORK_SOURCE;
use updraft_wire::aws::{Action, Part, ROLE_PATH};

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

impl Document {
    pub(crate) fn new(statement: Vec<Statement>) -> Self {
        Document { version: "2012-10-17", statement }
    }
}

/// Operator → key → value.
pub(crate) type Conditions = BTreeMap<&'static str, BTreeMap<&'static str, Text>>;

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: String,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource: Vec<Text>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Conditions,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Principal {
    Service {
        #[serde(rename = "Service")]
        service: &'static str,
    },
    Anyone(&'static str),
}

impl Statement {
    /// Allows the holder of a role something.
    pub(crate) fn allow(sid: String, action: Vec<&'static str>, resource: Vec<Text>) -> Self {
        Statement { sid, effect: "Allow", principal: None, action, resource, condition: Conditions::new() }
    }

    /// Refuses the code of functions something that Lambda does in their names. Only one function has the role, so that it need
    /// not be named; nor could it, since it names the role.
    pub(crate) fn not_by_code(sid: &str, action: Vec<&'static str>) -> Self {
        let functions = [
            "arn:".into(),
            Text::partition(),
            ":lambda:".into(),
            Text::region(),
            ":".into(),
            Text::account(),
            ":function:*".into(),
        ];
        let source = BTreeMap::from([(NETWORK_SOURCE, Text::of(functions))]);
        let condition = Conditions::from([("ArnLike", source)]);
        Statement { effect: "Deny", condition, ..Statement::allow(sid.to_owned(), action, vec!["*".into()]) }
    }

    /// Allows a service of AWS's something, on behalf of one source.
    pub(crate) fn service(
        service: &'static str,
        action: &'static str,
        resource: Option<Text>,
        condition: Conditions,
    ) -> Self {
        Statement {
            sid: "Source".to_owned(),
            effect: "Allow",
            principal: Some(Principal::Service { service }),
            action: vec![action],
            resource: resource.into_iter().collect(),
            condition,
        }
    }

    /// Refuses everybody what does not come by TLS.
    pub(crate) fn only_by_tls(action: &'static str, resource: Vec<Text>) -> Self {
        let condition = Conditions::from([("Bool", BTreeMap::from([("aws:SecureTransport", "false".into())]))]);
        let (sid, action) = ("OnlyByTls".to_owned(), vec![action]);
        Statement { sid, effect: "Deny", principal: Some(Principal::Anyone("*")), action, resource, condition }
    }
}

/// Of one source, in this account.
pub(crate) fn from_source(arn: Text) -> Conditions {
    Conditions::from([
        ("ArnEquals", BTreeMap::from([("aws:SourceArn", arn)])),
        ("StringEquals", BTreeMap::from([("aws:SourceAccount", Text::account())])),
    ])
}

/// Statements for a use of something: one for the resource itself, one for what is in it, as far as there are actions on
/// either.
pub(crate) fn statements(sid: &str, actions: &[Action], arn: &Text) -> Vec<Statement> {
    [Part::Itself, Part::Objects]
        .into_iter()
        .filter_map(|part| {
            let names: Vec<&str> =
                actions.iter().filter(|action| action.part == part).map(|action| action.name).collect();
            let (sid, arn) = match part {
                Part::Itself => (sid.to_owned(), arn.clone()),
                Part::Objects => (format!("{sid}Objects"), arn.clone().then("/*")),
            };
            (!names.is_empty()).then(|| Statement::allow(sid, names, vec![arn]))
        })
        .collect()
}

/// How long the description of a role may be, in characters.
const DESCRIPTION: usize = 1_000;

/// IAM takes no other letters than those of Latin-1 in a description, and identifiers may have them.
fn latin(letter: char) -> char {
    match letter {
        ' '..='~' | '\u{a1}'..='\u{ff}' => letter,
        _ => '?',
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Role {
    description: String,
    /// With the stack's name in it, so that one's roles are told from all others'.
    path: Text,
    assume_role_policy_document: Document,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Text>,
    policies: Vec<Policy>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    policy_name: &'static str,
    policy_document: Document,
}

impl Properties for Role {
    const TYPE: &'static str = "AWS::IAM::Role";
}

impl Role {
    /// One that a service of AWS's takes on, for this account alone.
    pub(crate) fn new(description: String, service: &'static str, statements: Vec<Statement>) -> Self {
        // Lambda takes on a role without saying for whom.
        let condition = match service {
            "lambda.amazonaws.com" => Conditions::new(),
            _ => Conditions::from([("StringEquals", BTreeMap::from([("aws:SourceAccount", Text::account())]))]),
        };
        Role {
            description: description.chars().map(latin).take(DESCRIPTION).collect(),
            path: Text::plain(ROLE_PATH).then(Text::stack_name()).then("/"),
            permissions_boundary: None,
            assume_role_policy_document: Document::new(vec![Statement::service(
                service,
                "sts:AssumeRole",
                None,
                condition,
            )]),
            policies: vec![Policy { policy_name: "grants", policy_document: Document::new(statements) }],
        }
    }
}

impl Role {
    /// Whose policies allow nothing beyond this one: an ARN, or the name of a policy of the account.
    pub(crate) fn within(mut self, boundary: Option<&str>) -> Self {
        self.permissions_boundary = boundary.map(|boundary| match boundary.starts_with("arn:") {
            true => boundary.into(),
            false => {
                let start = ["arn:".into(), Text::partition(), ":iam::".into(), Text::account()];
                Text::of(start).then(":policy/").then(boundary)
            }
        });
        self
    }
}

impl Id<Role> {
    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_of_letters_that_iam_takes() {
        let role =
            Role::new(format!("Ticks of straße::заказ{}", "x".repeat(2_000)), "lambda.amazonaws.com", Vec::new());
        assert!(role.description.starts_with("Ticks of straße::?????x"), "{}", role.description);
        assert_eq!(role.description.chars().count(), 1_000);
    }
}
