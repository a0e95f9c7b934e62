//! `Plan`: units and bindings for one target, everything a lowering needs.

use crate::app::{App, Handler, Kind};
use crate::settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use updraft_wire::binding;

/// The digest that previews carry, so that nobody can deploy one.
pub const ZERO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Handlers that are deployed and scaled together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Kebab case: `web`, `orders`.
    pub id: String,
    /// Handler ids. A function stands in every unit that calls it.
    pub handlers: BTreeSet<String>,
}

/// What a target lowers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The application.
    pub app: App,
    /// Hex blake3 over the sorted descriptors.
    pub graph: String,
    /// Sorted by id. The dead-letter unit is the target's own and not among them.
    pub units: Vec<Unit>,
    /// (kind, id) → engine, for every resource that some handler of the plan uses.
    pub engines: BTreeMap<(Kind, String), binding::Engine>,
    /// `Updraft.toml`, with the environment's overrides applied.
    pub settings: Settings,
    /// The image's repository, `registry.example.com/shop`; a placeholder in previews.
    pub image: String,
    /// `sha256:…`; [`ZERO_DIGEST`] in previews.
    pub digest: String,
}

impl Plan {
    /// The handlers of a unit, sorted by id.
    pub fn handlers<'a>(&'a self, unit: &'a Unit) -> impl Iterator<Item = &'a Handler> {
        unit.handlers.iter().filter_map(|id| self.app.handler(id))
    }
}
