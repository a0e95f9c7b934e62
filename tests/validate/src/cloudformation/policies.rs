//! Policies: what a role allows, whom a queue lets in, and what is said of everything.

use super::finding;
use super::resolve::{ACCOUNT, Made, Stack, one_or_many};
use crate::Finding;
use crate::value::{entries, items, text};
use serde_json::Value;

/// What is allowed or refused on more than single things, and why. There is nothing else of the kind.
const WILDCARDS: [(&str, On, &str); 17] = [
    ("xray:PutTraceSegments", On::Everything, "X-Ray has no ARN for what is sent to it"),
    ("xray:PutTelemetryRecords", On::Everything, "X-Ray has no ARN for what is sent to it"),
    ("logs:CreateLogStream", On::Streams, "each of a function's environments makes a stream of its own"),
    ("logs:PutLogEvents", On::Streams, "each of a function's environments writes to a stream of its own"),
    ("s3:GetObject", On::Objects, "the application chooses its objects' keys as it runs"),
    ("s3:PutObject", On::Objects, "the application chooses its objects' keys as it runs"),
    ("s3:AbortMultipartUpload", On::Objects, "the application chooses its objects' keys as it runs"),
    ("s3:DeleteObject", On::Objects, "the application chooses its objects' keys as it runs"),
    ("s3:*", On::RefusedBucket, "what does not come by TLS is refused, whatever it is"),
    ("s3:*", On::RefusedObjects, "what does not come by TLS is refused, whatever it is"),
    (
        "ec2:CreateNetworkInterface",
        On::Everything,
        "Lambda has yet to make the interfaces of a function in a network, and its code is refused it",
    ),
    ("ec2:DescribeNetworkInterfaces", On::Everything, "EC2 has no ARN for what is listed"),
    ("ec2:DescribeSubnets", On::Everything, "EC2 has no ARN for what is listed"),
    (
        "ec2:DeleteNetworkInterface",
        On::Everything,
        "Lambda alone knows the interfaces that it made, and a function's code is refused them",
    ),
    (
        "ec2:AssignPrivateIpAddresses",
        On::Everything,
        "Lambda alone knows the interfaces that it made, and a function's code is refused them",
    ),
    (
        "ec2:UnassignPrivateIpAddresses",
        On::Everything,
        "Lambda alone knows the interfaces that it made, and a function's code is refused them",
    ),
    ("lambda:InvokeFunction", On::Requests, "a function answers all routes of its API that lead to it"),
];

/// What something is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// `*`
    Everything,
    /// A log group's streams.
    Streams,
    /// What is in a bucket.
    Objects,
    /// A bucket that refuses it, to everybody.
    RefusedBucket,
    /// What is in a bucket that refuses it, to everybody.
    RefusedObjects,
    /// All requests of an API.
    Requests,
}

/// A statement.
pub(super) struct Statement<'a> {
    pub(super) path: String,
    allows: bool,
    principal: &'a Value,
    pub(super) actions: Vec<&'a str>,
    pub(super) resources: Vec<&'a str>,
    condition: &'a Value,
}

/// The statements of a policy's document.
pub(super) fn statements<'a>(document: &'a Value, path: &str) -> Vec<Statement<'a>> {
    let all = match &document["Statement"] {
        one @ Value::Object(_) => std::slice::from_ref(one),
        many => items(many),
    };
    let statement = |(at, statement): (usize, &'a Value)| Statement {
        path: match text(&statement["Sid"]) {
            "" => format!("{path}/{at}"),
            sid => format!("{path}/{sid}"),
        },
        allows: statement["Effect"] == "Allow",
        principal: &statement["Principal"],
        actions: one_or_many(&statement["Action"]),
        resources: one_or_many(&statement["Resource"]),
        condition: &statement["Condition"],
    };
    all.iter().enumerate().map(statement).collect()
}

/// What a role allows and refuses.
pub(super) fn of_role(role: &Made) -> Vec<Statement<'_>> {
    let policies = items(&role.properties["Policies"]).iter();
    policies.flat_map(|policy| statements(&policy["PolicyDocument"], text(&policy["PolicyName"]))).collect()
}

