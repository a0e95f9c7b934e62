//! `Target`: what a cloud can do, as data, and how a plan becomes its files.

use crate::app::{App, Kind, Resource};
use crate::artifacts::Artifacts;
use crate::diagnostic::{Diagnostic, Explain, Sink};
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

    /// Typed resources, then text, of a plan that its rules let pass.
    ///
    /// # Errors
    /// What could not be written: a bug of ours.
    fn emit(&self, plan: &Plan) -> Result<Artifacts, Diagnostic>;

    /// Its rules, then its files. `None` if the sink got an error.
    fn compile(&self, plan: &Plan, sink: &mut Sink) -> Option<Artifacts> {
        let mut own = Sink::default();
        self.check(&plan.app, &plan.units, &plan.settings, &mut own);
        let refused = own.has_errors();
        sink.extend(own.into_sorted());
        if refused {
            return None;
        }
        self.emit(plan).map_err(|error| sink.push(error)).ok()
    }
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
    /// Engine → which of the guarantees that a declaration may ask for it keeps. An engine that is not here keeps none.
    pub guarantees: &'static [(&'static str, &'static [Guarantee])],
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
    /// `partition` of a store: scans in the order of keys.
    Partition,
    /// `presign` on a bucket.
    Presign,
    /// `#[object(…)]` on a bucket. No option of a declaration asks for it: a trigger does.
    Objects,
}

impl Capabilities {
    /// Whether `engine` keeps `guarantee`.
    pub fn gives(&self, engine: &str, guarantee: Guarantee) -> bool {
        self.guarantees.iter().any(|(name, guarantees)| *name == engine && guarantees.contains(&guarantee))
    }
}

impl Guarantee {
    /// All of them.
    pub const ALL: [Guarantee; 8] = [
        Guarantee::Delay,
        Guarantee::Ordered,
        Guarantee::Dedup,
        Guarantee::Filter,
        Guarantee::Ttl,
        Guarantee::Partition,
        Guarantee::Presign,
        Guarantee::Objects,
    ];

    /// The kind of resource whose declaration asks for it, and the option that does.
    pub fn option(self) -> (Kind, &'static str) {
        match self {
            Guarantee::Delay => (Kind::Queue, "delay"),
            Guarantee::Ordered => (Kind::Queue, "ordered"),
            Guarantee::Dedup => (Kind::Queue, "dedup"),
            Guarantee::Filter => (Kind::Topic, "attributes"),
            Guarantee::Ttl => (Kind::Store, "ttl"),
            Guarantee::Partition => (Kind::Store, "partition"),
            Guarantee::Presign => (Kind::Bucket, "presign"),
            Guarantee::Objects => (Kind::Bucket, "#[object]"),
        }
    }

    /// What the resource has to do then: "needs queue reminders to …".
    pub fn words(self) -> &'static str {
        match self {
            Guarantee::Delay => "hold messages back until their time",
            Guarantee::Ordered => "deliver the messages of a key one at a time, in order",
            Guarantee::Dedup => "know a message again that was sent before",
            Guarantee::Filter => "filter messages by their attributes",
            Guarantee::Ttl => "forget entries after their time",
            Guarantee::Partition => "scan a partition in the order of its keys",
            Guarantee::Presign => "let clients read and write blobs by presigned URLs",
            Guarantee::Objects => "tell of its objects",
        }
    }

    /// What a resource's declaration asks for.
    pub fn asked_by(resource: &Resource) -> impl Iterator<Item = Guarantee> {
        Guarantee::ALL.into_iter().filter(|guarantee| {
            let (kind, option) = guarantee.option();
            resource.kind == kind && resource.options.get(option).is_some_and(|value| value != "false")
        })
    }
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
