//! Functions, their versions and aliases, and what invokes them.

use super::iam::Role;
use super::logs::LogGroup;
use super::sqs::Queue;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use std::collections::BTreeMap;
use updraft_model::settings::{Architecture, LambdaDatabase};
use updraft_wire::aws::ALIAS;

/// Memory in MB unless the settings say otherwise. CPU comes with it: a third of one.
pub(crate) const MEMORY: u32 = 512;

/// What a zip's program is called.
const BOOTSTRAP: &str = "bootstrap";

/// `AWS::Lambda::Function`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Function {
    pub(crate) description: String,
    pub(crate) code: Code,
    pub(crate) role: Text,
    pub(crate) memory_size: u32,
    pub(crate) timeout: u32,
    pub(crate) architectures: [&'static str; 1],
    pub(crate) environment: Environment,
    pub(crate) logging_config: Logging,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reserved_concurrent_executions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vpc_config: Option<Network>,
    #[serde(flatten)]
    fixed: Fixed,
}

/// What is the same for all of an application's functions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Fixed {
    package_type: &'static str,
    /// An image says itself what it runs on, and what is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'static str>,
    tracing_config: Tracing,
}

/// Where the code is.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Code {
    /// A zip in a bucket.
    Zip {
        #[serde(rename = "S3Bucket")]
        bucket: Text,
        #[serde(rename = "S3Key")]
        key: Text,
    },
    /// An image in a registry.
    Image {
        #[serde(rename = "ImageUri")]
        uri: Text,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Environment {
    variables: BTreeMap<&'static str, Text>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Logging {
    log_group: Text,
}

/// A place in a network, from which a function reaches what is there, and nothing else that the network does not lead to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Network {
    subnet_ids: Vec<String>,
    security_group_ids: Vec<String>,
}

impl Network {
    pub(crate) fn of(database: &LambdaDatabase) -> Self {
        Network { subnet_ids: database.subnets.clone(), security_group_ids: database.security_groups.clone() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tracing {
    mode: &'static str,
}

/// What a function is made of, besides numbers.
pub(crate) struct Parts<'a> {
    /// What it is, for people.
    pub(crate) description: String,
    /// Where its code is.
    pub(crate) code: &'a Code,
    /// What it may do.
    pub(crate) role: &'a Id<Role>,
    /// Where it writes.
    pub(crate) logs: &'a Id<LogGroup>,
    /// What it is told.
    pub(crate) variables: BTreeMap<&'static str, Text>,
}

impl Properties for Function {
    const TYPE: &'static str = "AWS::Lambda::Function";
}

impl Function {
    pub(crate) fn new(parts: Parts<'_>, architecture: Architecture, memory: Option<u32>, timeout: u32) -> Self {
        let (package_type, runtime, handler) = match parts.code {
            Code::Zip { .. } => ("Zip", Some("provided.al2023"), Some(BOOTSTRAP)),
            Code::Image { .. } => ("Image", None, None),
        };
        Function {
            description: parts.description,
            code: parts.code.clone(),
            role: parts.role.arn(),
            memory_size: memory.unwrap_or(MEMORY),
            timeout,
            architectures: [architecture.as_str()],
            environment: Environment { variables: parts.variables },
            logging_config: Logging { log_group: parts.logs.name() },
            reserved_concurrent_executions: None,
            vpc_config: None,
            fixed: Fixed { package_type, runtime, handler, tracing_config: Tracing { mode: "Active" } },
        }
    }
}

impl Id<Function> {
    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}

/// `AWS::Lambda::Version`: a function as it is now. It can't be changed, so another function is another version, by its name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Version {
    function_name: Text,
    description: String,
}

impl Properties for Version {
    const TYPE: &'static str = "AWS::Lambda::Version";
}

impl Version {
    pub(crate) fn new(function: &Id<Function>, description: String) -> Self {
        Version { function_name: function.reference(), description }
    }
}

/// `AWS::Lambda::Alias`: what is invoked, whichever version it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Alias {
    name: &'static str,
    function_name: Text,
    function_version: Text,
}

impl Properties for Alias {
    const TYPE: &'static str = "AWS::Lambda::Alias";
}

impl Alias {
    pub(crate) fn new(function: &Id<Function>, version: &Id<Version>) -> Self {
        Alias { name: ALIAS, function_name: function.reference(), function_version: version.attribute("Version") }
    }
}