/// Whether a role's statements allow an action on an ARN, by its own name.
pub(super) fn allow(statements: &[Statement<'_>], action: &str, arn: &str) -> bool {
    let on = |statement: &&Statement<'_>| statement.actions.contains(&action) && statement.resources.contains(&arn);
    // What is refused a function's code alone is not refused who else has its role.
    let said: Vec<&Statement<'_>> = statements.iter().filter(on).filter(|one| !one.is_about_code()).collect();
    !said.is_empty() && said.iter().all(|statement| statement.allows && statement.condition.is_null())
}

/// Whether a function's own code is refused an action on everything, which its role allows Lambda.
pub(super) fn is_for_lambda_alone(statements: &[Statement<'_>], action: &str) -> bool {
    let on = |statement: &&Statement<'_>| statement.actions.contains(&action) && statement.resources == ["*"];
    statements.iter().filter(on).any(|statement| !statement.allows && statement.is_about_code())
}

impl Statement<'_> {
    /// Whether it is about requests of a function's own code, whichever that is.
    fn is_about_code(&self) -> bool {
        let functions = format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:*");
        !self.allows
            && entries(self.condition).count() == 1
            && entries(&self.condition["ArnLike"]).count() == 1
            && self.condition["ArnLike"]["lambda:SourceFunctionArn"] == functions
    }
}

/// The services that may take on a role.
pub(super) fn trusted(role: &Made) -> Vec<&str> {
    let all = statements(&role.properties["AssumeRolePolicyDocument"], "");
    let taken = all.iter().filter(|statement| statement.allows && statement.actions == ["sts:AssumeRole"]);
    taken.flat_map(|statement| one_or_many(&statement.principal["Service"])).collect()
}

/// A condition's values for a key, under the operators that ask for equality.
fn asked<'a>(condition: &'a Value, key: &str) -> Vec<&'a str> {
    let equal = ["ArnEquals", "ArnLike", "StringEquals", "StringLike"];
    let operators = entries(condition).filter(|(operator, _)| equal.contains(&operator.as_str()));
    operators.flat_map(|(_, keys)| one_or_many(&keys[key])).collect()
}

/// Why a queue does not let in what a service sends it for a source; `None` if it does.
pub(super) fn kept_out(stack: &Stack, queue: &Made, service: &str, source: &str) -> Option<String> {
    let arn = queue.arn.as_deref().unwrap_or_default();
    let policies = policies_of(stack, queue);
    let all: Vec<Statement<'_>> =
        policies.iter().flat_map(|policy| statements(&policy.properties["PolicyDocument"], "")).collect();
    let lets = all.iter().any(|statement| {
        statement.allows
            && statement.actions.contains(&"sqs:SendMessage")
            && statement.resources.contains(&arn)
            && one_or_many(&statement.principal["Service"]).contains(&service)
            && asked(statement.condition, "aws:SourceArn") == [source]
    });
    (!lets).then(|| format!("{} lets nothing in that {service} sends for {source}", queue.name))
}

/// Whether a bucket refuses what does not come by TLS.
pub(super) fn refuses_the_clear(stack: &Stack, bucket: &Made) -> bool {
    let arn = bucket.arn.as_deref().unwrap_or_default();
    let inside = format!("{arn}/*");
    stack.each("S3::BucketPolicy").filter(|policy| policy.text("/Bucket") == bucket.reference).any(|policy| {
        statements(&policy.properties["PolicyDocument"], "").iter().any(|statement| {
            !statement.allows
                && statement.principal == "*"
                && statement.actions == ["s3:*"]
                && statement.resources == [arn, &inside]
                && text(&statement.condition["Bool"]["aws:SecureTransport"]) == "false"
        })
    })
}

/// The policies of a queue.
pub(super) fn policies_of<'a>(stack: &'a Stack, queue: &Made) -> Vec<&'a Made> {
    let of = |policy: &&Made| one_or_many(&policy.properties["Queues"]).contains(&queue.reference.as_str());
    stack.each("SQS::QueuePolicy").filter(of).collect()
}

/// All documents of what is allowed, with whose they are. (Who may take on a role is none: it is about no resource.)
pub(super) fn documents(stack: &Stack) -> Vec<(&str, &Value)> {
    let mut all = Vec::new();
    for made in stack.all() {
        for policy in items(&made.properties["Policies"]) {
            all.push((made.name.as_str(), &policy["PolicyDocument"]));
        }
        let own = &made.properties["PolicyDocument"];
        all.extend((!own.is_null()).then_some((made.name.as_str(), own)));
    }
    all
}

/// Whom policies let in, and what they say of everything.
pub(super) fn check(stack: &Stack, findings: &mut Vec<Finding>) {
    for made in stack.all() {
        let of_resource = ["AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy"];
        match made.kind.as_str() {
            "AWS::IAM::Role" => role(stack, made, findings),
            kind if of_resource.contains(&kind) => {
                for statement in statements(&made.properties["PolicyDocument"], "") {
                    wildcards(stack, made, &statement, findings);
                    services(stack, made, &statement, findings);
                    if statement.allows {
                        let refuse = |why: String| finding(&made.name, &statement.path, "grants/source", why);
                        findings.extend(outsiders(&statement).map(refuse));
                    }
                }
            }
            "AWS::Lambda::Permission" => permission(stack, made, findings),
            _ => {}
        }
    }
}

fn role(stack: &Stack, role: &Made, findings: &mut Vec<Finding>) {
    for statement in of_role(role) {
        wildcards(stack, role, &statement, findings);
        services(stack, role, &statement, findings);
    }
    for managed in one_or_many(&role.properties["ManagedPolicyArns"]) {
        findings.push(finding(&role.name, "ManagedPolicyArns", "grants/unneeded", format!("has all of {managed}")));
    }
    for statement in statements(&role.properties["AssumeRolePolicyDocument"], "AssumeRolePolicyDocument") {
        // Lambda says for no account for whom it takes on a role; everybody else does.
        let who = one_or_many(&statement.principal["Service"]);
        let account = asked(statement.condition, "aws:SourceAccount") == [ACCOUNT];
        let open = statement.actions != ["sts:AssumeRole"]
            || !matches!(who[..], [service] if service == "lambda.amazonaws.com" || account);
        if open {
            let why = format!("{who:?} may take it on, for whichever account");
            findings.push(finding(&role.name, &statement.path, "grants/trust", why));
        }
    }
}

