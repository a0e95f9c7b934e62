//! `Target`: what a cloud can do, as data, and how a plan becomes its files.

use crate::app::{App, Kind};
use crate::artifacts::Artifacts;
use crate::diagnostic::{Explain, Sink};
use crate::plan::{Plan, Unit};
use crate::settings::{Granularity, Settings};

/// A target of `build --target`.
pub trait Target {
    /// `knative`.
    fn id(&self) -> &'static str;

    /// What it can do: data, so that "this target cannot do that" is one check.
    fn capabilities(&self) -> &'static Capabilities;

    /// Rules that only this target has, on the application, its placement and its settings: before anything is linked.
    /// Among them: a stateful resource that `settings` bind to no engine (there is no default), or to one it can't use.
    fn check(&self, app: &App, units: &[Unit], settings: &Settings, sink: &mut Sink);

    /// The explain pages of the target's own diagnostics.
    fn explains(&self) -> &'static [Explain];

    /// Typed resources, then text. `None` if the sink got an error.
    fn compile(&self, plan: &Plan, sink: &mut Sink) -> Option<Artifacts>;
}

/// A target's abilities.
#[derive(Debug)]
pub struct Capabilities {
    /// Granularity unless `Updraft.toml` says otherwise.
    pub placement: Granularity,
    /// Engines by kind: the first is the default where a kind needs no binding; a stateful kind has no default.
    pub engines: &'static [(Kind, &'static [&'static str])],
    /// Whether a function may run in another unit than its caller.
    pub remote_calls: bool,
    /// Whether several units may have public routes.
    pub several_public_units: bool,
    /// Which of the declared guarantees its engines keep.
    pub guarantees: &'static [Guarantee],
    /// Its numbers.
    pub limits: Limits,
}

/// What a resource's declaration may ask for beyond the default contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarantee {
    /// `delay`.
    Delay,
    /// `ordered = "key"`.
    Ordered,
    /// `dedup = "10m"`.
    Dedup,
    /// `#[topic(attributes(…))]` filters.
    Filter,
    /// `ttl` on a store.
    Ttl,
}

/// A target's numbers, with the unit in each name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest that a request may take, in seconds.
    pub http_timeout_seconds: u32,
    /// The longest that a message's or schedule's handler may take, in seconds.
    pub event_timeout_seconds: u32,
    /// The most attempts after the first.
    pub retries: u32,
    /// The longest name of an object, in characters.
    pub name_characters: usize,
}
