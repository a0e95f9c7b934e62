//! Knative Serving's webhook: what a Service may say of its pods, its revision, its traffic. Also DomainMapping's.

use crate::value::{entries, go_seconds, is_label, is_subdomain, items, text};
use crate::{Manifest, Report, autoscaling, core, metadata};
use serde_json::Value;
use std::collections::BTreeSet;

/// Off unless a cluster's feature flags allow them.
#[rustfmt::skip] // a list to read, not a column
const FORBIDDEN_IN_POD: [&str; 17] = [
    "securityContext",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "initContainers",
    "terminationGracePeriodSeconds",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "restartPolicy",
];
const FORBIDDEN_IN_CONTAINER: [&str; 6] =
    ["lifecycle", "stdin", "stdinOnce", "tty", "volumeDevices", "startupProbeTimeout"];
const RESERVED_PORTS: [i64; 6] = [8008, 8012, 8013, 8022, 9090, 9091];
const RESERVED_VARIABLES: [&str; 4] = ["PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"];
const RESERVED_PATHS: [&str; 3] = ["/", "/dev", "/dev/log"];
const LONGEST_SECONDS: i64 = 600;
const MOST_CONCURRENT: i64 = 1_000;

/// Rules of a Service or a DomainMapping.
pub fn check(manifest: &Manifest, report: &mut Report<'_>) {
    if manifest.is_knative_service() {
        service(manifest, report);
    }
    if manifest.is("serving.knative.dev", "DomainMapping") {
        let named = is_subdomain(manifest.name()) && manifest.name().contains('.');
        report.require(named, "serving/domain", "metadata.name", "is named by its domain");
        let kind = text(&manifest.value["spec"]["ref"]["kind"]);
        report.require(!kind.is_empty(), "serving/domain", "spec.ref", "leads nowhere");
    }
}

fn service(manifest: &Manifest, report: &mut Report<'_>) {
    let (own, spec) = (&manifest.value["metadata"], &manifest.value["spec"]);
    report.require(is_label(manifest.name()), "serving/name", "metadata.name", "is no label");
    autoscaling::misplaced(&own["annotations"], report);
    let visibility = &own["labels"]["networking.knative.dev/visibility"];
    let good = visibility.is_null() || visibility == "cluster-local";
    report.require(good, "serving/visibility", "metadata.labels", format!("{visibility} is not cluster-local"));
    for (key, path) in [("rollout-duration", own), ("progress-deadline", &spec["template"]["metadata"])] {
        let value = &path["annotations"][format!("serving.knative.dev/{key}")];
        let good = value.is_null() || go_seconds(text(value)).is_some_and(|seconds| seconds.fract() == 0.0);
        report.require(good, "serving/duration", key, format!("{value} is no duration in seconds"));
    }
    let template = &spec["template"];
    metadata::fields(&template["metadata"], "spec.template.metadata", report);
    autoscaling::check(&template["metadata"]["annotations"], report);
    let revision = text(&template["metadata"]["name"]);
    let prefixed = revision.strip_prefix(manifest.name()).is_some_and(|rest| rest.starts_with('-') && rest.len() > 1);
    let good = revision.is_empty() || prefixed && is_label(revision);
    report.require(
        good,
        "serving/revision-name",
        "spec.template.metadata.name",
        format!("`{revision}` does not start with `{}-`, or is no label", manifest.name()),
    );
    pod(&template["spec"], report);
    traffic(manifest, report);
}

