//! The binding, in a config map that carries its hash in its name: what a revision read stays what it reads.

use super::meta;
use crate::lower::Context;
use crate::names::DEAD_LETTER_UNIT;
use std::collections::BTreeMap;
use updraft_kubernetes::hash::hash8;
use updraft_kubernetes::resources::{ConfigMap, meta::Map};
use updraft_kubernetes::{Document, yaml};
use updraft_model::{Handler, Kind};
use updraft_wire::binding::{Binding, FORMAT, Unit};
use updraft_wire::limits::HttpLimits;

/// The directory where the binding is mounted, and the file's name there.
pub(crate) const DIRECTORY: &str = "/etc/updraft";
const FILE: &str = "binding.json";

/// The config map, and its name.
pub(crate) struct Bound {
    pub(crate) config_map: String,
    pub(crate) document: Document,
}

pub(crate) fn lower(context: &Context<'_>) -> Result<Bound, yaml::Error> {
    let binding = binding(context);
    let hash = hash8(&serde_json::to_value(&binding).unwrap_or_default());
    let prefix =
        if context.names.prefix.is_empty() { format!("{}-", context.names.app) } else { context.names.prefix.clone() };
    let name = format!("{prefix}binding-{hash}");
    // Lines, so that a person can read it and a diff shows what changed.
    let text = serde_json::to_string_pretty(&binding).unwrap_or_default() + "\n";
    let data = Map::from([(FILE.to_owned(), text)]);
    let config_map = ConfigMap::immutable(meta(context, name.clone(), None, Map::new()), data);
    let comment = vec![
        "Which unit serves what, and what implements each resource: read at start, without secrets.".to_owned(),
        "The name carries the contents' hash, so that another binding is another revision.".to_owned(),
    ];
    Ok(Bound { document: Document::new(comment, &config_map)?, config_map: name })
}

fn binding(context: &Context<'_>) -> Binding {
    let plan = context.plan;
    let mut units: BTreeMap<String, Unit> = plan
        .units
        .iter()
        .map(|unit| {
            let events = context.services.iter().find(|service| service.unit == unit.id && service.takes_events());
            let events_url = events.map(|service| context.names.service_url(&service.name));
            (unit.id.clone(), Unit { handlers: unit.handlers.clone(), events_url, ..Unit::default() })
        })
        .collect();
    if context.events {
        units.insert(DEAD_LETTER_UNIT.to_owned(), Unit { dead_letters: true, ..Unit::default() });
    }
    let mut resources: BTreeMap<String, BTreeMap<String, _>> = BTreeMap::new();
    for ((kind, id), engine) in &plan.engines {
        resources.entry(kind.as_str().to_owned()).or_default().insert(id.clone(), engine.clone());
    }
    let dead_letters = plan.settings.knative.dead_letters.as_ref();
    let used = |id: &String| plan.app.resource(Kind::Config, id).is_some();
    Binding {
        format: FORMAT,
        app: plan.app.name.clone(),
        graph: plan.graph.clone(),
        units,
        resources,
        broker_url: context.events.then(|| context.names.broker_url()),
        dead_letter_url: context.events.then(|| context.names.dead_letter_url()),
        http: (plan.settings.http != HttpLimits::DEFAULT).then_some(plan.settings.http),
        dead_letters: dead_letters.filter(|_| context.events).map(|bound| bound.engine.clone()),
        once: plan
            .settings
            .once
            .as_ref()
            .filter(|_| plan.app.handlers.iter().any(Handler::is_once))
            .map(|bound| bound.engine.clone()),
        configs: plan
            .settings
            .configs
            .iter()
            .filter(|(id, _)| used(id))
            .map(|(id, value)| (id.clone(), value.clone()))
            .collect(),
    }
}