impl Id<Alias> {
    /// The qualified ARN.
    pub(crate) fn arn(&self) -> Text {
        self.reference()
    }
}

/// `AWS::Lambda::EventInvokeConfig`: what becomes of an alias' invocations for whose answer nobody waits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Invocations {
    function_name: Text,
    qualifier: &'static str,
    maximum_retry_attempts: u32,
    maximum_event_age_in_seconds: u32,
}

impl Properties for Invocations {
    const TYPE: &'static str = "AWS::Lambda::EventInvokeConfig";
}

impl Invocations {
    /// Each once, and none that has waited for a minute, which is the least that AWS takes. (The alias has to be there before.)
    pub(crate) fn once(function: &Id<Function>) -> Self {
        let function_name = function.reference();
        Invocations { function_name, qualifier: ALIAS, maximum_retry_attempts: 0, maximum_event_age_in_seconds: 60 }
    }
}

/// `AWS::Lambda::EventSourceMapping`: Lambda's poller of a queue.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mapping {
    event_source_arn: Text,
    function_name: Text,
    batch_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_batching_window_in_seconds: Option<u32>,
    function_response_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling_config: Option<Scaling>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Scaling {
    maximum_concurrency: u32,
}

impl Properties for Mapping {
    const TYPE: &'static str = "AWS::Lambda::EventSourceMapping";
}

impl Mapping {
    /// Messages that fail come back by themselves, and not with all of their batch.
    pub(crate) fn new(queue: &Id<Queue>, alias: &Id<Alias>, batch: u32, window: u32, at_once: Option<u32>) -> Self {
        Mapping {
            event_source_arn: queue.arn(),
            function_name: alias.arn(),
            batch_size: batch,
            maximum_batching_window_in_seconds: (window > 0).then_some(window),
            function_response_types: ["ReportBatchItemFailures"],
            scaling_config: at_once.map(|maximum_concurrency| Scaling { maximum_concurrency }),
        }
    }
}

/// `AWS::Lambda::Permission`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Permission {
    action: &'static str,
    function_name: Text,
    principal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_arn: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_url_auth_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_via_function_url: Option<bool>,
}

impl Properties for Permission {
    const TYPE: &'static str = "AWS::Lambda::Permission";
}

impl Permission {
    /// Lets a service of AWS's invoke an alias for one source.
    pub(crate) fn new(alias: &Id<Alias>, principal: &'static str, source_arn: Text) -> Self {
        let source_arn = Some(source_arn);
        Permission { source_arn, principal, ..Self::of_anyone(alias, "lambda:InvokeFunction") }
    }

    /// Lets anyone ask by an alias's URL.
    pub(crate) fn by_url(alias: &Id<Alias>) -> Self {
        let function_url_auth_type = Some(ANYONE);
        Permission { function_url_auth_type, ..Self::of_anyone(alias, "lambda:InvokeFunctionUrl") }
    }

    /// Lets what was asked by an alias's URL, and nothing else, get to the alias. (AWS wants both since October 2025.)
    pub(crate) fn through_url(alias: &Id<Alias>) -> Self {
        let invoked_via_function_url = Some(true);
        Permission { invoked_via_function_url, ..Self::of_anyone(alias, "lambda:InvokeFunction") }
    }

    fn of_anyone(alias: &Id<Alias>, action: &'static str) -> Self {
        Permission {
            action,
            function_name: alias.arn(),
            principal: "*",
            source_arn: None,
            function_url_auth_type: None,
            invoked_via_function_url: None,
        }
    }
}

/// Who may ask by a URL: anyone, as by an API. Who is who, is the application's to know.
const ANYONE: &str = "NONE";

/// `AWS::Lambda::Url`: where an alias answers requests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Url {
    auth_type: &'static str,
    invoke_mode: &'static str,
    target_function_arn: Text,
    qualifier: &'static str,
}

impl Properties for Url {
    const TYPE: &'static str = "AWS::Lambda::Url";
}

impl Url {
    /// Of a function's alias, which is there before it.
    pub(crate) fn new(function: &Id<Function>) -> Self {
        Url { auth_type: ANYONE, invoke_mode: "RESPONSE_STREAM", target_function_arn: function.arn(), qualifier: ALIAS }
    }
}

impl Id<Url> {
    /// `https://abc123.lambda-url.eu-central-1.on.aws`, as an API's is told: without the `/` at its end.
    pub(crate) fn url(&self) -> Text {
        Text::plain("https://").then(self.host_of("FunctionUrl"))
    }
}
