//! What AWS's own machinery needs to carry messages and requests: pollers, APIs, topics, buckets, the scheduler. No emulator
//! asks for it, and AWS does so at the first message.

use super::finding;
use super::policies::{allow, kept_out, of_role, refuses_the_clear, requests_of, trusted};
use super::resolve::{Made, Stack, one_or_many};
use crate::Finding;
use crate::value::{entries, items, text};
use serde_json::Value;

/// What Lambda does to a queue in a function's name, and the runtime between two attempts.
const POLLER: [&str; 4] =
    ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"];
/// The queues of a stack are hidden for so many times as long as their function may take.
const VISIBILITY_TIMEOUTS: u64 = 6;

pub(super) fn check(stack: &Stack, findings: &mut Vec<Finding>) {
    stack.each("Lambda::EventSourceMapping").for_each(|mapping| poller(stack, mapping, findings));
    stack.each("ApiGatewayV2::Integration").for_each(|integration| api(stack, integration, findings));
    stack.each("ApiGatewayV2::Route").for_each(|of| route(stack, of, findings));
    stack.each("Lambda::Url").for_each(|of| url(stack, of, findings));
    stack.each("Lambda::Permission").for_each(|of| permission(stack, of, findings));
    stack.each("SNS::Subscription").for_each(|of| subscription(stack, of, findings));
    stack.each("SQS::QueuePolicy").for_each(|policy| let_in(stack, policy, findings));
    for bucket in stack.each("S3::Bucket") {
        notifications(stack, bucket, findings);
        if !refuses_the_clear(stack, bucket) {
            findings.push(finding(&bucket.name, "", "values/encryption", "takes what does not come by TLS".to_owned()));
        }
    }
    stack.each("Scheduler::Schedule").for_each(|schedule| ticks(stack, schedule, findings));
    for queue in stack.each("SQS::Queue") {
        redrive(stack, queue, findings);
        if queue.properties["SqsManagedSseEnabled"] != true && queue.text("/KmsMasterKeyId").is_empty() {
            findings.push(finding(&queue.name, "", "values/encryption", "is not encrypted".to_owned()));
        }
        if !queue.number("/MessageRetentionPeriod").is_some_and(|seconds| (60..=1_209_600).contains(&seconds)) {
            findings.push(finding(
                &queue.name,
                "MessageRetentionPeriod",
                "values/kept",
                "1 minute to 14 days".to_owned(),
            ));
        }
    }
    for api in stack.each("ApiGatewayV2::Api") {
        let mut stages = stack.each("ApiGatewayV2::Stage");
        if !stages.any(|stage| stage.text("/ApiId") == api.reference && stage.properties["AutoDeploy"] == true) {
            findings.push(finding(&api.name, "", "grants/route", "no stage of it is deployed".to_owned()));
        }
        let all_others = |of: &Made| of.text("/ApiId") == api.reference && of.text("/RouteKey") == "$default";
        if !stack.each("ApiGatewayV2::Route").any(all_others) {
            let why = "answers what no route is for itself, as no other place does".to_owned();
            findings.push(finding(&api.name, "", "grants/route", why));
        }
    }
}

/// The function of an alias, its version and its role.
pub(super) fn served<'a>(stack: &'a Stack, alias: &str) -> Option<(&'a Made, &'a Made)> {
    let alias = stack.by_arn("Lambda::Alias", alias)?;
    let function = stack.by_reference("Lambda::Function", alias.text("/FunctionName"))?;
    Some((function, stack.by_arn("IAM::Role", function.text("/Role"))?))
}

fn is_fifo(queue: &Made) -> bool {
    queue.properties["FifoQueue"] == true
}

