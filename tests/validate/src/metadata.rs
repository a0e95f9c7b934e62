//! `metadata`: definitions of custom resources leave it open, and so a typo in it is lost in silence.

use crate::value::{entries, is_subdomain, text};
use crate::{Manifest, Report};
use serde_json::Value;

/// The fields that a person may set.
const FIELDS: [&str; 6] = ["name", "namespace", "labels", "annotations", "generateName", "finalizers"];

/// Names, labels and annotations of an object.
pub fn check(manifest: &Manifest, report: &mut Report<'_>) {
    if manifest.kind() == "Kustomization" {
        return;
    }
    let metadata = &manifest.value["metadata"];
    fields(metadata, "metadata", report);
    report.require(
        is_subdomain(manifest.name()),
        "metadata/name",
        "metadata.name",
        format!("`{}` is no name", manifest.name()),
    );
    let label = manifest.namespace();
    let good = label.is_empty() || crate::value::is_label(label);
    report.require(good, "metadata/name", "metadata.namespace", format!("`{label}` is no namespace's name"));
}

/// Fields, labels and annotations of a `metadata`, wherever it stands.
pub fn fields(metadata: &Value, path: &str, report: &mut Report<'_>) {
    for (field, _) in entries(metadata) {
        let known = FIELDS.contains(&field.as_str());
        report.require(known, "schema/unknown-field", format!("{path}.{field}"), "metadata has no such field");
    }
    for map in ["labels", "annotations"] {
        for (key, value) in entries(&metadata[map]) {
            let path = format!("{path}.{map}.{key}");
            report.require(value.is_string(), "schema/type", &path, format!("{value} is no string"));
            report.require(is_key(key), "metadata/key", &path, "neither `name` nor `prefix/name`");
            let good = map == "annotations" || is_label_value(text(value));
            report.require(good, "metadata/label", &path, format!("{value} is no label's value"));
        }
    }
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    (prefix.is_empty() || is_subdomain(prefix)) && !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().last())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
