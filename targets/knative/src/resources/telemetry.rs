//! Traces and metrics: what units are told of them, and how Prometheus finds them.
//!
//! Metrics have a port of their own: a public unit's port is the world's, and Serving's proxy stands before it. Prometheus asks
//! each pod, since a Service's address leads to any of them, and would start one that is scaled to nothing.

use super::meta;
use crate::lower::Context;
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::{Map, PART_OF, map};
use updraft_kubernetes::resources::network_policy::Selector;
use updraft_kubernetes::resources::pod::Variable;
use updraft_kubernetes::{Document, yaml};
use updraft_model::settings::{Find, Metrics, Prometheus};
use updraft_wire::ids::METRICS_PATH;

/// Where metrics are read: the port of OpenTelemetry's Prometheus exporters.
pub(crate) const PORT: u16 = 9464;
/// How often a PodMonitor asks.
const INTERVAL: &str = "30s";

/// What `[telemetry]` says of Prometheus.
pub(crate) fn prometheus<'a>(context: &'a Context<'_>) -> Option<&'a Prometheus> {
    context.plan.settings.telemetry.as_ref()?.prometheus.as_ref()
}

/// `OTEL_*` of every unit.
pub(crate) fn variables(context: &Context<'_>) -> Vec<Variable> {
    let Some(telemetry) = &context.plan.settings.telemetry else { return Vec::new() };
    let mut variables = Vec::new();
    if let Some(endpoint) = &telemetry.endpoint {
        variables.push(Variable::new("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    }
    if let Some(ratio) = telemetry.ratio {
        variables.push(Variable::new("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"));
        variables.push(Variable::new("OTEL_TRACES_SAMPLER_ARG", ratio.to_string()));
    }
    let otlp = telemetry.endpoint.is_some() && telemetry.metrics == Metrics::Otlp;
    let exporters = match (otlp, &telemetry.prometheus) {
        (true, None) => return variables, // what they do unless told
        (true, Some(_)) => "otlp,prometheus",
        (false, Some(_)) => "prometheus",
        (false, None) => "none",
    };
    variables.push(Variable::new("OTEL_METRICS_EXPORTER", exporters));
    if telemetry.prometheus.is_some() {
        variables.push(Variable::new("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"));
        variables.push(Variable::new("OTEL_EXPORTER_PROMETHEUS_PORT", PORT.to_string()));
    }
    variables
}

/// Of pods, where Prometheus goes by annotations.
pub(crate) fn annotations(context: &Context<'_>) -> Map {
    match prometheus(context) {
        Some(Prometheus { find: Find::Annotations, .. }) => map([
            ("prometheus.io/scrape", "true".to_owned()),
            ("prometheus.io/port", PORT.to_string()),
            ("prometheus.io/path", METRICS_PATH.to_owned()),
        ]),
        Some(Prometheus { find: Find::PodMonitor, .. }) | None => Map::new(),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodMonitor {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    selector: Selector,
    pod_metrics_endpoints: Vec<Endpoint>,
}

/// The operator asks declared ports alone, and Serving lets a container declare one: so the address is that port's with
/// another number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: &'static str,
    path: &'static str,
    interval: &'static str,
    relabelings: Vec<Relabeling>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relabeling {
    source_labels: [&'static str; 1],
    regex: &'static str,
    target_label: &'static str,
    replacement: String,
}

/// The name that Serving gives the container's port.
const DECLARED: &str = "user-port";

fn address(regex: &'static str, replacement: String) -> Relabeling {
    Relabeling { source_labels: ["__meta_kubernetes_pod_ip"], regex, target_label: "__address__", replacement }
}

/// The PodMonitor, where Prometheus goes by one.
pub(crate) fn monitor(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    let Some(Prometheus { find: Find::PodMonitor, .. }) = prometheus(context) else { return Ok(Vec::new()) };
    let mut selector = Selector::has("serving.knative.dev/service");
    selector.match_labels = map([(PART_OF, context.names.app.as_str())]);
    let object = PodMonitor {
        api_version: "monitoring.coreos.com/v1",
        kind: "PodMonitor",
        metadata: meta(context, context.names.object("units"), None, Map::new()),
        spec: Spec {
            selector,
            pod_metrics_endpoints: vec![Endpoint {
                port: DECLARED,
                path: METRICS_PATH,
                interval: INTERVAL,
                relabelings: vec![
                    address("([0-9.]+)", format!("$1:{PORT}")),
                    address("(.*:.*)", format!("[$1]:{PORT}")),
                ],
            }],
        },
    };
    let comment = "Every unit's metrics, on a port of their own. Needs the Prometheus operator.".to_owned();
    Ok(vec![Document::new(vec![comment], &object)?])
}
