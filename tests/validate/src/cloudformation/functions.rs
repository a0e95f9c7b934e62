//! Functions: what they run as, what they are told and may do.

use super::finding;
use super::machinery::unneeded;
use super::policies::{allow, is_for_lambda_alone, of_role, trusted};
use super::resolve::{Made, Stack, one_or_many};
use crate::Finding;
use crate::value::{entries, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a function is told of: a kind of its variable, the actions that it can't do without, and the others that it may have.
const RIGHTS: [(&str, &[&str], &[&str]); 11] = [
    ("queue", &["sqs:SendMessage"], &[]),
    ("dead-letters", &["sqs:SendMessage"], &[]),
    ("unsent", &["sqs:SendMessage"], &[]),
    (
        "consumes",
        &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"],
        // What a newer version sent is sent again.
        &["sqs:SendMessage"],
    ),
    ("topic", &["sns:Publish"], &[]),
    (
        "store",
        &[],
        &[
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:Scan",
            "dynamodb:Query",
            "dynamodb:PutItem",
            "dynamodb:DeleteItem",
            "dynamodb:BatchWriteItem",
        ],
    ),
    (
        "once",
        &["dynamodb:GetItem", "dynamodb:PutItem"],
        &["dynamodb:BatchGetItem", "dynamodb:Scan", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"],
    ),
    ("bucket", &[], &["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"]),
    ("secret", &["secretsmanager:GetSecretValue"], &[]),
    ("database", &["secretsmanager:GetSecretValue"], &[]),
    ("function", &["lambda:InvokeFunction"], &[]),
];
const LOGS: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];
const TRACES: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
const NETWORK: [&str; 6] = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
];

pub(super) fn check(stack: &Stack, findings: &mut Vec<Finding>) {
    stack.each("Lambda::Function").for_each(|of| function(stack, of, findings));
    stack.each("Lambda::Alias").for_each(|of| alias(stack, of, findings));
    for role in stack.each("IAM::Role") {
        let arn = role.arn.as_deref().unwrap_or_default();
        let functions = stack.each("Lambda::Function").filter(|function| function.text("/Role") == arn);
        let schedules = stack.each("Scheduler::Schedule").filter(|schedule| schedule.text("/Target/RoleArn") == arn);
        let groups = stack.each("CodeDeploy::DeploymentGroup").filter(|group| group.text("/ServiceRoleArn") == arn);
        let users = functions.count() + schedules.count() + groups.count();
        if users != 1 {
            let why = format!("{users} functions, schedules and rollouts run as it");
            findings.push(finding(&role.name, "", "grants/unneeded", why));
        }
    }
    stack.each("ApiGatewayV2::Stage").for_each(|stage| {
        let (path, arn) = ("AccessLogSettings", stage.text("/AccessLogSettings/DestinationArn"));
        if stack.by_arn("Logs::LogGroup", arn).is_none() {
            findings.push(finding(&stage.name, path, "arn", format!("{arn} is no log group")));
        }
    });
}

