//! Whether CloudFormation would take a template, and AWS carry what it is for: a look at it as data.
//!
//! [`references`](check) exist and can be made in some order; `resolve` gives each of them the text that it becomes, and the
//! rest compares those: `policies` (who is let in, and what is said of everything), `machinery` (what pollers, APIs, topics,
//! buckets and the scheduler need), `rollout` (what moves aliases), `functions` (what each may do is what it is told of, and nothing else), `limits`.
//! Nobody else asks for all of this: an emulator enforces a part of it, other people's linters another, and AWS the whole at
//! the first message. `programs` asks those linters.

mod functions;
mod limits;
mod machinery;
mod policies;
mod programs;
mod references;
mod resolve;
mod rollout;
mod values;

pub use programs::{cfn_lint, checkov, parliament};

use crate::Finding;
use crate::value::{entries, text};
use serde_json::Value;

/// The types whose needs are known here.
const KNOWN: [&str; 25] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::DynamoDB::Table",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::SecretsManager::Secret",
];
/// Those that keep what people would miss.
const KEPT: [&str; 4] = ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"];

fn finding(object: &str, path: &str, rule: &'static str, message: String) -> Finding {
    Finding { object: object.to_owned(), path: path.to_owned(), rule, message }
}

/// All that can be said without other people's programs.
pub fn check(template: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    references::check(template, &mut findings);
    for (name, resource) in entries(&template["Resources"]) {
        let kind = text(&resource["Type"]);
        if !KNOWN.contains(&kind) {
            let why = format!("nobody here knows what {kind} needs to do its work");
            findings.push(finding(name, "Type", "grants/unknown-type", why));
        }
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            if KEPT.contains(&kind) && !text(&resource[policy]).starts_with("Retain") {
                findings.push(finding(name, policy, "values/kept", "is deleted with all that it keeps".to_owned()));
            }
        }
    }
    let stack = resolve::Stack::of(template);
    policies::check(&stack, &mut findings);
    machinery::check(&stack, &mut findings);
    functions::check(&stack, &mut findings);
    rollout::check(template, &stack, &mut findings);
    limits::check(template, &stack, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}