fn pod(pod: &Value, report: &mut Report<'_>) {
    let path = "spec.template.spec";
    for field in FORBIDDEN_IN_POD {
        report.require(
            pod.get(field).is_none(),
            "serving/forbidden-field",
            format!("{path}.{field}"),
            "is not allowed by default",
        );
    }
    let token = pod["automountServiceAccountToken"] == Value::Bool(true);
    report.require(
        !token,
        "serving/forbidden-field",
        format!("{path}.automountServiceAccountToken"),
        "only false is allowed",
    );
    let account = &pod["serviceAccountName"];
    report.require(
        account.is_null() || is_subdomain(text(account)),
        "serving/name",
        format!("{path}.serviceAccountName"),
        "is no name",
    );
    times(pod, path, report);
    core::resources(pod, path, report);
    let containers = items(&pod["containers"]);
    report.require(!containers.is_empty(), "serving/containers", format!("{path}.containers"), "there is none");
    let ports = containers.iter().flat_map(|container| items(&container["ports"])).count();
    report.require(
        ports <= 1,
        "serving/ports",
        format!("{path}.containers"),
        format!("{ports} ports, at most one is allowed"),
    );
    for (at, held) in containers.iter().enumerate() {
        container(held, &format!("{path}.containers[{at}]"), report);
    }
    volumes(pod, path, report);
}

fn times(pod: &Value, path: &str, report: &mut Report<'_>) {
    let timeout = pod["timeoutSeconds"].as_i64().unwrap_or(300);
    let good = (0..=LONGEST_SECONDS).contains(&timeout);
    report.require(
        good,
        "serving/timeout",
        format!("{path}.timeoutSeconds"),
        format!("{timeout} is not from 0 to {LONGEST_SECONDS}"),
    );
    for field in ["responseStartTimeoutSeconds", "idleTimeoutSeconds"] {
        let good = pod[field].is_null() || pod[field].as_i64().is_some_and(|seconds| (0..=timeout).contains(&seconds));
        report.require(good, "serving/timeout", format!("{path}.{field}"), "is above timeoutSeconds");
    }
    let concurrency = &pod["containerConcurrency"];
    let good =
        concurrency.is_null() || concurrency.as_i64().is_some_and(|limit| (0..=MOST_CONCURRENT).contains(&limit));
    report.require(
        good,
        "serving/concurrency",
        format!("{path}.containerConcurrency"),
        format!("{concurrency} is not from 0 to {MOST_CONCURRENT}"),
    );
}

fn container(container: &Value, path: &str, report: &mut Report<'_>) {
    for field in FORBIDDEN_IN_CONTAINER {
        report.require(
            container.get(field).is_none(),
            "serving/forbidden-field",
            format!("{path}.{field}"),
            "is not allowed",
        );
    }
    report.require(text(&container["name"]) != "queue-proxy", "serving/name", format!("{path}.name"), "is reserved");
    report.require(!text(&container["image"]).is_empty(), "serving/image", format!("{path}.image"), "is missing");
    for port in items(&container["ports"]) {
        let path = format!("{path}.ports");
        let name = text(&port["name"]);
        report.require(
            matches!(name, "" | "http1" | "h2c"),
            "serving/port-name",
            &path,
            format!("`{name}` is none of http1, h2c"),
        );
        let number = port["containerPort"].as_i64().unwrap_or_default();
        let good = (1..=65_535).contains(&number) && !RESERVED_PORTS.contains(&number);
        report.require(good, "serving/port", &path, format!("{number} is reserved or no port"));
        let host = port.get("hostPort").is_some() || port.get("hostIP").is_some();
        report.require(!host, "serving/forbidden-field", &path, "hostPort is not allowed");
    }
    let mut names = BTreeSet::new();
    for variable in items(&container["env"]) {
        let name = text(&variable["name"]);
        let path = format!("{path}.env.{name}");
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        report.require(good, "serving/env-name", &path, "is no variable's name");
        report.require(!RESERVED_VARIABLES.contains(&name), "serving/env-reserved", &path, "is set by Knative");
        report.require(names.insert(name), "serving/env-twice", &path, "stands twice");
        for field in ["fieldRef", "resourceFieldRef"] {
            let free = variable["valueFrom"].get(field).is_none();
            report.require(
                free,
                "serving/forbidden-field",
                format!("{path}.valueFrom.{field}"),
                "is not allowed by default",
            );
        }
    }
    let context = &container["securityContext"];
    let added = items(&context["capabilities"]["add"]).iter().any(|name| text(name) != "NET_BIND_SERVICE");
    report.require(
        !added,
        "serving/forbidden-field",
        format!("{path}.securityContext.capabilities.add"),
        "is not allowed by default",
    );
    report.require(
        context["privileged"] != Value::Bool(true),
        "serving/forbidden-field",
        format!("{path}.securityContext.privileged"),
        "is not allowed",
    );
    for name in ["readinessProbe", "livenessProbe", "startupProbe"] {
        probe(&container[name], &format!("{path}.{name}"), report);
    }
}

