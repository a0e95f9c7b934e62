//! The role that a pipeline deploys with: what `deploy` and its kin ask for, and what CloudFormation does in the caller's name
//! for each type that is in the application's template. As a template of its own, deployed once by whoever may.
//!
//! A pipeline gets it by OpenID Connect: there is no key that could be lost.

mod boundary;
mod names;
mod policies;
mod rights;
mod statements;

use crate::TAG;
use crate::stack::sorted;
use boundary::Boundary;
pub use policies::NoRole;
use policies::{bounds, document, share_out};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Who the pipeline's tokens are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// GitHub Actions.
    GitHub,
    /// gitlab.com. One of one's own is a parameter away.
    GitLab,
}

/// What a role is made for.
#[derive(Clone, Copy, Debug)]
pub struct Deployer<'a> {
    /// The application's name.
    pub app: &'a str,
    /// The stack's name.
    pub stack: &'a str,
    /// The code bucket, if it is not Updraft's own.
    pub bucket: Option<&'a str>,
    /// The repository of its images, if it is not Updraft's own.
    pub repository: Option<&'a str>,
    /// The application's template.
    pub template: &'a Value,
    /// Those of its parts, by their names.
    pub parts: &'a BTreeMap<String, Value>,
    /// Who the pipeline's tokens are of.
    pub issuer: Issuer,
}

/// The path of all roles like it. What CloudFormation makes for applications has none, so that its names can't be among these.
const PATH: &str = "/updraft-deployer/";

impl Deployer<'_> {
    /// The template of the role.
    ///
    /// # Errors
    /// If it would be more than IAM takes; a type that nobody said the rights of is a bug of ours.
    pub fn template(&self) -> Result<Value, NoRole> {
        let statements = self.statements().map_err(NoRole::Unknown)?;
        let whys: Map<String, Value> = statements
            .iter()
            .filter_map(|statement| Some((statement.sid.to_owned(), Value::from(statement.why?))))
            .collect();
        let (own, beside) = share_out(statements)?;
        let boundary = Boundary::of(self);
        let bounded = match &boundary {
            Some(_) => "it writes the policies of their roles, within a boundary that it can't change",
            None => "it writes the policies of their roles, and what they allow is not bounded here",
        };
        let (host, audience) = match self.issuer {
            Issuer::GitHub => ("token.actions.githubusercontent.com", "sts.amazonaws.com"),
            Issuer::GitLab => ("gitlab.com", "https://gitlab.com"),
        };
        let subject = match self.issuer {
            Issuer::GitHub => json!({
                "Type": "String",
                "Description": "Whose tokens are taken: a repository and an environment of it, repo:OWNER/NAME:environment:NAME",
                "AllowedPattern": "repo:[^*?:]+/[^*?:]+:environment:[^*?]+",
            }),
            Issuer::GitLab => json!({
                "Type": "String",
                "Description": "Whose tokens are taken: a project and a branch of it, project_path:GROUP/NAME:ref_type:branch:ref:NAME",
                "AllowedPattern": "project_path:[^*?:]+:ref_type:branch:ref:[^*?]+",
            }),
        };
        let provider = json!({ "Fn::If": ["NewProvider", { "Ref": "Provider" }, { "Ref": "ProviderArn" }] });
        let mut whole = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": format!(
                "The role that deploys {} as the stack {}. Whoever has it decides what the application's functions may do: {bounded}. Its \
                 own rights it can't change",
                self.app, self.stack
            ),
            "Metadata": { "updraft": { "wide": whys } },
            "Parameters": {
                "Subject": subject,
                "ProviderArn": {
                    "Type": "String",
                    "Default": "",
                    "Description": format!("The account's OpenID Connect provider for {host}; empty makes one, of which an account has one"),
                },
            },
            "Conditions": { "NewProvider": { "Fn::Equals": [{ "Ref": "ProviderArn" }, ""] } },
            "Resources": {
                "Provider": {
                    "Type": "AWS::IAM::OIDCProvider",
                    "Condition": "NewProvider",
                    "DeletionPolicy": "Retain",
                    "UpdateReplacePolicy": "Retain",
                    "Properties": { "Url": format!("https://{host}"), "ClientIdList": [audience] },
                },
                "Deployer": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "Description": format!("Deploys {} as the stack {}", self.app, self.stack),
                        "Path": PATH,
                        "MaxSessionDuration": 3600,
                        "AssumeRolePolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [{
                                "Sid": "Pipeline",
                                "Effect": "Allow",
                                "Action": ["sts:AssumeRoleWithWebIdentity"],
                                "Principal": { "Federated": provider },
                                "Condition": {
                                    "StringEquals": {
                                        format!("{host}:aud"): audience,
                                        format!("{host}:sub"): { "Ref": "Subject" },
                                    },
                                },
                            }],
                        },
                        "Policies": [{
                            "PolicyName": "deploy",
                            "PolicyDocument": own,
                        }],
                        "Tags": [{ "Key": TAG, "Value": self.app }],
                    },
                },
            },
            "Outputs": {
                "RoleArn": {
                    "Description": "What the pipeline is told",
                    "Value": { "Fn::GetAtt": ["Deployer", "Arn"] },
                },
            },
        });
        for (at, policy) in beside.iter().enumerate() {
            let name = format!("More{}", at + 1);
            whole["Resources"][&name] = json!({
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": format!("More of what the role may do that deploys {} as the stack {}", self.app, self.stack),
                    "Path": PATH,
                    "PolicyDocument": policy,
                },
            });
            let attached = &mut whole["Resources"]["Deployer"]["Properties"]["ManagedPolicyArns"];
            match attached.as_array_mut() {
                Some(attached) => attached.push(json!({ "Ref": name })),
                None => *attached = json!([{ "Ref": name }]),
            }
        }
        if let Some(name) = boundary.and_then(|boundary| boundary.name) {
            let at_most = self.at_most().map_err(NoRole::Unknown)?;
            whole["Resources"]["Boundary"] = json!({
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "ManagedPolicyName": name,
                    "Description": format!("What the roles of {} may allow at most, as the stack {}", self.app, self.stack),
                    "PolicyDocument": bounds(&name, document(&at_most))?,
                },
            });
        }
        Ok(sorted(&whole))
    }

    /// All resources of all templates.
    fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        let templates = [self.template].into_iter().chain(self.parts.values());
        templates.flat_map(|template| template["Resources"].as_object().into_iter().flatten())
    }

    /// Whether a resource of a template is like this.
    fn has(&self, like: impl Fn(&Value) -> bool) -> bool {
        self.resources().any(|(_, resource)| like(&resource["Properties"]))
    }

    fn of_type(&self, kind: &'static str) -> impl Iterator<Item = (&String, &Value)> {
        self.resources().filter(move |(_, resource)| resource["Type"] == kind)
    }
}

fn sub(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}
