//! `metadata`, and the labels that everything of ours carries.

use serde::Serialize;
use std::collections::BTreeMap;

/// What `managed-by` says.
pub const MANAGER: &str = "updraft";
/// The label that names the app an object is part of.
pub const PART_OF: &str = "app.kubernetes.io/part-of";

/// Names, labels or annotations.
pub type Map = BTreeMap<String, String>;

/// An object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Meta {
    /// The object's name.
    pub name: String,
    /// Absent for objects of the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Map,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Map,
}

/// A map from pairs.
pub fn map<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Map {
    pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// The recommended labels: `name`, where an object belongs to one unit, `part-of` and `managed-by`.
pub fn labels(app: &str, name: Option<&str>) -> Map {
    let mut labels = map([(PART_OF, app), ("app.kubernetes.io/managed-by", MANAGER)]);
    labels.extend(name.map(|name| ("app.kubernetes.io/name".to_owned(), name.to_owned())));
    labels
}
