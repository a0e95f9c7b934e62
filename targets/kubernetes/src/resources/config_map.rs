//! `ConfigMap`.

use super::meta::{Map, Meta};
use serde::Serialize;

/// A config map.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    api_version: &'static str,
    kind: &'static str,
    /// Its metadata.
    pub metadata: Meta,
    immutable: bool,
    data: Map,
}

impl ConfigMap {
    /// One that never changes: its name carries its contents' hash.
    pub fn immutable(metadata: Meta, data: Map) -> Self {
        ConfigMap { api_version: "v1", kind: "ConfigMap", metadata, immutable: true, data }
    }
}