fn poller(stack: &Stack, mapping: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&mapping.name, path, rule, why));
    let (source, alias) = (mapping.text("/EventSourceArn"), mapping.text("/FunctionName"));
    let Some((function, role)) = served(stack, alias) else {
        refuse("grants/alias", "FunctionName", format!("{alias} is no alias of a function with a role"));
        return;
    };
    let Some(queue) = stack.by_arn("SQS::Queue", source) else {
        refuse("arn", "EventSourceArn", format!("{source} is no queue"));
        return;
    };
    let rights = of_role(role);
    for action in POLLER.iter().filter(|action| !allow(&rights, action, source)) {
        refuse("grants/poller", "EventSourceArn", format!("{} does not allow {action} on {}", role.name, queue.name));
    }
    let (batch, window) =
        (mapping.number("/BatchSize").unwrap_or(10), mapping.number("/MaximumBatchingWindowInSeconds").unwrap_or(0));
    let (most, windows) = if is_fifo(queue) { (10, 0..=0) } else { (10_000, 0..=300) };
    if !(1..=most).contains(&batch) || !windows.contains(&window) || (batch > 10 && window == 0) {
        refuse("values/batch", "BatchSize", format!("{batch} messages within {window} s from {}", queue.name));
    }
    if one_or_many(&mapping.properties["FunctionResponseTypes"]) != ["ReportBatchItemFailures"] {
        refuse("values/batch", "FunctionResponseTypes", "what fails brings back all of its batch".to_owned());
    }
    let at_once = mapping.number("/ScalingConfig/MaximumConcurrency");
    if at_once.is_some_and(|at_once| !(2..=1_000).contains(&at_once)) {
        refuse("values/concurrency", "ScalingConfig", format!("{at_once:?} at a time"));
    }
    let (hidden, longest) =
        (queue.number("/VisibilityTimeout").unwrap_or(30), function.number("/Timeout").unwrap_or(3));
    if hidden < VISIBILITY_TIMEOUTS * longest + window {
        let why = format!("{} hides for {hidden} s what {} may take {longest} s for", queue.name, function.name);
        refuse("values/visibility", "EventSourceArn", why);
    }
    if queue.properties["RedrivePolicy"].is_null() {
        refuse("grants/dead-letters", "EventSourceArn", format!("{} has no dead letters", queue.name));
    }
    let lost = mapping.text("/DestinationConfig/OnFailure/Destination");
    if !lost.is_empty() && !allow(&rights, "sqs:SendMessage", lost) {
        refuse("grants/destination", "DestinationConfig", format!("{} may not send to {lost}", role.name));
    }
    let others = stack.each("Lambda::EventSourceMapping").filter(|other| other.text("/EventSourceArn") == source);
    if others.count() > 1 {
        refuse("values/batch", "EventSourceArn", format!("{} is polled for more than one handler", queue.name));
    }
}

/// An integration leads to an alias, and the alias lets the API in.
fn api(stack: &Stack, integration: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&integration.name, path, rule, why));
    let alias = integration.text("/IntegrationUri");
    if served(stack, alias).is_none() {
        refuse("grants/alias", "IntegrationUri", format!("{alias} is no alias of a function with a role"));
    }
    let Some(api) = stack.by_reference("ApiGatewayV2::Api", integration.text("/ApiId")) else {
        refuse("arn", "ApiId", "there is no such API".to_owned());
        return;
    };
    let lets = |permission: &Made| {
        permission.text("/Action") == "lambda:InvokeFunction"
            && permission.text("/FunctionName") == alias
            && permission.text("/Principal") == "apigateway.amazonaws.com"
            && permission.text("/SourceArn") == format!("{}/*", requests_of(api))
    };
    if !stack.each("Lambda::Permission").any(lets) {
        refuse("grants/invoke", "IntegrationUri", format!("{alias} lets no request of {} in", api.name));
    }
    let target = format!("integrations/{}", integration.reference);
    if !stack.each("ApiGatewayV2::Route").any(|route| route.text("/Target") == target) {
        refuse("grants/route", "", "no route leads to it".to_owned());
    }
    if integration.text("/PayloadFormatVersion") != "2.0" {
        refuse("values/payload", "PayloadFormatVersion", "the runtime reads format 2.0".to_owned());
    }
    if !integration.number("/TimeoutInMillis").is_some_and(|millis| (50..=30_000).contains(&millis)) {
        refuse("values/timeout", "TimeoutInMillis", "an API waits 50 to 30000 ms".to_owned());
    }
}

