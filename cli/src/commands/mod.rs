//! The commands: one file each, with its arguments and a `run`.

pub(crate) mod check;

use crate::args::Cli;
use crate::exit::Result;
use crate::report::Reporter;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::Check),
}

/// Runs the chosen command.
pub(crate) fn run(cli: &Cli, reporter: &Reporter) -> Result {
    match &cli.command {
        Command::Check(command) => check::run(command, &cli.global, reporter),
    }
}
