//! `cargo updraft check`: the source view and every rule on it, without compiling.

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use crate::targets::TargetName;
use crate::world::Disk;
use std::time::Instant;
use updraft_driver::Checked;
use updraft_model::{Settings, Target};

/// Checks the program without compiling it
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Check what this target demands, too
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
}

pub(crate) fn run(command: &Check, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    let target = command.target.map(TargetName::target);
    let project = Project::load(global, &Compilation::default())?;
    let checked = check(&project, global, target, reporter)?;
    reporter.status(
        "Checked",
        &format!(
            "{}: {} handlers, {} resources, {} units in {:.1} ms",
            checked.app.name,
            checked.app.handlers.len(),
            checked.app.resources.len(),
            checked.units.len(),
            started.elapsed().as_secs_f64() * 1e3
        ),
    );
    Ok(())
}

/// What most commands start with: the driver's stages up to placement, diagnostics shown, an error if any of them is one.
pub(crate) fn check(
    project: &Project,
    global: &Global,
    target: Option<&dyn Target>,
    reporter: &Reporter,
) -> Result<Checked> {
    let checked = look(project, global, target);
    reporter.diagnostics(&checked.diagnostics, &checked.sources);
    if checked.has_errors() { Err(Failure::Diagnostics) } else { Ok(checked) }
}

/// The same, for commands that show nothing but errors: whoever calls a handler has seen the warnings before.
pub(crate) fn check_quietly(project: &Project, global: &Global, reporter: &Reporter) -> Result<Checked> {
    let checked = look(project, global, None);
    if checked.has_errors() {
        reporter.diagnostics(&checked.diagnostics, &checked.sources);
        return Err(Failure::Diagnostics);
    }
    Ok(checked)
}

/// The settings alone, whatever is wrong with the rest: who needs more looks again, and shows it.
pub(crate) fn settings(project: &Project, global: &Global) -> Settings {
    let world = Disk { root: project.workspace_root.clone() };
    updraft_driver::settings::of(&project.program, global.env.as_deref(), &world)
}

/// The stages up to placement, whatever they find: nothing is shown.
pub(crate) fn look(project: &Project, global: &Global, target: Option<&dyn Target>) -> Checked {
    let world = Disk { root: project.workspace_root.clone() };
    updraft_driver::check(&project.program, &updraft_driver::Request { env: global.env.as_deref(), target }, &world)
}