fn route(stack: &Stack, route: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&route.name, path, rule, why));
    let (key, target, api) = (route.text("/RouteKey"), route.text("/Target"), route.text("/ApiId"));
    let leads = stack.each("ApiGatewayV2::Integration").any(|integration| {
        target == format!("integrations/{}", integration.reference) && integration.text("/ApiId") == api
    });
    if !leads {
        refuse("grants/route", "Target", format!("{target} is no integration of its API"));
    }
    let methods = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    let known = key == "$default"
        || key.split_once(' ').is_some_and(|(method, path)| methods.contains(&method) && is_path(path));
    if !known {
        refuse("values/route", "RouteKey", format!("{key:?} is no method and path"));
    }
    let same = |other: &&Made| (other.text("/RouteKey"), other.text("/ApiId")) == (key, api);
    if stack.each("ApiGatewayV2::Route").filter(same).count() > 1 {
        refuse("values/route", "RouteKey", format!("{key} is there twice"));
    }
}

/// Segments, of which some are `{name}` and the last may be `{name+}`.
fn is_path(path: &str) -> bool {
    let Some(inner) = path.strip_prefix('/') else { return false };
    let segments: Vec<&str> = inner.split('/').collect();
    segments.iter().enumerate().all(|(at, segment)| {
        let is_last = at + 1 == segments.len();
        match segment.strip_prefix('{') {
            Some(hole) => hole.strip_suffix('}').is_some_and(|name| {
                let whole = name.strip_suffix('+').filter(|_| is_last).unwrap_or(name);
                !whole.is_empty() && whole.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            }),
            None => !segment.contains(['{', '}', ' ', '?', '#']) && (!segment.is_empty() || segments.len() == 1),
        }
    })
}

/// Whom a queue's policy lets in has something to bring.
fn let_in(stack: &Stack, policy: &Made, findings: &mut Vec<Finding>) {
    for queue in one_or_many(&policy.properties["Queues"]) {
        let arn = stack.by_reference("SQS::Queue", queue).and_then(|queue| queue.arn.clone()).unwrap_or_default();
        let told = |subscription: &Made| {
            subscription.text("/Endpoint") == arn || subscription.text("/RedrivePolicy/deadLetterTargetArn") == arn
        };
        let tells = |bucket: &Made| {
            items(&bucket.properties["NotificationConfiguration"]["QueueConfigurations"])
                .iter()
                .any(|one| text(&one["Queue"]) == arn)
        };
        if !stack.each("SNS::Subscription").any(told) && !stack.each("S3::Bucket").any(tells) {
            let why = format!("lets in to {queue} what nobody sends");
            findings.push(finding(&policy.name, "Queues", "grants/unneeded", why));
        }
    }
}

/// What lets anyone ask by an alias's URL, and what lets that get to the alias: AWS wants both.
const BY_URL: [(&str, &str); 2] =
    [("lambda:InvokeFunctionUrl", "FunctionUrlAuthType"), ("lambda:InvokeFunction", "InvokedViaFunctionUrl")];

/// Whether a permission is one of [`BY_URL`] and of nothing else.
pub(super) fn is_by_url(permission: &Made, (action, bound): (&str, &str)) -> bool {
    let value = &permission.properties[bound];
    permission.text("/Action") == action
        && permission.text("/Principal") == "*"
        && (*value == "NONE" || *value == true)
        && permission.text("/SourceArn").is_empty()
}

/// The alias that a URL is of.
fn asked<'a>(stack: &'a Stack, url: &Made) -> Option<&'a Made> {
    stack.by_arn("Lambda::Alias", &format!("{}:{}", url.text("/TargetFunctionArn"), url.text("/Qualifier")))
}

