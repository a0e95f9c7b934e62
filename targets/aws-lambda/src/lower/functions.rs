//! A function for each unit, with a role and logs of its own; and the pollers of its queues.

use super::rollout::Rollouts;
use super::{Made, Source, grants, messages, timeout};
use crate::capabilities::CONCURRENCY;
use crate::intrinsics::Text;
use crate::names::{self, Ending, logical};
use crate::resources::iam::Role;
use crate::resources::lambda::{Alias, Code, Function, Mapping, Network, Parts, Version};
use crate::resources::logs::LogGroup;
use crate::template::{Broken, Made as Resource, Template, hash8};
use crate::units::{Function as Served, describe};
use std::collections::BTreeMap;
use updraft_model::settings::Metrics;
use updraft_wire::aws::{BINDING_FILE, BINDING_VARIABLE, RESOURCES_VARIABLE, UNIT_VARIABLE};

/// How long the description of a function may be, in characters.
const DESCRIPTION: usize = 256;

pub(super) fn functions<'a>(
    source: &Source<'a>,
    code: &Code,
    template: &mut Template,
    made: &mut Made<'a>,
) -> Result<BTreeMap<&'a str, usize>, Broken> {
    let settings = &source.settings.aws_lambda;
    let mut environments = BTreeMap::new();
    let rollouts = Rollouts::new(source, template)?;
    for served in &source.functions {
        let unit = served.unit;
        let from = || served.runs.iter().map(|handler| describe(handler));
        let logs = LogGroup::new(settings.log_retention_days);
        let logs = Resource::new(logs, [format!("unit {unit}")]).of_unit(unit);
        let logs = template.add(logical(unit, Ending::Logs), logs)?;
        let statements = grants::role(source, served, made, &logs);
        let role = Role::new(format!("The unit {unit} of {}", source.app.name), "lambda.amazonaws.com", statements);
        let role = role.within(settings.permissions_boundary.as_deref());
        let role = template.add(logical(unit, Ending::Role), Resource::new(role, from()).of_unit(unit))?;
        let variables = variables(source, served, made);
        environments.insert(unit, variables.iter().map(|(name, value)| name.len() + value.longest(physical)).sum());
        let own = settings.function(unit);
        let parts = Parts { description: description(source, served), code, role: &role, logs: &logs, variables };
        let mut function = Function::new(parts, settings.architecture, own.memory, timeout(served));
        if served.is_in_network(source.settings) {
            function.vpc_config = Some(Network::of(&settings.database));
        }
        // The role's rights and what is reserved are no part of a version; all else that it is made of is.
        let hash = hash8(&serde_json::json!([source.revision, serde_json::to_value(&function)?]));
        function.reserved_concurrent_executions = own.reserved;
        let function = template.add(logical(unit, Ending::Function), Resource::new(function, from()).of_unit(unit))?;
        let version = Version::new(&function, format!("{} {hash}", source.app.name));
        let name = logical(unit, Ending::Version) + &hash;
        let version = Resource::new(version, [format!("unit {unit}")]).keeps().of_unit(unit);
        let version = template.add(name, version)?;
        let moves = rollouts.as_ref().map(|rollouts| rollouts.of((source, unit), &function, &version, template));
        let alias = Resource::new(Alias::new(&function, &version), [format!("unit {unit}")]);
        let alias = alias.updated_by(moves.transpose()?).of_unit(unit);
        made.functions.insert(unit, function);
        made.aliases.insert(unit, template.add(logical(unit, Ending::Alias), alias)?);
    }
    Ok(environments)
}

/// How long what stands for a logical id may be: the URL of a queue, whose name CloudFormation makes from the stack's (of
/// 32 characters), the logical id, and random ones. Or a stack's name.
fn physical(logical: &str) -> usize {
    if logical == "AWS::StackName" {
        return 128;
    }
    const URL: usize = "https://sqs.ap-southeast-1.amazonaws.com/123456789012/".len();
    URL + (32 + "-".len() + logical.len() + "-0123456789ABC".len()).min(80)
}

fn variables(source: &Source<'_>, served: &Served<'_>, made: &Made<'_>) -> BTreeMap<&'static str, Text> {
    let mut variables = BTreeMap::from([
        (BINDING_VARIABLE, BINDING_FILE.into()),
        (UNIT_VARIABLE, served.unit.into()),
        (RESOURCES_VARIABLE, grants::told(source, served, made)),
    ]);
    variables.extend(telemetry(source));
    variables
}

/// Where traces and metrics go. Prometheus is of clusters: nobody can ask a function that sleeps.
fn telemetry(source: &Source<'_>) -> Vec<(&'static str, Text)> {
    let Some(telemetry) = &source.settings.telemetry else { return Vec::new() };
    let mut variables = Vec::new();
    if let Some(endpoint) = &telemetry.endpoint {
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str().into()));
    }
    if let Some(ratio) = telemetry.ratio {
        variables.push(("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".into()));
        variables.push(("OTEL_TRACES_SAMPLER_ARG", ratio.to_string().into()));
    }
    if telemetry.endpoint.is_none() || telemetry.metrics == Metrics::None {
        variables.push(("OTEL_METRICS_EXPORTER", "none".into()));
    }
    variables
}

fn description(source: &Source<'_>, served: &Served<'_>) -> String {
    let handlers: Vec<String> = served.invoked().map(describe).collect();
    let text = format!("{}: {}", source.app.name, handlers.join(", "));
    if text.chars().count() <= DESCRIPTION {
        return text;
    }
    text.chars().take(DESCRIPTION - 1).chain(['…']).collect()
}

/// What takes messages out of queues and invokes functions with them.
pub(super) fn mappings(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    for served in &source.functions {
        let Some(alias) = made.aliases.get(served.unit) else { continue };
        let own = source.settings.aws_lambda.function(served.unit);
        // A poller that is sent away has spent one of the message's receives: it should not take more than can be served.
        let reserved = own.reserved.map(|most| most.clamp(*CONCURRENCY.start(), *CONCURRENCY.end()));
        let at_once = own.concurrency.or(reserved);
        for handler in served.runs.iter().filter(|handler| handler.takes_messages()) {
            let Some(inbox) = made.inboxes.get(handler.id.as_str()) else { continue };
            let (batch, window) = messages::batch(source, handler, inbox.order);
            let mapping = Mapping::new(&inbox.queue, alias, batch, window, at_once);
            let mapping = Resource::new(mapping, [describe(handler)]).of_unit(served.unit);
            template.add(names::of(inbox.queue.logical(), Ending::Mapping), mapping)?;
        }
    }
    Ok(())
}
