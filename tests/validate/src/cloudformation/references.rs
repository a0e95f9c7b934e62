//! What a template names exists, and can be made in some order.

use super::finding;
use super::resolve::one_or_many;
use crate::Finding;
use crate::value::{entries, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The attributes of each type that we name.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("AWS::ApiGatewayV2::Api", "ApiEndpoint"),
    ("AWS::CloudWatch::Alarm", "Arn"),
    ("AWS::DynamoDB::Table", "Arn"),
    ("AWS::IAM::Role", "Arn"),
    ("AWS::Lambda::Function", "Arn"),
    ("AWS::Lambda::Url", "FunctionUrl"),
    ("AWS::Lambda::Version", "Version"),
    ("AWS::Logs::LogGroup", "Arn"),
    ("AWS::S3::Bucket", "Arn"),
    ("AWS::SQS::Queue", "Arn"),
    ("AWS::SecretsManager::Secret", "Id"),
];

pub(super) fn check(template: &Value, findings: &mut Vec<Finding>) {
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, resource) in entries(&template["Resources"]) {
        let mut named = Vec::new();
        references(&resource["Properties"], "Properties", &mut named);
        references(&resource["UpdatePolicy"], "UpdatePolicy", &mut named);
        for other in one_or_many(&resource["DependsOn"]) {
            named.push(("DependsOn".to_owned(), other.to_owned(), None));
        }
        let edges = edges.entry(name).or_default();
        for (path, other, attribute) in named {
            findings.extend(
                dangling(template, &other, attribute.as_deref())
                    .map(|why| finding(name, &path, "cloudformation/reference", why)),
            );
            edges.insert(other);
        }
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
