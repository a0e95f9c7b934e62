//! Whether CloudFormation would take a template: what it names exists and can be made in some order, rights are on what they
//! are for, and what `cfn-lint` and `checkov` say.

use crate::Finding;
use crate::external::run;
use crate::value::{entries, items, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The attributes of each type that we name.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("AWS::ApiGatewayV2::Api", "ApiEndpoint"),
    ("AWS::DynamoDB::Table", "Arn"),
    ("AWS::IAM::Role", "Arn"),
    ("AWS::Lambda::Version", "Version"),
    ("AWS::Logs::LogGroup", "Arn"),
    ("AWS::S3::Bucket", "Arn"),
    ("AWS::SQS::Queue", "Arn"),
];

/// Actions that AWS ties to no resource.
const ON_EVERYTHING: [&str; 2] = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"];

/// Policies of checkov's that do not apply, each with the reason.
const WAIVED: [(&str, &str); 9] = [
    (
        "CKV_AWS_18",
        "access logs of a bucket are another bucket, with a bill of its own: an account's decision, as CloudTrail is",
    ),
    ("CKV_AWS_27", "queues are encrypted with SQS's own key, which the rule does not count"),
    (
        "CKV_AWS_115",
        "functions share the account's concurrency unless `reserved` says otherwise: an unasked limit turns requests away",
    ),
    ("CKV_AWS_116", "of asynchronous invocations: there are none, each queue has dead letters of its own"),
    ("CKV_AWS_117", "functions reach AWS's services and hosts outside, nothing in a private network"),
    ("CKV_AWS_119", "tables are encrypted with AWS's own key; one of the customer's has a bill and rights of its own"),
    ("CKV_AWS_149", "secrets are encrypted with the account's key for Secrets Manager"),
    ("CKV_AWS_158", "logs are encrypted with AWS's own key"),
    ("CKV_AWS_173", "variables hold names and no secrets, and are encrypted with the account's key for Lambda"),
];

fn finding(object: &str, path: &str, rule: &'static str, message: String) -> Finding {
    Finding { object: object.to_owned(), path: path.to_owned(), rule, message }
}

/// All that can be said without other people's programs.
pub fn check(template: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, resource) in entries(&template["Resources"]) {
        let mut named = Vec::new();
        references(&resource["Properties"], "Properties", &mut named);
        for other in items(&resource["DependsOn"]) {
            named.push(("DependsOn".to_owned(), text(other).to_owned(), None));
        }
        let edges = edges.entry(name).or_default();
        for (path, other, attribute) in named {
            findings.extend(
                dangling(template, &other, attribute.as_deref())
                    .map(|why| finding(name, &path, "cloudformation/reference", why)),
            );
            edges.insert(other);
        }
        rights(name, resource, &mut findings);
    }
    for (name, output) in entries(&template["Outputs"]) {
        let mut named = Vec::new();
        references(&output["Value"], "Value", &mut named);
        for (path, other, attribute) in named {
            findings.extend(
                dangling(template, &other, attribute.as_deref())
                    .map(|why| finding(name, &path, "cloudformation/reference", why)),
            );
        }
    }
    // What is left once everything is made that can be.
    loop {
        let ready: Vec<&str> = edges
            .iter()
            .filter(|(_, named)| !named.iter().any(|other| edges.contains_key(other.as_str())))
            .map(|(name, _)| *name)
            .collect();
        if ready.is_empty() {
            break;
        }
        edges.retain(|name, _| !ready.contains(name));
    }
    if let Some((name, _)) = edges.first_key_value() {
        let names: Vec<&str> = edges.keys().copied().collect();
        findings.push(finding(
            name,
            "",
            "cloudformation/circle",
            format!("needs itself, through {}", names.join(", ")),
        ));
    }
    findings
}

