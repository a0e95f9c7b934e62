//! The plan for a target: units and engines, everything a lowering needs.

use crate::{Checked, descriptors};
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{Kind, Plan};
use updraft_wire::binding::Engine;

/// Puts a plan together. A stateful resource without a binding is left out: the target's check has said so.
pub fn plan(checked: &Checked, image: String, digest: String) -> Plan {
    let app = &checked.app;
    let mut used: BTreeSet<(Kind, &str)> = BTreeSet::new();
    for handler in &app.handlers {
        used.extend(handler.grants.iter().map(|grant| (grant.kind, grant.resource.as_str())));
        used.extend(handler.trigger.source());
    }
    let settings = &checked.settings;
    let mut engines = BTreeMap::new();
    for (kind, id) in used {
        let bound = settings.resource_bindings.get(id).or_else(|| settings.bindings.get(kind.as_str()));
        let engine = match (bound, kind) {
            (Some(bound), _) => Some(bound.engine.clone()),
            (None, Kind::Queue | Kind::Topic) => Some(Engine::Broker {}),
            (None, Kind::Secret) => Some(Engine::File {}),
            (None, Kind::Config) => Some(Engine::Value {}),
            (None, Kind::External) => Some(Engine::Hosts { base_url: None }),
            (None, Kind::Store | Kind::Bucket | Kind::Database | Kind::Function | Kind::Shared) => None,
        };
        engines.extend(
            engine
                .filter(|_| !matches!(kind, Kind::Function | Kind::Shared))
                .map(|engine| ((kind, id.to_owned()), engine)),
        );
    }
    Plan {
        app: app.clone(),
        graph: descriptors::graph_hash(app),
        units: checked.units.clone(),
        engines,
        settings: settings.clone(),
        image,
        digest,
    }
}
