//! `Namespace`.

use super::meta::{Map, Meta};
use serde::Serialize;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
}

impl Namespace {
    /// One that admits only pods of the Pod Security Standard "restricted".
    pub fn restricted(name: &str, mut labels: Map) -> Self {
        for (mode, value) in [("enforce", "restricted"), ("enforce-version", "v1.32"), ("warn", "restricted")] {
            labels.insert(format!("pod-security.kubernetes.io/{mode}"), value.to_owned());
        }
        let metadata = Meta { name: name.to_owned(), labels, ..Meta::default() };
        Namespace { api_version: "v1", kind: "Namespace", metadata }
    }
}
