//! The compiler, as one line per stage: source → declarations → application → graph → checks → placement.
//!
//! It is pure. Files come through [`World`], what cargo and rustc said through [`Program`]; what it has to say goes out as
//! [`model::Diagnostic`](updraft_model::Diagnostic)s. Nothing here starts a process, reads a clock or writes a file.

pub mod render;
pub mod source;
pub mod world;

use updraft_model::{App, Diagnostic, Severity, Target};
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

/// Runs every stage up to placement.
pub fn check(program: &Program, _request: &Request<'_>, _world: &dyn World) -> Checked {
    let app = App {
        format: updraft_model::app::FORMAT,
        name: program.package.clone(),
        package: program.package.clone(),
        crates: Vec::new(),
        handlers: Vec::new(),
        resources: Vec::new(),
    };
    Checked { app, diagnostics: Vec::new(), sources: source::Sources::default() }
}
