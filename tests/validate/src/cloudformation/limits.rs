//! How much of something AWS takes.

use super::finding;
use super::policies::{of_role, statements};
use super::resolve::Stack;
use crate::Finding;
use crate::value::{entries, items};
use serde_json::Value;

/// Of a template that is read from a bucket, in bytes.
const TEMPLATE: usize = 1_000_000;

pub(super) fn check(template: &Value, stack: &Stack, findings: &mut Vec<Finding>) {
    let sections = [("Resources", 500), ("Outputs", 200), ("Parameters", 200)];
    for (section, most) in sections {
        let count = entries(&template[section]).count();
        if count > most {
            findings.push(finding("template", section, "limits/template", format!("{count}; there are {most}")));
        }
    }
    let bytes = template.to_string().len();
    if bytes > TEMPLATE {
        findings.push(finding("template", "", "limits/template", format!("{bytes} bytes; there are {TEMPLATE}")));
    }
    let count = |kind: &str| stack.each(kind).count();
    for kind in ["ApiGatewayV2::Route", "ApiGatewayV2::Integration"] {
        if count(kind) > 300 {
            findings.push(finding("template", kind, "limits/api", format!("{}; an API has 300", count(kind))));
        }
    }
    for role in stack.each("IAM::Role") {
        // White space does not count, and there is none.
        let characters: usize = items(&role.properties["Policies"])
            .iter()
            .map(|policy| policy["PolicyDocument"].to_string().chars().count())
            .sum();
        if characters > 10_240 {
            let why = format!("{characters} characters of {} statements; there are 10240", of_role(role).len());
            findings.push(finding(&role.name, "Policies", "limits/policy", why));
        }
    }
    for policy in stack.each("SQS::QueuePolicy") {
        let document = &policy.properties["PolicyDocument"];
        let (bytes, all) = (document.to_string().len(), statements(document, ""));
        if bytes > 8_192 || all.len() > 20 || all.iter().any(|statement| statement.actions.len() > 7) {
            let why = format!("{bytes} bytes, {} statements; there are 8192 and 20, of 7 actions", all.len());
            findings.push(finding(&policy.name, "PolicyDocument", "limits/policy", why));
        }
    }
}