fn function(stack: &Stack, function: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&function.name, path, rule, why));
    numbers(function, &mut refuse);
    let arn = function.text("/Role");
    let Some(role) = stack.by_arn("IAM::Role", arn) else {
        refuse("arn", "Role", format!("{arn} is no role's ARN"));
        return;
    };
    if trusted(role) != ["lambda.amazonaws.com"] {
        refuse("grants/trust", "Role", format!("Lambda may not take on {}", role.name));
    }
    let rights = of_role(role);
    let mut needed: Vec<(&str, String)> = Vec::new();

    let group = function.text("/LoggingConfig/LogGroup");
    match stack.by_reference("Logs::LogGroup", group).and_then(|group| group.arn.clone()) {
        None => refuse("grants/logs", "LoggingConfig", format!("{group} is no log group of the stack")),
        Some(arn) => {
            for action in LOGS.iter().filter(|action| !allow(&rights, action, &arn)) {
                refuse("grants/logs", "LoggingConfig", format!("{} does not allow {action} on {group}", role.name));
            }
            needed.extend(LOGS.map(|action| (action, arn.clone())));
        }
    }
    for action in TRACES.iter().filter(|action| !allow(&rights, action, "*")) {
        refuse("grants/traces", "TracingConfig", format!("{} does not allow {action}", role.name));
    }
    // Lambda's own, in the function's name.
    if !function.properties["VpcConfig"].is_null() {
        for action in NETWORK.iter().filter(|action| !allow(&rights, action, "*")) {
            refuse("grants/network", "VpcConfig", format!("{} does not allow {action}", role.name));
        }
        for action in NETWORK.iter().filter(|action| !is_for_lambda_alone(&rights, action)) {
            refuse("grants/network", "VpcConfig", format!("{} allows its own code {action}", role.name));
        }
    }
    let told = function.text("/Environment/Variables/UPDRAFT_RESOURCES");
    let Ok(told) = serde_json::from_str::<BTreeMap<String, String>>(told) else {
        refuse("grants/told", "UPDRAFT_RESOURCES", format!("{told} is no object of texts"));
        return;
    };
    let mut keys = Vec::new();
    for (key, value) in &told {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let Some((_, always, also)) = RIGHTS.iter().find(|(known, ..)| *known == kind) else {
            refuse("grants/told", key, "is nothing that a function is told of".to_owned());
            continue;
        };
        let Some(found) = addressed(stack, kind, if kind == "consumes" { rest } else { value }) else {
            refuse("grants/told", key, format!("{value} is nothing in the stack"));
            continue;
        };
        let always = if found.kind == "AWS::SSM::Parameter" { &["ssm:GetParameter"][..] } else { always };
        let arn = found.arn.clone().unwrap_or_default();
        let inside = format!("{arn}/*");
        let has = |action: &str| allow(&rights, action, &arn) || allow(&rights, action, &inside);
        for action in always.iter().filter(|action| !has(action)) {
            refuse("grants/told", key, format!("{} does not allow {action} on {}", role.name, found.name));
        }
        if always.is_empty() && !also.iter().any(|action| has(action)) {
            refuse("grants/told", key, format!("{} allows nothing on {}", role.name, found.name));
        }
        let is_polled = || {
            let mut mappings = stack.each("Lambda::EventSourceMapping");
            mappings.any(|mapping| mapping.text("/EventSourceArn") == arn)
        };
        if kind == "consumes" && !is_polled() {
            refuse("grants/told", key, format!("nobody takes from {}", found.name));
        }
        for action in always.iter().chain(*also) {
            // Objects are in the bucket; it is listed itself.
            let of = if kind == "bucket" && *action != "s3:ListBucket" { &inside } else { &arn };
            needed.push((action, of.clone()));
        }
        keys.extend(key_of(found).map(|key| (found, key)));
    }
    keys.extend(Some(function.text("/KmsKeyArn")).filter(|key| !key.is_empty()).map(|key| (function, key)));
    for (found, key) in keys {
        // The account's own keys for a service need no grant.
        if key.starts_with("alias/aws/") {
            continue;
        }
        for action in ["kms:Decrypt", "kms:GenerateDataKey"] {
            if !allow(&rights, action, key) {
                let why = format!("{} does not allow {action} on the key of {}", role.name, found.name);
                refuse("grants/key", "Role", why);
            }
            needed.push((action, key.to_owned()));
        }
    }
    let needed: Vec<(&str, &str)> = needed.iter().map(|(action, arn)| (*action, arn.as_str())).collect();
    unneeded(role, &needed, findings);
}

