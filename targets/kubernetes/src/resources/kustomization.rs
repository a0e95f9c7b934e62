//! `Kustomization`.

use serde::Serialize;

/// What `kubectl apply -k` reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kustomization {
    api_version: &'static str,
    kind: &'static str,
    /// Files, in the order in which they are to be applied.
    resources: Vec<String>,
    sort_options: SortOptions,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SortOptions {
    order: &'static str,
}

impl Kustomization {
    /// These files, in this order: later ones depend on earlier ones.
    pub fn in_order(resources: Vec<String>) -> Self {
        Kustomization {
            api_version: "kustomize.config.k8s.io/v1beta1",
            kind: "Kustomization",
            resources,
            sort_options: SortOptions { order: "fifo" },
        }
    }
}
