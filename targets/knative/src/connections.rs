//! How many connections an application opens to its databases when every unit is at its largest.

use crate::resources::policies::bound;
use crate::resources::service::most_pods;
use crate::services::Service;
use std::collections::BTreeSet;
use updraft_model::{Access, Kind, Settings};
use updraft_wire::binding::Engine;
use updraft_wire::defaults::{DATABASE_CONNECTIONS, DATABASE_RELAY_CONNECTIONS};

/// What one Service opens to one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The Service's name.
    pub(crate) service: String,
    /// Its pods at most.
    pub(crate) pods: u64,
    /// Connections of one pod.
    pub(crate) each: u64,
}

impl Demand {
    /// Connections of all its pods.
    pub(crate) fn all(&self) -> u64 {
        self.pods * self.each
    }
}

/// What each Service that reaches `database` opens to it; nothing if PostgreSQL does not keep it.
pub(crate) fn demands(database: &str, services: &[Service<'_>], settings: &Settings) -> Vec<Demand> {
    let engine = bound(settings, Kind::Database, database).map(|bound| &bound.engine);
    let Some(Engine::Postgres { max_connections, .. }) = engine else { return Vec::new() };
    let pool = u64::from(max_connections.unwrap_or(DATABASE_CONNECTIONS));
    let reach = services.iter().filter(|service| service.relays().contains(database));
    let demand = |service: &Service<'_>| {
        let grants = service.runs.iter().flat_map(|handler| &handler.grants);
        let grants = grants.filter(|grant| grant.kind == Kind::Database && grant.resource == database);
        // Sessions that only read are a pool of their own.
        let pools: BTreeSet<bool> = grants.map(|grant| grant.access == Access::Read).collect();
        Demand {
            service: service.name.clone(),
            pods: u64::from(most_pods(&settings.knative.scale, service.unit)),
            each: pools.len() as u64 * pool + u64::from(DATABASE_RELAY_CONNECTIONS),
        }
    };
    reach.map(demand).collect()
}
