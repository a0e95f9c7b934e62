//! `cargo updraft check`: the source view and every rule on it, without compiling.

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use crate::world::Disk;
use std::time::Instant;

/// Checks the program without compiling it
#[derive(Debug, clap::Args)]
pub(crate) struct Check {}

pub(crate) fn run(_command: &Check, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    let project = Project::load(global, &Compilation::default())?;
    let checked = check(&project, global, reporter)?;
    reporter.status(
        "Checked",
        &format!(
            "{}: {} handlers, {} resources in {:.1} ms",
            checked.app.name,
            checked.app.handlers.len(),
            checked.app.resources.len(),
            started.elapsed().as_secs_f64() * 1e3
        ),
    );
    Ok(())
}

/// What every command starts with: the driver's stages up to placement, diagnostics shown, an error if any of them is one.
pub(crate) fn check(project: &Project, global: &Global, reporter: &Reporter) -> Result<updraft_driver::Checked> {
    let world = Disk { root: project.workspace_root.clone() };
    let request = updraft_driver::Request { env: global.env.as_deref(), target: None };
    let checked = updraft_driver::check(&project.program, &request, &world);
    reporter.diagnostics(&checked.diagnostics, &checked.sources);
    if checked.has_errors() { Err(Failure::Diagnostics) } else { Ok(checked) }
}
