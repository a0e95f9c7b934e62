//! Secrets: referenced, mounted as files, never emitted. The compiler sees no values.

use crate::lower::Context;
use crate::services::Service;
use std::collections::{BTreeMap, BTreeSet};
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
    /// What it holds.
    pub(crate) holds: &'static str,
    /// What it is for: resources, sorted.
    pub(crate) users: BTreeSet<String>,
}

/// The secrets that a Service mounts, sorted by id: those of its handlers and those of the engines that they reach.
pub(crate) fn of_service(context: &Context<'_>, service: &Service<'_>) -> Vec<Secret> {
    let plan = context.plan;
    let mut found = BTreeMap::new();
    if service.keeps_dead_letters() {
        let engine = plan.settings.knative.dead_letters.as_ref().map(|bound| &bound.engine);
        add_engine(context, &mut found, engine, "dead letters");
    }
    if service.remembers() {
        add_engine(context, &mut found, plan.settings.once.as_ref().map(|bound| &bound.engine), "effects once");
    }
    for (handler, grant) in
        service.runs.iter().flat_map(|handler| handler.grants.iter().map(move |grant| (handler, grant)))
    {
        match grant.kind {
            Kind::Secret => {
                let optional = is_optional(plan, &grant.resource);
                add(context, &mut found, &grant.resource, optional, "a value", &handler.id);
            }
            Kind::Store | Kind::Bucket | Kind::Database | Kind::Queue | Kind::Topic | Kind::External => {
                let engine = plan.engines.get(&(grant.kind, grant.resource.clone()));
                add_engine(context, &mut found, engine, &format!("{} {}", grant.kind, grant.resource));
            }
            Kind::Config | Kind::Function | Kind::Shared => {}
        }
    }
    found.into_values().collect()
}

/// All secrets of the app, sorted by id.
pub(crate) fn all(context: &Context<'_>) -> Vec<Secret> {
    let mut found: BTreeMap<String, Secret> = BTreeMap::new();
    for secret in context.services.iter().flat_map(|service| of_service(context, service)) {
        let entry = found.entry(secret.id.clone()).or_insert_with(|| secret.clone());
        entry.optional &= secret.optional;
        entry.users.extend(secret.users);
    }
    found.into_values().collect()
}

fn is_optional(plan: &Plan, id: &str) -> bool {
    let option = plan.app.resource(Kind::Secret, id).and_then(|resource| resource.options.get("optional"));
    option.is_some_and(|value| value != "false")
}

fn add_engine(context: &Context<'_>, found: &mut BTreeMap<String, Secret>, engine: Option<&Engine>, user: &str) {
    match engine {
        Some(Engine::Redis { url_secret, .. }) => {
            add(context, found, url_secret, false, "a URL, `redis://user:password@host:port/db`", user);
        }
        Some(Engine::Postgres { url_secret, .. }) => {
            add(context, found, url_secret, false, "a URL, `postgres://user:password@host:port/database`", user);
        }
        Some(Engine::S3 { credentials_secret: Some(secret), .. }) => {
            add(context, found, secret, false, "`{\"access_key_id\": …, \"secret_access_key\": …}`", user);
        }
        Some(
            Engine::S3 { credentials_secret: None, .. }
            | Engine::Broker {}
            | Engine::File {}
            | Engine::Value {}
            | Engine::Hosts { .. }
            | Engine::Sqs {}
            | Engine::Sns {}
            | Engine::DynamoDb {}
            | Engine::AwsS3 {}
            | Engine::SecretsManager {}
            | Engine::ParameterStore {},
        )
        | None => {}
    }
}

fn add(
    context: &Context<'_>,
    found: &mut BTreeMap<String, Secret>,
    id: &str,
    optional: bool,
    holds: &'static str,
    user: &str,
) {
    let adopted = context.plan.settings.secrets.get(id);
    let secret = || Secret {
        id: id.to_owned(),
        name: adopted
            .map_or_else(|| format!("{}-{}", context.names.app, object_name(id)), |secret| secret.name.clone()),
        key: adopted.map_or_else(|| FILE.to_owned(), |secret| secret.key.clone()),
        optional,
        adopted: adopted.is_some(),
        holds,
        users: BTreeSet::new(),
    };
    let entry = found.entry(id.to_owned()).or_insert_with(secret);
    entry.optional &= optional; // what one needs is needed
    entry.users.insert(user.to_owned());
}
