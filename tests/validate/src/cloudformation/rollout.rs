//! What moves an alias in steps may do that, and nothing else; and something stops it.

use super::finding;
use super::machinery::unneeded;
use super::policies::{allow, of_role, trusted};
use super::resolve::{Made, Stack};
use crate::Finding;
use crate::value::{entries, items, text};
use serde_json::Value;

const MOVES: [&str; 3] = ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"];

pub(super) fn check(template: &Value, stack: &Stack, findings: &mut Vec<Finding>) {
    let mut moving: Vec<&str> = Vec::new();
    for (name, resource) in entries(&template["Resources"]) {
        let policy = &resource["UpdatePolicy"];
        if policy.is_null() {
            continue;
        }
        let moved = &policy["CodeDeployLambdaAliasUpdate"];
        let [application, group] = ["ApplicationName", "DeploymentGroupName"].map(|key| text(&moved[key]["Ref"]));
        moving.push(group);
        let group = stack.each("CodeDeploy::DeploymentGroup").find(|made| made.name == group);
        let alias = stack.each("Lambda::Alias").find(|made| made.name == *name);
        match (alias, group) {
            (Some(alias), Some(group)) if group.text("/ApplicationName") == application => {
                moves(stack, alias, group, findings);
            }
            _ => {
                let why = "there are no such alias, application and group".to_owned();
                findings.push(finding(name, "UpdatePolicy", "grants/rollout", why));
            }
        }
    }
    for group in stack.each("CodeDeploy::DeploymentGroup") {
        let times = moving.iter().filter(|moved| **moved == group.name).count();
        if times != 1 {
            findings.push(finding(&group.name, "", "grants/rollout", format!("moves {times} aliases")));
        }
    }
}

fn moves(stack: &Stack, alias: &Made, group: &Made, findings: &mut Vec<Finding>) {
    let mut refuse = |rule, path: &str, why: String| findings.push(finding(&group.name, path, rule, why));
    if stack.by_reference("CodeDeploy::Application", group.text("/ApplicationName")).is_none() {
        refuse("arn", "ApplicationName", "there is no such application".to_owned());
    }
    let arn = group.text("/ServiceRoleArn");
    let Some(role) = stack.by_arn("IAM::Role", arn) else {
        refuse("arn", "ServiceRoleArn", format!("{arn} is no role"));
        return;
    };
    if trusted(role) != ["codedeploy.amazonaws.com"] {
        refuse("grants/trust", "ServiceRoleArn", format!("CodeDeploy may not take on {}", role.name));
    }
    let rights = of_role(role);
    let function = alias.text("/FunctionName");
    let of_function = stack.by_reference("Lambda::Function", function).and_then(|made| made.arn.clone());
    let aliased = [of_function.unwrap_or_default(), alias.arn.clone().unwrap_or_default()];
    let mut needed = Vec::new();
    for (action, arn) in MOVES.iter().flat_map(|action| aliased.iter().map(move |arn| (*action, arn.as_str()))) {
        if !allow(&rights, action, arn) {
            refuse("grants/rollout", "ServiceRoleArn", format!("{} does not allow {action} on {arn}", role.name));
        }
        needed.push((action, arn));
    }
    let alarms = &group.properties["AlarmConfiguration"];
    let watched: Vec<&Made> = items(&alarms["Alarms"])
        .iter()
        .filter_map(|alarm| stack.by_reference("CloudWatch::Alarm", text(&alarm["Name"])))
        .collect();
    let dimension = |alarm: &Made, name: &str| {
        let all = items(&alarm.properties["Dimensions"]).iter();
        all.filter(|one| one["Name"] == name).map(|one| text(&one["Value"]).to_owned()).collect::<String>()
    };
    let resource = format!("{function}:{}", alias.text("/Name"));
    let looks = |alarm: &&Made| {
        (alarm.text("/Namespace"), alarm.text("/MetricName")) == ("AWS/Lambda", "Errors")
            && dimension(alarm, "FunctionName") == function
            && dimension(alarm, "Resource") == resource
            && dimension(alarm, "ExecutedVersion") == alias.text("/FunctionVersion")
    };
    let back = &group.properties["AutoRollbackConfiguration"];
    let stops = items(&back["Events"]).iter().any(|event| event == "DEPLOYMENT_STOP_ON_ALARM");
    if alarms["Enabled"] != true || back["Enabled"] != true || !stops || !watched.iter().any(looks) {
        refuse("grants/rollout", "AlarmConfiguration", format!("no failure of {} stops it", alias.name));
    }
    for arn in watched.iter().filter_map(|alarm| alarm.arn.as_deref()) {
        if !allow(&rights, "cloudwatch:DescribeAlarms", arn) {
            refuse("grants/rollout", "ServiceRoleArn", format!("{} may not look at {arn}", role.name));
        }
        needed.push(("cloudwatch:DescribeAlarms", arn));
    }
    unneeded(role, &needed, findings);
}
