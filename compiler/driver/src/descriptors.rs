//! The application as the descriptors that its binary carries: what the proof compares and the graph's hash covers.

use std::collections::BTreeMap;
use updraft_model::{App, Handler, Resource};
use updraft_wire::Descriptor;
use updraft_wire::descriptor::Grant;

/// All descriptors, sorted.
pub fn of(app: &App) -> Vec<Descriptor> {
    let mut all: Vec<Descriptor> = app.handlers.iter().map(handler).chain(app.resources.iter().map(resource)).collect();
    all.sort();
    all
}

fn handler(handler: &Handler) -> Descriptor {
    let grants = handler.grants.iter().map(|grant| Grant {
        kind: grant.kind.as_str().to_owned(),
        resource: grant.resource.clone(),
        access: grant.access.as_str().to_owned(),
    });
    Descriptor {
        id: handler.id.clone(),
        kind: handler.trigger.kind().to_owned(),
        file: handler.place.file.clone(),
        line: handler.place.line,
        options: handler.options.clone(),
        grants: grants.collect(),
    }
}

fn resource(resource: &Resource) -> Descriptor {
    Descriptor {
        id: resource.id.clone(),
        kind: format!("resource:{}", resource.kind),
        file: resource.place.file.clone(),
        line: resource.place.line,
        options: resource.options.clone(),
        grants: std::collections::BTreeSet::new(),
    }
}

/// Hex blake3 over the canonical descriptors, sorted: a binding names it, and a program refuses another's.
pub fn graph_hash(app: &App) -> String {
    let mut canonical: Vec<Vec<u8>> = of(app).iter().map(Descriptor::canonical).collect();
    canonical.sort();
    canonical.dedup();
    let mut hash = blake3::Hasher::new();
    for bytes in canonical {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    hash.finalize().to_hex().to_string()
}

/// By (kind, id): what identifies an item in both views.
pub(crate) fn by_identity(all: Vec<Descriptor>) -> BTreeMap<(String, String), Vec<Descriptor>> {
    let mut map: BTreeMap<(String, String), Vec<Descriptor>> = BTreeMap::new();
    for one in all {
        map.entry((one.kind.clone(), one.id.clone())).or_default().push(one);
    }
    map
}
