//! The commands: one file each, with its arguments and a `run`.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod graph;

use crate::args::Cli;
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use clap::Subcommand;
use updraft_model::Target;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Graph(graph::Graph),
    Explain(explain::Explain),
}

/// Runs the chosen command.
pub(crate) fn run(cli: &Cli, reporter: &Reporter) -> Result {
    match &cli.command {
        Command::Check(command) => check::run(command, &cli.global, reporter),
        Command::Graph(command) => graph::run(command, &cli.global, reporter),
        Command::Explain(command) => explain::run(command, reporter),
    }
}

/// What `--target` can say.
pub(crate) fn targets() -> impl Iterator<Item = &'static dyn Target> {
    [&updraft_knative::Knative as &'static dyn Target].into_iter()
}

/// The target of this name.
pub(crate) fn target(name: &str) -> Result<&'static dyn Target> {
    targets().find(|target| target.id() == name).ok_or_else(|| {
        let names: Vec<&str> = targets().map(|target| target.id()).collect();
        Failure::Usage(format!("there is no target `{name}`; the targets are {}", names.join(", ")))
    })
}
