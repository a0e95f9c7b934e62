//! What moves an alias from one version to the next in steps: CodeDeploy, and the alarm that makes it go back.

use super::iam::Role;
use super::lambda::{Function, Version};
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use serde_json::{Value, json};
use updraft_model::settings::Rollout;
use updraft_wire::aws::ALIAS;

/// `AWS::CodeDeploy::Application`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Application {
    compute_platform: &'static str,
}

impl Properties for Application {
    const TYPE: &'static str = "AWS::CodeDeploy::Application";
}

impl Application {
    pub(crate) fn new() -> Self {
        Application { compute_platform: "Lambda" }
    }
}

/// `AWS::CodeDeploy::DeploymentGroup`: how one alias moves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Group {
    application_name: Text,
    service_role_arn: Text,
    deployment_config_name: String,
    deployment_style: Style,
    auto_rollback_configuration: Rollback,
    alarm_configuration: Alarms,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Style {
    deployment_type: &'static str,
    deployment_option: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rollback {
    enabled: bool,
    events: [&'static str; 3],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alarms {
    enabled: bool,
    alarms: [Named; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: Text,
}

impl Properties for Group {
    const TYPE: &'static str = "AWS::CodeDeploy::DeploymentGroup";
}

impl Group {
    pub(crate) fn new(application: &Id<Application>, role: &Id<Role>, alarm: &Id<Alarm>, rollout: Rollout) -> Self {
        let config = match rollout {
            Rollout::Canary { minutes } => format!("CodeDeployDefault.LambdaCanary10Percent{minutes}Minutes"),
            Rollout::Linear { minutes: 1 } => "CodeDeployDefault.LambdaLinear10PercentEvery1Minute".to_owned(),
            Rollout::Linear { minutes } => format!("CodeDeployDefault.LambdaLinear10PercentEvery{minutes}Minutes"),
        };
        Group {
            application_name: application.reference(),
            service_role_arn: role.arn(),
            deployment_config_name: config,
            deployment_style: Style { deployment_type: "BLUE_GREEN", deployment_option: "WITH_TRAFFIC_CONTROL" },
            auto_rollback_configuration: Rollback {
                enabled: true,
                events: ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
            },
            alarm_configuration: Alarms { enabled: true, alarms: [Named { name: alarm.reference() }] },
        }
    }
}

impl Id<Group> {
    /// The policy of an alias that moves by it.
    pub(crate) fn moves(&self, application: &Id<Application>) -> Value {
        json!({ "CodeDeployLambdaAliasUpdate": {
            "ApplicationName": application.reference(),
            "DeploymentGroupName": self.reference(),
        } })
    }
}

/// `AWS::CloudWatch::Alarm`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Alarm {
    alarm_description: String,
    namespace: &'static str,
    metric_name: &'static str,
    dimensions: [Dimension; 3],
    statistic: &'static str,
    period: u32,
    evaluation_periods: u32,
    threshold: u32,
    comparison_operator: &'static str,
    treat_missing_data: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: &'static str,
    value: Text,
}

impl Properties for Alarm {
    const TYPE: &'static str = "AWS::CloudWatch::Alarm";
}

impl Alarm {
    /// Of an invocation of the alias that failed in the new version, within a minute: what an old one does is no reason not
    /// to replace it. (A message that fails, or an answer of 500, is no failed invocation: a crash or a timeout is.)
    pub(crate) fn errors(unit: &str, function: &Id<Function>, version: &Id<Version>) -> Self {
        let dimension = |name, value| Dimension { name, value };
        Alarm {
            alarm_description: format!("Invocations of a new version of {unit} fail"),
            namespace: "AWS/Lambda",
            metric_name: "Errors",
            dimensions: [
                dimension("FunctionName", function.reference()),
                dimension("Resource", function.reference().then(":").then(ALIAS)),
                dimension("ExecutedVersion", version.attribute("Version")),
            ],
            statistic: "Sum",
            period: 60,
            evaluation_periods: 1,
            threshold: 0,
            comparison_operator: "GreaterThanThreshold",
            treat_missing_data: "notBreaching",
        }
    }
}

impl Id<Alarm> {
    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}
