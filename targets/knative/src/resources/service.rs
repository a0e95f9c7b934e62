//! Knative's `Service`: a unit that scales with what it is asked, down to nothing.

use super::secrets::{self, Secret};
use super::{binding, describe, meta, telemetry};
use crate::capabilities::MARGIN_SECONDS;
use crate::lower::Context;
use crate::services::{Face, Service as Held};
use serde::Serialize;
use std::collections::BTreeMap;
use updraft_kubernetes::hash::hash8;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::{Map, PART_OF, map};
use updraft_kubernetes::resources::pod::{
    Amounts, Container, ContainerPort, Mount, Probe, Resources, SecurityContext, TemplateMeta, Variable, Volume,
};
use updraft_kubernetes::{Document, yaml};
use updraft_model::Plan;
use updraft_model::settings::Scale;
use updraft_wire::{defaults, ids};

const VISIBILITY: &str = "networking.knative.dev/visibility";
/// A pod's grace is its revision's timeout; shorter ones cut requests off when a pod goes.
const SHORTEST_TIMEOUT_SECONDS: u32 = 45;
/// Streams live on past the response's head, for this long.
const STREAM_TIMEOUT_SECONDS: u32 = 300;
const PORT: u16 = 8080;
/// The most pods of a unit, unless the settings say otherwise.
const MOST_PODS: u32 = 20;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Spec {
    template: Template,
    traffic: Vec<Traffic>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Template {
    metadata: TemplateMeta,
    spec: RevisionSpec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct RevisionSpec {
    service_account_name: String,
    automount_service_account_token: bool,
    enable_service_links: bool,
    container_concurrency: u32,
    timeout_seconds: u32,
    response_start_timeout_seconds: u32,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    latest_revision: bool,
    percent: u32,
}

/// The image by digest: tags move.
pub(crate) fn image(plan: &Plan) -> String {
    format!("{}@{}", plan.image, plan.digest)
}

pub(crate) fn lower(context: &Context<'_>, service: &Held<'_>, config_map: &str) -> Result<Document, yaml::Error> {
    let template = named(&service.name, template(context, service, config_map))?;
    let annotations = match service.face {
        Face::Public => map([("serving.knative.dev/rollout-duration", "120s")]),
        Face::Internal => Map::new(), // events are retried: nothing is won by shifting them slowly
    };
    let mut metadata = meta(context, service.name.clone(), Some(&service.name), annotations);
    if service.face == Face::Internal {
        metadata.labels.insert(VISIBILITY.to_owned(), "cluster-local".to_owned());
    }
    let object = Service {
        api_version: "serving.knative.dev/v1",
        kind: "Service",
        metadata,
        spec: Spec { template, traffic: vec![Traffic { latest_revision: true, percent: 100 }] },
    };
    Document::new(comment(service), &object)
}

fn comment(service: &Held<'_>) -> Vec<String> {
    if service.keeps_dead_letters() {
        return vec!["Keeps messages that were given up, with the reason, until someone looks at them.".to_owned()];
    }
    let face = match service.face {
        Face::Public => "routes",
        Face::Internal => "events, from within the cluster alone",
    };
    let mut lines = vec![format!("The unit {}: {face}.", service.unit)];
    lines.extend(service.handlers.iter().map(|handler| format!("- {}", describe(handler))));
    let called = service.runs.iter().filter(|handler| !service.handlers.iter().any(|held| held.id == handler.id));
    lines.extend(called.map(|handler| format!("- {}, called in the process", describe(handler))));
    lines
}

/// Names the revision by its template's hash: applying twice changes nothing, and a change never meets an old name.
fn named(service: &str, mut template: Template) -> Result<Template, yaml::Error> {
    let canonical = yaml::to_value(&template)?;
    let hash = hash8(&serde_json::to_value(&canonical).unwrap_or_default());
    template.metadata.name = Some(format!("{service}-{hash}"));
    Ok(template)
}

fn template(context: &Context<'_>, service: &Held<'_>, config_map: &str) -> Template {
    let scale = scale(&context.plan.settings.knative.scale, service.unit);
    let secrets = secrets::of_service(context, service);
    let labels = map([("app.kubernetes.io/name", service.name.as_str()), (PART_OF, context.names.app.as_str())]);
    let mut annotations = autoscaling(service.face, &scale);
    annotations.extend(telemetry::annotations(context));
    let patience = service.longest() + MARGIN_SECONDS;
    let timeout_seconds = patience.max(match service.face {
        Face::Public => STREAM_TIMEOUT_SECONDS,
        Face::Internal => SHORTEST_TIMEOUT_SECONDS,
    });
    Template {
        metadata: TemplateMeta { name: None, labels, annotations },
        spec: RevisionSpec {
            service_account_name: context.names.object(service.unit),
            automount_service_account_token: false,
            enable_service_links: false,
            container_concurrency: scale.concurrency.unwrap_or(match service.face {
                Face::Public => 80,
                Face::Internal => 10,
            }),
            timeout_seconds,
            response_start_timeout_seconds: patience.max(SHORTEST_TIMEOUT_SECONDS),
            containers: vec![container(context, service, &secrets)],
            volumes: volumes(&secrets, config_map),
        },
    }
}

fn container(context: &Context<'_>, service: &Held<'_>, secrets: &[Secret]) -> Container {
    let mut volume_mounts = vec![Mount::writable("tmp", "/tmp"), Mount::read_only("binding", binding::DIRECTORY)];
    volume_mounts.extend(secrets.iter().map(mount));
    Container {
        name: "app".to_owned(),
        image: image(context.plan),
        // Plain HTTP/1.1, which WebSockets need to be upgraded from; with the name h2c Serving would speak HTTP/2 alone.
        ports: vec![ContainerPort { name: "http1".to_owned(), container_port: PORT }],
        env: [
            Variable::new("UPDRAFT_UNIT", service.unit),
            Variable::new("UPDRAFT_FACE", service.face.as_str()),
            Variable::new("UPDRAFT_SECRETS_DIR", defaults::SECRETS_DIR),
        ]
        .into_iter()
        .chain(telemetry::variables(context))
        .collect(),
        readiness_probe: Some(Probe::eager(ids::READY_PATH)),
        liveness_probe: Some(Probe::every(ids::LIVE_PATH, 10, 3)),
        resources: resources(&context.plan.settings.knative.scale, service.unit),
        security_context: SecurityContext::restricted(),
        volume_mounts,
    }
}

pub(crate) fn volumes(secrets: &[Secret], config_map: &str) -> Vec<Volume> {
    let mut volumes = vec![Volume::scratch("tmp"), Volume::config_map("binding", config_map)];
    let volume = |secret: &Secret| {
        Volume::secret(&volume_name(secret), &secret.name, &secret.key, secrets::FILE, secret.optional)
    };
    volumes.extend(secrets.iter().map(volume));
    volumes
}

/// Where a secret is in a container.
pub(crate) fn mount(secret: &Secret) -> Mount {
    Mount::read_only(&volume_name(secret), format!("{}/{}", defaults::SECRETS_DIR, secret.id))
}

fn volume_name(secret: &Secret) -> String {
    format!("secret-{}", updraft_kubernetes::names::object_name(&secret.id))
}

/// What `[target.knative.scale]` says of a unit, field by field before what it says of all.
fn scale(scales: &BTreeMap<String, Scale>, unit: &str) -> Scale {
    let (own, all) = (scales.get(unit).cloned().unwrap_or_default(), scales.get("*").cloned().unwrap_or_default());
    Scale {
        min: own.min.or(all.min),
        max: own.max.or(all.max),
        target: own.target.or(all.target),
        concurrency: own.concurrency.or(all.concurrency),
        cpu: own.cpu.or(all.cpu),
        cpu_limit: own.cpu_limit.or(all.cpu_limit),
        memory: own.memory.or(all.memory),
        memory_limit: own.memory_limit.or(all.memory_limit),
    }
}

/// The most pods that a unit may have.
pub(crate) fn most_pods(scales: &BTreeMap<String, Scale>, unit: &str) -> u32 {
    scale(scales, unit).max.unwrap_or(MOST_PODS)
}

/// What a unit's container needs and may use.
pub(crate) fn resources(scales: &BTreeMap<String, Scale>, unit: &str) -> Resources {
    let scale = scale(scales, unit);
    let amounts = |cpu: Option<String>, memory: Option<String>, defaults: [&str; 3]| Amounts {
        cpu: cpu.unwrap_or_else(|| defaults[0].to_owned()),
        memory: memory.unwrap_or_else(|| defaults[1].to_owned()),
        ephemeral_storage: defaults[2].to_owned(),
    };
    Resources {
        requests: amounts(scale.cpu, scale.memory, ["100m", "64Mi", "64Mi"]),
        limits: amounts(scale.cpu_limit, scale.memory_limit, ["1", "256Mi", "256Mi"]),
    }
}

/// The autoscaler's annotations: only the template's count.
fn autoscaling(face: Face, scale: &Scale) -> Map {
    // Requests come in bursts that the activator should take; events wait at the broker anyway, and the activator in
    // their path spreads them evenly over few pods.
    let (target, burst) = match face {
        Face::Public => (64, "100"),
        Face::Internal => (7, "-1"),
    };
    map([
        ("autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev".to_owned()),
        ("autoscaling.knative.dev/metric", "concurrency".to_owned()),
        ("autoscaling.knative.dev/target", scale.target.unwrap_or(target).to_string()),
        ("autoscaling.knative.dev/target-utilization-percentage", "70".to_owned()),
        ("autoscaling.knative.dev/min-scale", scale.min.unwrap_or(0).to_string()),
        ("autoscaling.knative.dev/max-scale", scale.max.unwrap_or(MOST_PODS).to_string()),
        ("autoscaling.knative.dev/initial-scale", scale.min.unwrap_or(1).max(1).to_string()),
        ("autoscaling.knative.dev/window", "60s".to_owned()),
        ("autoscaling.knative.dev/scale-to-zero-pod-retention-period", "5m".to_owned()),
        ("autoscaling.knative.dev/scale-down-delay", "30s".to_owned()),
        ("autoscaling.knative.dev/target-burst-capacity", burst.to_owned()),
        ("serving.knative.dev/progress-deadline", "120s".to_owned()),
    ])
}
