//! The compiler, as one line per stage: source → declarations → application → graph → checks → placement (→ plan, proof).
//!
//! It is pure. Files come through [`World`], what cargo and rustc said through [`Program`]; what it has to say goes out as
//! [`model::Diagnostic`](updraft_model::Diagnostic)s. Nothing here starts a process, reads a clock or writes a file.

mod checks;
pub mod descriptors;
pub mod explain;
pub mod graph;
mod lower;
pub mod migrations;
pub mod placement;
pub mod plan;
pub mod proof;
pub mod render;
pub mod settings;
pub mod source;
mod threads;
pub mod world;

use std::collections::BTreeSet;
use updraft_model::settings::Granularity;
use updraft_model::{App, Diagnostic, Settings, Severity, Sink, Target, Unit};
pub use world::{Program, World};

/// What is asked of the compiler besides the program.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The environment whose overrides in `Updraft.toml` apply.
    pub env: Option<&'a str>,
    /// The target whose rules apply too.
    pub target: Option<&'a dyn Target>,
}

/// What the stages up to placement found.
#[derive(Debug)]
pub struct Checked {
    /// The application; what could not be lowered is missing.
    pub app: App,
    /// It as a graph.
    pub graph: graph::Graph,
    /// `Updraft.toml`, with the environment's overrides applied.
    pub settings: Settings,
    /// The migrations of its databases.
    pub migrations: Vec<migrations::Migrations>,
    /// Where handlers run, sorted by id.
    pub units: Vec<Unit>,
    /// Findings, sorted.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read, for showing findings.
    pub sources: source::Sources,
}

impl Checked {
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Runs every stage up to placement. All findings are reported, not only those of the first stage that has some.
pub fn check(program: &Program, request: &Request<'_>, world: &dyn World) -> Checked {
    let mut sink = Sink::default();
    let mut sources = source::Sources::default();

    let tree = threads::deep(|| source::tree::read(program, world, &mut sources, &mut sink));
    let mut lowered = threads::deep(|| lower::lower(program, &tree, &mut sink));
    let read = settings::read(program, request.env, world, &mut sources, &mut sink);
    if let Some(name) = &read.settings.name {
        lowered.app.name.clone_from(name);
    }
    let migrations = migrations::read(program, &mut lowered, world);
    let graph = graph::Graph::new(&lowered);
    let incomplete = sink.has_errors();
    let context = checks::Context {
        app: &lowered.app,
        lowered: &lowered,
        graph: &graph,
        settings: &read,
        migrations: &migrations,
        incomplete,
    };
    checks::run(&context, &mut sink);
    let granularity = request.target.map_or(Granularity::Module, |target| target.capabilities().placement);
    let own: BTreeSet<&str> = program
        .crates
        .iter()
        .filter(|krate| krate.package == program.package)
        .map(|krate| krate.name.as_str())
        .collect();
    let units = placement::place(&lowered.app, &own, &read, granularity, incomplete, &mut sink);
    if let Some(target) = request.target {
        target.check(&lowered.app, &units, &read.settings, &mut sink);
    }
    let settings = read.settings;
    Checked { app: lowered.app, graph, settings, migrations, units, diagnostics: sink.into_sorted(), sources }
}

#[cfg(test)]
mod tests;