/// Why a statement of a resource's lets in more than one source of a service's, in this account.
fn outsiders(statement: &Statement<'_>) -> Option<String> {
    let services = one_or_many(&statement.principal["Service"]);
    let sources = asked(statement.condition, "aws:SourceArn");
    match (services.len(), sources.len(), asked(statement.condition, "aws:SourceAccount")[..] == [ACCOUNT]) {
        (1, 1, true) => None,
        (1, 0, _) => Some(format!("lets {} in, whoever sends by it", services[0])),
        (1, 1, false) => Some(format!("lets {} in, for whichever account", services[0])),
        _ => Some(format!("lets {} in", statement.principal)),
    }
}

/// Actions on nothing that they can be done to: of another service, or that is not in the stack.
fn services(stack: &Stack, made: &Made, statement: &Statement<'_>, findings: &mut Vec<Finding>) {
    let mut refuse = |why: String| findings.push(finding(&made.name, &statement.path, "grants/service", why));
    for resource in statement.resources.iter().filter(|resource| **resource != "*") {
        let service = resource.strip_prefix("arn:aws:").and_then(|rest| rest.split(':').next()).unwrap_or("no service");
        for action in statement.actions.iter().filter(|action| action.split(':').next() != Some(service)) {
            refuse(format!("{action} on {resource}, which is of {service}"));
        }
        let whole = resource.strip_suffix("/*").unwrap_or(resource);
        if !stack.all().any(|made| made.is(resource) || made.is(whole)) {
            refuse(format!("there is no {resource}"));
        }
    }
    if statement.actions.is_empty() || statement.resources.is_empty() {
        refuse("says nothing, or of nothing".to_owned());
    }
}

/// What a statement says of more than single things, unless that has been looked at.
fn wildcards(stack: &Stack, made: &Made, statement: &Statement<'_>, findings: &mut Vec<Finding>) {
    let all = |kind: &str, arn: &str| stack.by_arn(kind, arn).is_some();
    for action in &statement.actions {
        for resource in &statement.resources {
            let within = resource.strip_suffix("/*").filter(|bucket| all("S3::Bucket", bucket));
            let on = match *resource {
                "*" => Some(On::Everything),
                group if all("Logs::LogGroup", group) => Some(On::Streams),
                _ if within.is_some() && statement.allows => Some(On::Objects),
                _ if within.is_some() => Some(On::RefusedObjects),
                bucket if all("S3::Bucket", bucket) && !statement.allows => Some(On::RefusedBucket),
                _ => None,
            };
            let known = on.is_some_and(|on| WILDCARDS.iter().any(|(name, of, _)| (name, *of) == (action, on)));
            if (action.contains('*') || resource.contains('*')) && !known {
                let why = format!("{action} on {resource}");
                findings.push(finding(&made.name, &statement.path, "grants/wildcard", why));
            }
        }
    }
    if statement.allows && statement.principal.to_string().contains('*') {
        findings.push(finding(&made.name, &statement.path, "grants/wildcard", "anyone may".to_owned()));
    }
}

/// Who else may invoke a function: one service of AWS's, for one source; or anyone, by its URL.
fn permission(stack: &Stack, made: &Made, findings: &mut Vec<Finding>) {
    if super::machinery::is_of_a_url(stack, made) {
        return;
    }
    let mut refuse = |rule, why: String| findings.push(finding(&made.name, "SourceArn", rule, why));
    let (action, source) = (made.text("/Action"), made.text("/SourceArn"));
    if source.is_empty() {
        refuse("grants/source", format!("lets {} in, whoever asks by it", made.text("/Principal")));
    }
    let api = |api: &Made| source == format!("{}/*", requests_of(api));
    let known = WILDCARDS.iter().any(|(name, on, _)| *name == action && *on == On::Requests);
    if (action.contains('*') || source.contains('*')) && !(known && stack.each("ApiGatewayV2::Api").any(api)) {
        refuse("grants/wildcard", format!("{action} for {source}"));
    }
    if !made.text("/Principal").ends_with(".amazonaws.com") {
        refuse("grants/source", format!("lets {} in", made.text("/Principal")));
    }
}

/// What the ARN of each request of an API begins with.
pub(super) fn requests_of(api: &Made) -> String {
    format!("arn:aws:execute-api:eu-central-1:{ACCOUNT}:{}", api.reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wildcard_has_a_reason() {
        for (action, on, why) in WILDCARDS {
            assert!(!why.is_empty(), "{action} {on:?}");
        }
    }
}
