//! Secrets: referenced, mounted as files, never emitted. The compiler sees no values.

use crate::lower::Context;
use crate::services::Service;
use std::collections::BTreeMap;
use updraft_kubernetes::names::object_name;
use updraft_model::{Kind, Plan};
use updraft_wire::binding::Engine;

/// The name of a secret's file below `<secrets dir>/<id>/`.
pub(crate) const FILE: &str = "value";

/// A secret that must exist before the app starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secret {
    /// `mailer-key`.
    pub(crate) id: String,
    /// The object's name.
    pub(crate) name: String,
    /// The key within.
    pub(crate) key: String,
    /// Whether the app starts without it.
    pub(crate) optional: bool,
    /// Whether `Updraft.toml` adopts one that exists.
    pub(crate) adopted: bool,
    /// What it is for.
    pub(crate) purpose: String,
}

/// The secrets that a Service mounts, sorted by id: those of its handlers and those of the engines that they reach.
pub(crate) fn of_service(context: &Context<'_>, service: &Service<'_>) -> Vec<Secret> {
    let plan = context.plan;
    let mut found = BTreeMap::new();
    if service.keeps_dead_letters() {
        let engine = plan.settings.knative.dead_letters.as_ref().map(|bound| &bound.engine);
        add_engine(context, &mut found, engine, "the engine that keeps dead letters");
    }
    for grant in service.runs.iter().flat_map(|handler| &handler.grants) {
        match grant.kind {
            Kind::Secret => {
                let optional = is_optional(plan, &grant.resource);
                add(context, &mut found, &grant.resource, optional, format!("the app's secret {}", grant.resource));
            }
            Kind::Store | Kind::Bucket | Kind::Queue | Kind::Topic | Kind::External => {
                let engine = plan.engines.get(&(grant.kind, grant.resource.clone()));
                add_engine(context, &mut found, engine, &format!("the engine of {} {}", grant.kind, grant.resource));
            }
            Kind::Config | Kind::Function => {}
        }
    }
    found.into_values().collect()
}

/// All secrets of the app, sorted by id.
pub(crate) fn all(context: &Context<'_>) -> Vec<Secret> {
    let mut found: BTreeMap<String, Secret> = BTreeMap::new();
    for secret in context.services.iter().flat_map(|service| of_service(context, service)) {
        found.entry(secret.id.clone()).or_insert(secret);
    }
    found.into_values().collect()
}

fn is_optional(plan: &Plan, id: &str) -> bool {
    let option = plan.app.resource(Kind::Secret, id).and_then(|resource| resource.options.get("optional"));
    option.is_some_and(|value| value != "false")
}

fn add_engine(context: &Context<'_>, found: &mut BTreeMap<String, Secret>, engine: Option<&Engine>, purpose: &str) {
    match engine {
        Some(Engine::Redis { url_secret, .. }) => {
            add(context, found, url_secret, false, format!("a Redis URL: {purpose}"));
        }
        Some(Engine::S3 { credentials_secret: Some(secret), .. }) => {
            add(context, found, secret, false, format!("S3 credentials as JSON: {purpose}"));
        }
        Some(
            Engine::S3 { credentials_secret: None, .. }
            | Engine::Broker {}
            | Engine::File {}
            | Engine::Value {}
            | Engine::Hosts { .. },
        )
        | None => {}
    }
}

fn add(context: &Context<'_>, found: &mut BTreeMap<String, Secret>, id: &str, optional: bool, purpose: String) {
    let adopted = context.plan.settings.secrets.get(id);
    let secret = Secret {
        id: id.to_owned(),
        name: adopted
            .map_or_else(|| format!("{}-{}", context.names.app, object_name(id)), |secret| secret.name.clone()),
        key: adopted.map_or_else(|| FILE.to_owned(), |secret| secret.key.clone()),
        optional,
        adopted: adopted.is_some(),
        purpose,
    };
    let entry = found.entry(id.to_owned()).or_insert(secret);
    entry.optional &= optional; // what one needs is needed
}