/// A URL is of an alias that lets anyone ask by it, and is there before it.
fn url(stack: &Stack, url: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&url.name, path, rule, why));
    let Some(alias) = asked(stack, url) else {
        let why = format!("{}:{} is no alias", url.text("/TargetFunctionArn"), url.text("/Qualifier"));
        return refuse("grants/alias", "TargetFunctionArn", why);
    };
    let arn = alias.arn.as_deref().unwrap_or_default();
    if served(stack, arn).is_none() {
        refuse("grants/alias", "TargetFunctionArn", format!("{arn} is of no function with a role"));
    }
    if !url.after.contains(&alias.name) {
        refuse("grants/order", "Qualifier", format!("is made before {}", alias.name));
    }
    for of in BY_URL {
        let lets = |permission: &Made| permission.text("/FunctionName") == arn && is_by_url(permission, of);
        if !stack.each("Lambda::Permission").any(lets) {
            refuse("grants/invoke", "AuthType", format!("{arn} allows nobody {}", of.0));
        }
    }
    if url.text("/AuthType") != "NONE" {
        refuse("values/url", "AuthType", "nobody who is no user of the account could ask".to_owned());
    }
    if url.text("/InvokeMode") != "RESPONSE_STREAM" {
        refuse("values/url", "InvokeMode", "the runtime answers in pieces".to_owned());
    }
}

/// A permission is of an alias that a route or a URL leads to: another one lets in what nobody asked for.
fn permission(stack: &Stack, permission: &Made, findings: &mut Vec<Finding>) {
    let alias = permission.text("/FunctionName");
    let led = stack.each("ApiGatewayV2::Integration").any(|integration| integration.text("/IntegrationUri") == alias)
        && permission.text("/Action") == "lambda:InvokeFunction"
        && !permission.text("/SourceArn").is_empty();
    if !led && !is_of_a_url(stack, permission) {
        let why = format!("{} on {alias}, to which no route leads", permission.text("/Action"));
        findings.push(finding(&permission.name, "FunctionName", "grants/unneeded", why));
    }
}

/// Whether a permission lets in what is asked by a URL.
pub(super) fn is_of_a_url(stack: &Stack, permission: &Made) -> bool {
    let alias = permission.text("/FunctionName");
    let of = |url: &Made| asked(stack, url).is_some_and(|asked| asked.arn.as_deref() == Some(alias));
    BY_URL.iter().any(|by| is_by_url(permission, *by)) && stack.each("Lambda::Url").any(of)
}

/// A topic's deliveries, and what can't be delivered, get into the queues that are named.
fn subscription(stack: &Stack, made: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&made.name, path, rule, why));
    let topic = made.text("/TopicArn");
    if stack.by_arn("SNS::Topic", topic).is_none() {
        refuse("arn", "TopicArn", format!("{topic} is no topic"));
    }
    for (path, arn) in
        [("Endpoint", made.text("/Endpoint")), ("RedrivePolicy", made.text("/RedrivePolicy/deadLetterTargetArn"))]
    {
        let Some(queue) = stack.by_arn("SQS::Queue", arn) else {
            refuse("arn", path, format!("{arn} is no queue"));
            continue;
        };
        let kept_out = kept_out(stack, queue, "sns.amazonaws.com", topic);
        kept_out.into_iter().for_each(|why| refuse("grants/delivery", path, why));
        if is_fifo(queue) {
            refuse("values/fifo", path, format!("{topic} keeps no order and {} does", queue.name));
        }
        encrypted(queue).into_iter().for_each(|why| refuse("grants/key", path, why));
    }
    if made.text("/Protocol") != "sqs" {
        refuse("values/subscription", "Protocol", "a queue is told by `sqs`".to_owned());
    }
    if made.properties["RawMessageDelivery"] != true {
        refuse("values/subscription", "RawMessageDelivery", "the runtime reads what was published".to_owned());
    }
    if entries(&made.properties["FilterPolicy"]).count() > 5 {
        refuse("values/subscription", "FilterPolicy", "a filter looks at five attributes at most".to_owned());
    }
}

