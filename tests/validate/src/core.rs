//! Kubernetes' own kinds, by a typed round trip: serde drops what a type does not know, so what does not come back was unknown.

use crate::value::{cron_error, entries, items, quantity, text};
use crate::{Manifest, Report};
use k8s_openapi::api;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Checks an object of a kind that is known here, and says whether it is.
pub fn check(manifest: &Manifest, report: &mut Report<'_>) -> bool {
    match (manifest.api_version(), manifest.kind()) {
        ("v1", "Namespace") => round_trip::<api::core::v1::Namespace>(manifest, report),
        ("v1", "ServiceAccount") => round_trip::<api::core::v1::ServiceAccount>(manifest, report),
        ("v1", "ConfigMap") => round_trip::<api::core::v1::ConfigMap>(manifest, report),
        ("networking.k8s.io/v1", "NetworkPolicy") => {
            round_trip::<api::networking::v1::NetworkPolicy>(manifest, report);
            policy(manifest, report);
        }
        ("batch/v1", "CronJob") => {
            round_trip::<api::batch::v1::CronJob>(manifest, report);
            cron_job(manifest, report);
        }
        ("apps/v1", "Deployment") => round_trip::<api::apps::v1::Deployment>(manifest, report),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization") => kustomization(manifest, report),
        _ => return false,
    }
    true
}

fn round_trip<T: Serialize + DeserializeOwned>(manifest: &Manifest, report: &mut Report<'_>) {
    let typed: T = match serde_json::from_value(manifest.value.clone()) {
        Ok(typed) => typed,
        Err(error) => return report.add("schema/type", "", error.to_string()),
    };
    match serde_json::to_value(&typed) {
        Ok(back) => compare(&manifest.value, &back, "", report),
        Err(error) => report.add("schema/type", "", error.to_string()),
    }
}

/// What stands in `given` and is not in `back` was not known. (`back` may say more: defaults.)
fn compare(given: &Value, back: &Value, path: &str, report: &mut Report<'_>) {
    let below = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    for (field, value) in entries(given) {
        match back.get(field) {
            Some(back) => compare(value, back, &below(field), report),
            None => report.add(
                "schema/unknown-field",
                below(field),
                format!("{} has no such field", report.manifest.kind()),
            ),
        }
    }
    for (at, (given, back)) in items(given).iter().zip(items(back)).enumerate() {
        compare(given, back, &format!("{path}[{at}]"), report);
    }
    if !given.is_object() && !given.is_array() && given != back {
        report.add("schema/type", path, format!("{given} would be read as {back}"));
    }
}

fn policy(manifest: &Manifest, report: &mut Report<'_>) {
    let spec = &manifest.value["spec"];
    for (direction, rules, peers) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        let named = items(&spec["policyTypes"]).iter().any(|kind| text(kind) == direction);
        for (at, rule) in items(&spec[rules]).iter().enumerate() {
            let path = format!("spec.{rules}[{at}]");
            report.require(named, "core/policy-type", &path, format!("policyTypes does not name {direction}"));
            // An empty list of peers means everyone: never what is meant by listing edges.
            let open = items(&rule[peers]).is_empty();
            report.require(!open, "core/policy-open", format!("{path}.{peers}"), "selects everyone");
            for port in items(&rule["ports"]) {
                let good = port["port"].as_i64().is_some_and(|port| (1..=65_535).contains(&port));
                report.require(good, "core/port", format!("{path}.ports"), format!("{} is no port", port["port"]));
            }
        }
    }
}

fn cron_job(manifest: &Manifest, report: &mut Report<'_>) {
    let spec = &manifest.value["spec"];
    if let Some(error) = cron_error(text(&spec["schedule"])) {
        report.add("core/cron", "spec.schedule", error);
    }
    let template = &spec["jobTemplate"]["spec"]["template"];
    let restart = text(&template["spec"]["restartPolicy"]);
    let good = matches!(restart, "Never" | "OnFailure");
    report.require(
        good,
        "core/restart-policy",
        "spec.jobTemplate.spec.template.spec",
        "a job restarts Never or OnFailure",
    );
    resources(&template["spec"], "spec.jobTemplate.spec.template.spec", report);
}

/// Quantities of a pod's containers: numbers, and no request above its limit.
pub fn resources(pod: &Value, path: &str, report: &mut Report<'_>) {
    for (at, container) in items(&pod["containers"]).iter().enumerate() {
        let resources = &container["resources"];
        let path = format!("{path}.containers[{at}].resources");
        for part in ["requests", "limits"] {
            for (name, value) in entries(&resources[part]) {
                let good = quantity(value).is_some();
                report.require(
                    good,
                    "core/quantity",
                    format!("{path}.{part}.{name}"),
                    format!("{value} is no quantity"),
                );
            }
        }
        for (name, value) in entries(&resources["requests"]) {
            let limit = quantity(&resources["limits"][name]);
            let above = quantity(value).zip(limit).is_some_and(|(request, limit)| request > limit);
            report.require(!above, "core/request-above-limit", format!("{path}.requests.{name}"), "is above the limit");
        }
    }
}

fn kustomization(manifest: &Manifest, report: &mut Report<'_>) {
    for (field, _) in entries(&manifest.value) {
        let known = ["apiVersion", "kind", "resources", "sortOptions", "namespace"].contains(&field.as_str());
        report.require(known, "schema/unknown-field", field, "not a field that we write");
    }
}