fn probe(probe: &Value, path: &str, report: &mut Report<'_>) {
    if probe.is_null() {
        return;
    }
    let handlers = ["httpGet", "tcpSocket", "grpc", "exec"].iter().filter(|name| probe.get(**name).is_some()).count();
    report.require(handlers == 1, "serving/probe", path, format!("{handlers} ways to probe, exactly one is meant"));
    if let Some(get) = probe.get("httpGet") {
        let good = text(&get["path"]).starts_with('/');
        report.require(good, "serving/probe", format!("{path}.httpGet.path"), "does not start with /");
    }
}

fn volumes(pod: &Value, path: &str, report: &mut Report<'_>) {
    let volumes = items(&pod["volumes"]);
    let mounts = || items(&pod["containers"]).iter().flat_map(|container| items(&container["volumeMounts"]));
    let mut names = BTreeSet::new();
    for volume in volumes {
        let name = text(&volume["name"]);
        let path = format!("{path}.volumes.{name}");
        report.require(is_label(name), "serving/volume", &path, "is no label");
        report.require(names.insert(name), "serving/volume", &path, "stands twice");
        let mounted = mounts().any(|mount| text(&mount["name"]) == name);
        report.require(mounted, "serving/volume-unmounted", &path, "is not mounted");
        let sources = entries(volume).filter(|(field, _)| field.as_str() != "name").map(|(field, _)| field.as_str());
        let sources: Vec<&str> = sources.collect();
        let allowed = ["secret", "configMap", "projected", "emptyDir"];
        let good = sources.len() == 1 && sources.iter().all(|source| allowed.contains(source));
        report.require(good, "serving/volume-source", &path, format!("{sources:?}, one of {allowed:?} is allowed"));
    }
    let mut paths = BTreeSet::new();
    for mount in mounts() {
        let (name, at) = (text(&mount["name"]), text(&mount["mountPath"]));
        let path = format!("{path}.containers.volumeMounts.{name}");
        let volume = volumes.iter().find(|volume| text(&volume["name"]) == name);
        report.require(volume.is_some(), "serving/mount-unknown", &path, "no such volume");
        let good = at.starts_with('/') && !RESERVED_PATHS.contains(&at) && paths.insert(at);
        report.require(
            good,
            "serving/mount-path",
            &path,
            format!("`{at}` is not absolute, is reserved or stands twice"),
        );
        let scratch = volume.is_some_and(|volume| volume.get("emptyDir").is_some());
        let good = scratch || mount["readOnly"] == Value::Bool(true);
        report.require(good, "serving/mount-writable", &path, "only scratch space may be written to");
    }
}

fn traffic(manifest: &Manifest, report: &mut Report<'_>) {
    let targets = items(&manifest.value["spec"]["traffic"]);
    let mut tags = BTreeSet::new();
    for (at, target) in targets.iter().enumerate() {
        let path = format!("spec.traffic[{at}]");
        let latest = target["latestRevision"] == Value::Bool(true);
        let named = target.get("revisionName").is_some();
        report.require(latest != named, "serving/traffic-target", &path, "either latestRevision or revisionName");
        if let Some(tag) = target["tag"].as_str() {
            let host = format!("{tag}-{}", manifest.name());
            report.require(
                is_label(tag) && is_label(&host),
                "serving/traffic-tag",
                &path,
                format!("`{host}` is no label"),
            );
            report.require(tags.insert(tag), "serving/traffic-tag", &path, "the tag stands twice");
        }
    }
    let sum: i64 = targets.iter().filter_map(|target| target["percent"].as_i64()).sum();
    report.require(
        targets.is_empty() || sum == 100,
        "serving/traffic-sum",
        "spec.traffic",
        format!("adds up to {sum}, not 100"),
    );
}