/// Why AWS's own services can't send to a queue: its key lets none of them use it.
fn encrypted(queue: &Made) -> Option<String> {
    let key = queue.text("/KmsMasterKeyId");
    (!key.is_empty())
        .then(|| format!("{} is encrypted by {key}, which services that send to it may not use", queue.name))
}

/// S3 asks each queue whether it may tell it, when the bucket is made.
fn notifications(stack: &Stack, bucket: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&bucket.name, path, rule, why));
    let told = &bucket.properties["NotificationConfiguration"];
    for (at, one) in items(&told["QueueConfigurations"]).iter().enumerate() {
        let (path, arn) = (format!("QueueConfigurations/{at}"), text(&one["Queue"]));
        let Some(queue) = stack.by_arn("SQS::Queue", arn) else {
            refuse("arn", &path, format!("{arn} is no queue"));
            continue;
        };
        let source = bucket.arn.as_deref().unwrap_or_default();
        kept_out(stack, queue, "s3.amazonaws.com", source)
            .into_iter()
            .for_each(|why| refuse("grants/delivery", &path, why));
        let first = super::policies::policies_of(stack, queue).iter().all(|policy| bucket.after.contains(&policy.name));
        if !first {
            refuse("grants/order", &path, format!("is made before {} lets it in", queue.name));
        }
        if is_fifo(queue) {
            refuse("values/fifo", &path, format!("S3 keeps no order and {} does", queue.name));
        }
        encrypted(queue).into_iter().for_each(|why| refuse("grants/key", &path, why));
        let event = text(&one["Event"]);
        if !["s3:ObjectCreated:*", "s3:ObjectRemoved:*"].contains(&event) {
            refuse("values/event", &path, format!("{event} is nothing that a handler is told"));
        }
    }
    for other in ["LambdaConfigurations", "TopicConfigurations", "EventBridgeConfiguration"] {
        if !told[other].is_null() {
            refuse("grants/delivery", other, "is told by something else than a queue".to_owned());
        }
    }
}

/// The scheduler sends ticks, and has outboxes looked after, by a role that can do nothing else.
fn ticks(stack: &Stack, schedule: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&schedule.name, path, rule, why));
    let arn = schedule.text("/Target/RoleArn");
    let Some(role) = stack.by_arn("IAM::Role", arn) else {
        refuse("arn", "Target/RoleArn", format!("{arn} is no role"));
        return;
    };
    if trusted(role) != ["scheduler.amazonaws.com"] {
        refuse("grants/trust", "Target/RoleArn", format!("the scheduler may not take on {}", role.name));
    }
    let rights = of_role(role);
    let mut needed = Vec::new();
    // A look at an outbox is no tick of a handler's: the next makes up for it.
    let looks = stack.by_arn("Lambda::Alias", schedule.text("/Target/Arn")).is_some();
    if looks {
        let (alias, lost) = (schedule.text("/Target/Arn"), schedule.text("/Target/DeadLetterConfig/Arn"));
        if !allow(&rights, "lambda:InvokeFunction", alias) {
            refuse("grants/scheduler", "Target/Arn", format!("{} may not invoke {alias}", role.name));
        }
        if !lost.is_empty() || !schedule.text("/Target/Input").contains("\"outbox\"") {
            refuse("grants/scheduler", "Target", "a handler's tick goes through a queue".to_owned());
        }
        needed.push(("lambda:InvokeFunction", alias));
        let once = stack.each("Lambda::EventInvokeConfig").any(|config| is_once(stack, config, alias));
        if !once {
            refuse(
                "values/schedule",
                "Target/Arn",
                format!("a look by {alias} that failed is tried again, and one more comes"),
            );
        }
    }
    for path in ["/Target/Arn", "/Target/DeadLetterConfig/Arn"].into_iter().filter(|_| !looks) {
        let arn = schedule.text(path);
        let Some(queue) = stack.by_arn("SQS::Queue", arn) else {
            refuse("arn", path, format!("{arn} is no queue"));
            continue;
        };
        if !allow(&rights, "sqs:SendMessage", arn) {
            refuse("grants/scheduler", path, format!("{} may not send to {}", role.name, queue.name));
        }
        let grouped = !schedule.text("/Target/SqsParameters/MessageGroupId").is_empty();
        let (is_target, fifo) = (path == "/Target/Arn", is_fifo(queue));
        if (is_target && fifo != grouped) || (!is_target && fifo) {
            refuse("values/fifo", path, format!("{} and the group do not go together", queue.name));
        }
        needed.push(("sqs:SendMessage", arn));
    }
    unneeded(role, &needed, findings);
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&schedule.name, path, rule, why));
    let expression = schedule.text("/ScheduleExpression");
    if let Some(why) = super::values::schedule_error(expression) {
        refuse("values/schedule", "ScheduleExpression", format!("{expression}: {why}"));
    }
    let tries = &schedule.properties["Target"]["RetryPolicy"];
    let within =
        |key: &str, least: u64, most: u64| tries[key].as_u64().is_none_or(|number| (least..=most).contains(&number));
    if !within("MaximumRetryAttempts", 0, 185) || !within("MaximumEventAgeInSeconds", 60, 86_400) {
        refuse("values/schedule", "Target/RetryPolicy", tries.to_string());
    }
}