/// Why a name is none.
fn dangling(template: &Value, name: &str, attribute: Option<&str>) -> Option<String> {
    if name.starts_with("AWS::") {
        return None;
    }
    let resource = &template["Resources"][name];
    match attribute {
        None if resource.is_null() && template["Parameters"][name].is_null() => Some(format!("there is no {name}")),
        None => None,
        Some(_) if resource.is_null() => Some(format!("there is no resource {name}")),
        Some(attribute) => {
            let kind = text(&resource["Type"]);
            let known = ATTRIBUTES.contains(&(kind, attribute));
            (!known).then(|| format!("{kind} has no attribute {attribute}"))
        }
    }
}

/// Every name in a value: path, logical id, attribute.
fn references(value: &Value, path: &str, found: &mut Vec<(String, String, Option<String>)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = format!("{path}/{key}");
                match key.as_str() {
                    "Ref" => found.push((path, text(inner).to_owned(), None)),
                    "Fn::GetAtt" => {
                        let [name, attribute] = [&inner[0], &inner[1]].map(|part| text(part).to_owned());
                        found.push((path, name, Some(attribute)));
                    }
                    "Fn::Sub" => {
                        let own: BTreeSet<&String> = entries(&inner[1]).map(|(name, _)| name).collect();
                        let template = inner.as_str().unwrap_or_else(|| text(&inner[0]));
                        for hole in holes(template).into_iter().filter(|hole| !own.contains(hole)) {
                            let (name, attribute) = match hole.split_once('.') {
                                Some((name, attribute)) => (name.to_owned(), Some(attribute.to_owned())),
                                None => (hole, None),
                            };
                            found.push((path.clone(), name, attribute));
                        }
                        references(&inner[1], &path, found);
                    }
                    _ => references(inner, &path, found),
                }
            }
        }
        Value::Array(list) => {
            for (at, inner) in list.iter().enumerate() {
                references(inner, &format!("{path}/{at}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands in `${…}`; `${!…}` is text.
fn holes(template: &str) -> Vec<String> {
    let parts = template.split("${").skip(1).filter(|part| !part.starts_with('!'));
    parts.filter_map(|part| part.split_once('}')).map(|(hole, _)| hole.to_owned()).collect()
}

/// A role's statements: actions by their names, on something.
fn rights(name: &str, resource: &Value, findings: &mut Vec<Finding>) {
    for policy in items(&resource["Properties"]["Policies"]) {
        for statement in items(&policy["PolicyDocument"]["Statement"]) {
            let sid = text(&statement["Sid"]);
            let everything = items(&statement["Resource"]).iter().any(|resource| text(resource).contains('*'));
            for action in items(&statement["Action"]).iter().map(text) {
                let said = if action.contains('*') {
                    format!("allows {action}")
                } else if everything && !ON_EVERYTHING.contains(&action) {
                    format!("allows {action} on everything")
                } else {
                    continue;
                };
                findings.push(finding(name, sid, "cloudformation/rights", said));
            }
        }
    }
}

/// What `cfn-lint` says of a template.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn cfn_lint(template: &Path, folder: &Path) -> Result<Vec<Finding>, String> {
    let arguments = ["--format", "json", "--regions", "eu-central-1", "--template", &template.to_string_lossy()];
    let Some(output) = run("cfn-lint", &arguments, folder)? else { return Ok(Vec::new()) };
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.trim().is_empty() {
        return Ok(Vec::new());
    }
    let said: Value = serde_json::from_str(&said)
        .map_err(|error| format!("cfn-lint said {said}{}: {error}", String::from_utf8_lossy(&output.stderr)))?;
    let one = |found: &Value| {
        let path: Vec<String> = items(&found["Location"]["Path"]).iter().map(|part| text(part).to_owned()).collect();
        let message = format!("{} {}", text(&found["Rule"]["Id"]), text(&found["Message"]));
        finding("template", &path.join("/"), "external/cfn-lint", message)
    };
    Ok(items(&said).iter().map(one).collect())
}

/// What `checkov` says of the templates in a folder, but for what is waived.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn checkov(folder: &Path) -> Result<Vec<Finding>, String> {
    let waived = WAIVED.map(|(rule, _)| rule).join(",");
    crate::external::checkov_in(folder, "cloudformation", &waived)
}