/// What a function's variable names.
fn addressed<'a>(stack: &'a Stack, kind: &str, address: &str) -> Option<&'a Made> {
    match kind {
        "queue" | "dead-letters" | "unsent" => stack.by_reference("SQS::Queue", address),
        "consumes" => stack.by_arn("SQS::Queue", address),
        "topic" => stack.by_reference("SNS::Topic", address),
        "store" | "once" => stack.by_reference("DynamoDB::Table", address),
        "bucket" => stack.by_reference("S3::Bucket", address),
        "secret" | "database" => {
            let secret = stack.by_reference("SecretsManager::Secret", address);
            secret.or_else(|| stack.by_reference("SSM::Parameter", address))
        }
        "function" => stack.by_arn("Lambda::Alias", address),
        _ => None,
    }
}

/// The key that encrypts something, if it names one.
fn key_of(made: &Made) -> Option<&str> {
    let places = [
        "/KmsMasterKeyId",
        "/KmsKeyId",
        "/SSESpecification/KMSMasterKeyId",
        "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/KMSMasterKeyID",
    ];
    places.into_iter().map(|place| made.text(place)).find(|key| !key.is_empty())
}

/// What the code comes in, and what runs it: an image says that itself.
fn package(function: &Made, refuse: &mut impl FnMut(&'static str, &str, String)) {
    let code: Vec<&String> = entries(&function.properties["Code"]).map(|(name, _)| name).collect();
    let (runtime, handler) = (function.text("/Runtime"), function.text("/Handler"));
    if function.text("/PackageType") == "Image" {
        if code != ["ImageUri"] {
            refuse("values/code", "Code", format!("{code:?}; an image is one"));
        }
        if !runtime.is_empty() || !handler.is_empty() {
            refuse("values/runtime", "Runtime", "an image says itself what is run".to_owned());
        }
        return;
    }
    if code != ["S3Bucket", "S3Key"] {
        refuse("values/code", "Code", format!("{code:?}; a zip lies in a bucket"));
    }
    if runtime != "provided.al2023" || handler != "bootstrap" {
        refuse("values/runtime", "Runtime", "the zip holds a bootstrap for provided.al2023".to_owned());
    }
}

fn numbers(function: &Made, refuse: &mut impl FnMut(&'static str, &str, String)) {
    let memory = function.number("/MemorySize").unwrap_or(128);
    if !(128..=10_240).contains(&memory) {
        refuse("values/memory", "MemorySize", format!("{memory} MB; it is 128 to 10240"));
    }
    let timeout = function.number("/Timeout").unwrap_or(3);
    if !(1..=900).contains(&timeout) {
        refuse("values/timeout", "Timeout", format!("{timeout} s; it is 1 to 900"));
    }
    package(function, refuse);
    let architectures = one_or_many(&function.properties["Architectures"]);
    if architectures != ["arm64"] && architectures != ["x86_64"] {
        refuse("values/runtime", "Architectures", format!("{architectures:?}"));
    }
    let variables = &function.properties["Environment"]["Variables"];
    let bytes: usize = entries(variables).map(|(name, value)| name.len() + text(value).len()).sum();
    if bytes > 4_096 {
        refuse("limits/environment", "Environment", format!("{bytes} bytes; there are 4096"));
    }
    for (name, value) in entries(variables) {
        if value.as_str().is_none() || name.starts_with("AWS_") {
            refuse("values/environment", name, format!("{value} under this name"));
        }
    }
    for needed in ["UPDRAFT_BINDING", "UPDRAFT_UNIT"] {
        if variables.get(needed).is_none_or(Value::is_null) {
            refuse("values/environment", needed, "it would not know what it is".to_owned());
        }
    }
}

/// An alias is of a version of its own function.
fn alias(stack: &Stack, alias: &Made, findings: &mut Vec<Finding>) {
    let named = alias.text("/FunctionName");
    let version = |version: &Made| version.text("/FunctionName") == named;
    if stack.by_reference("Lambda::Function", named).is_none()
        || alias.text("/FunctionVersion") != "1"
        || !stack.each("Lambda::Version").any(version)
    {
        let why = format!("is of no version of {named}");
        findings.push(finding(&alias.name, "FunctionVersion", "grants/alias", why));
    }
}