/// Whether what is invoked by an alias is tried once, and not after the minute in which it is wanted.
fn is_once(stack: &Stack, config: &Made, alias: &str) -> bool {
    let Some(alias) = stack.by_arn("Lambda::Alias", alias) else { return false };
    let numbers = [("/MaximumRetryAttempts", 0), ("/MaximumEventAgeInSeconds", 60)];
    numbers.iter().all(|(path, number)| config.number(path) == Some(*number))
        && config.text("/FunctionName") == alias.text("/FunctionName")
        && config.text("/Qualifier") == alias.text("/Name")
        && config.after.contains(&alias.name)
}

/// What a role may do besides what is needed.
pub(super) fn unneeded(role: &Made, needed: &[(&str, &str)], findings: &mut Vec<Finding>) {
    for statement in of_role(role) {
        for (action, resource) in statement
            .actions
            .iter()
            .flat_map(|action| statement.resources.iter().map(move |resource| (action, resource)))
        {
            // On everything: the table of wildcards knows whether that is needed.
            if *resource != "*" && !needed.contains(&(*action, *resource)) {
                let why = format!("{action} on {resource}, which nothing in it needs");
                findings.push(finding(&role.name, &statement.path, "grants/unneeded", why));
            }
        }
    }
}

/// Dead letters are a queue of the same kind, that nobody takes from.
fn redrive(stack: &Stack, queue: &Made, findings: &mut Vec<Finding>) {
    let policy = &queue.properties["RedrivePolicy"];
    if policy.is_null() {
        return;
    }
    let mut refuse = |rule, why: String| findings.push(finding(&queue.name, "RedrivePolicy", rule, why));
    let arn = text(&policy["deadLetterTargetArn"]);
    match stack.by_arn("SQS::Queue", arn) {
        None => refuse("arn", format!("{arn} is no queue")),
        Some(letters) if is_fifo(letters) != is_fifo(queue) => {
            refuse("values/fifo", format!("{} and it are of two kinds", letters.name));
        }
        Some(letters) if letters.name == queue.name => refuse("grants/dead-letters", "its own dead letters".to_owned()),
        Some(letters) => {
            if stack.each("Lambda::EventSourceMapping").any(|mapping| mapping.text("/EventSourceArn") == arn) {
                refuse("grants/dead-letters", format!("{} is polled", letters.name));
            }
        }
    }
    let receives = policy["maxReceiveCount"]
        .as_u64()
        .or_else(|| policy["maxReceiveCount"].as_str().and_then(|text| text.parse().ok()));
    if !receives.is_some_and(|receives| (1..=1_000).contains(&receives)) {
        refuse("values/redrive", format!("after {} receives", policy.get("maxReceiveCount").unwrap_or(&Value::Null)));
    }
}
