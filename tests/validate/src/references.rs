//! Objects that name others: which must exist, and before them where a webhook looks them up.

use crate::value::{entries, items, text};
use crate::{Finding, Manifest, Report};
use serde_json::Value;
use std::collections::BTreeMap;

/// What an object names.
struct Named<'a> {
    path: String,
    group: &'a str,
    kind: &'a str,
    name: &'a str,
    /// Whether it must come before.
    before: bool,
}

/// All references of all objects.
pub fn check(manifests: &[Manifest], findings: &mut Vec<Finding>) {
    let mut places: BTreeMap<(String, &str, &str), usize> = BTreeMap::new();
    for (at, manifest) in manifests.iter().enumerate() {
        let mut report = Report { manifest, findings };
        let group = group(manifest.api_version()).to_owned();
        let twice = places.insert((group, manifest.kind(), manifest.name()), at).is_some();
        report.require(!twice, "references/twice", "metadata.name", "the same object stands twice");
    }
    let namespaces: Vec<&str> = manifests.iter().filter(|m| m.kind() == "Namespace").map(Manifest::name).collect();
    for (at, manifest) in manifests.iter().enumerate() {
        let mut report = Report { manifest, findings };
        for named in named(manifest) {
            let place = places.get(&(named.group.to_owned(), named.kind, named.name));
            let object = format!("{}/{}", named.kind, named.name);
            report.require(place.is_some(), "references/missing", &named.path, format!("there is no {object}"));
            let late = named.before && place.is_some_and(|place| *place > at);
            report.require(!late, "references/order", &named.path, format!("{object} comes after it"));
        }
        let known =
            manifest.namespace().is_empty() || namespaces.is_empty() || namespaces.contains(&manifest.namespace());
        report.require(
            known,
            "references/missing",
            "metadata.namespace",
            format!("there is no namespace {}", manifest.namespace()),
        );
    }
}

fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

fn named(manifest: &Manifest) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    let spec = &manifest.value["spec"];
    if manifest.is_knative_service() {
        pod(&spec["template"]["spec"], "spec.template.spec", &mut found);
    }
    if manifest.is("batch", "CronJob") {
        pod(&spec["jobTemplate"]["spec"]["template"]["spec"], "spec.jobTemplate.spec.template.spec", &mut found);
    }
    if manifest.is("eventing.knative.dev", "Broker") {
        destination(&spec["delivery"]["deadLetterSink"], "spec.delivery.deadLetterSink", false, &mut found);
    }
    if manifest.is("eventing.knative.dev", "Trigger") {
        let broker = text(&spec["broker"]);
        found.push(Named {
            path: "spec.broker".into(),
            group: "eventing.knative.dev",
            kind: "Broker",
            name: broker,
            before: true,
        });
        destination(&spec["subscriber"], "spec.subscriber", true, &mut found);
        destination(&spec["delivery"]["deadLetterSink"], "spec.delivery.deadLetterSink", true, &mut found);
    }
    if manifest.is("sources.knative.dev", "PingSource") {
        destination(&spec["sink"], "spec.sink", true, &mut found);
    }
    if manifest.is("serving.knative.dev", "DomainMapping") {
        destination(spec, "spec", true, &mut found);
    }
    if manifest.is("networking.k8s.io", "NetworkPolicy")
        && let Some(name) = spec["podSelector"]["matchLabels"]["serving.knative.dev/service"].as_str()
    {
        found.push(Named {
            path: "spec.podSelector".into(),
            group: "serving.knative.dev",
            kind: "Service",
            name,
            before: false,
        });
    }
    found
}

fn destination<'a>(destination: &'a Value, path: &str, before: bool, found: &mut Vec<Named<'a>>) {
    let reference = &destination["ref"];
    if reference.is_object() {
        let (group, kind, name) =
            (group(text(&reference["apiVersion"])), text(&reference["kind"]), text(&reference["name"]));
        found.push(Named { path: format!("{path}.ref"), group, kind, name, before });
    }
}

/// Secrets are not emitted, so a pod's may be missing here; its account and config maps may not.
fn pod<'a>(pod: &'a Value, path: &str, found: &mut Vec<Named<'a>>) {
    if let Some(name) = pod["serviceAccountName"].as_str() {
        found.push(Named {
            path: format!("{path}.serviceAccountName"),
            group: "",
            kind: "ServiceAccount",
            name,
            before: true,
        });
    }
    for volume in items(&pod["volumes"]) {
        for (_, source) in entries(volume).filter(|(field, _)| field.as_str() == "configMap") {
            let name = text(&source["name"]);
            found.push(Named { path: format!("{path}.volumes"), group: "", kind: "ConfigMap", name, before: true });
        }
    }
}
