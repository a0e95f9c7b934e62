//! The commands: one file each, with its arguments and a `run`.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod explain;
pub(crate) mod graph;

use crate::args::Cli;
use crate::exit::Result;
use crate::report::Reporter;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
    Graph(graph::Graph),
    Build(build::Build),
    Explain(explain::Explain),
    Completions(completions::Completions),
}

/// Runs the chosen command.
pub(crate) fn run(cli: &Cli, reporter: &Reporter) -> Result {
    match &cli.command {
        Command::Check(command) => check::run(command, &cli.global, reporter),
        Command::Graph(command) => graph::run(command, &cli.global, reporter),
        Command::Build(command) => build::run(command, &cli.global, reporter),
        Command::Explain(command) => explain::run(command, reporter),
        Command::Completions(command) => completions::run(command),
    }
}
