//! The commands: one file each, with its arguments and a `run`.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod ci;
pub(crate) mod completions;
pub(crate) mod dead_letters;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod invoke;
pub(crate) mod new;
pub(crate) mod remove;
pub(crate) mod rollback;
pub(crate) mod status;

use crate::args::Cli;
use crate::exit::Result;
use crate::report::Reporter;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::New),
    Check(check::Check),
    Graph(graph::Graph),
    Dev(dev::Dev),
    Build(build::Build),
    Deploy(deploy::Deploy),
    Diff(diff::Diff),
    Status(status::Status),
    Rollback(rollback::Rollback),
    Remove(remove::Remove),
    Ci(ci::Ci),
    Invoke(invoke::Invoke),
    DeadLetters(dead_letters::DeadLetters),
    Explain(explain::Explain),
    Completions(completions::Completions),
}

/// Runs the chosen command.
pub(crate) fn run(cli: &Cli, reporter: &Reporter) -> Result {
    match &cli.command {
        Command::New(command) => new::run(command, &cli.global, reporter),
        Command::Check(command) => check::run(command, &cli.global, reporter),
        Command::Graph(command) => graph::run(command, &cli.global, reporter),
        Command::Dev(command) => dev::run(command, &cli.global, reporter),
        Command::Build(command) => build::run(command, &cli.global, reporter),
        Command::Deploy(command) => deploy::run(command, &cli.global, reporter),
        Command::Diff(command) => diff::run(command, &cli.global, reporter),
        Command::Status(command) => status::run(command, &cli.global, reporter),
        Command::Rollback(command) => rollback::run(command, &cli.global, reporter),
        Command::Remove(command) => remove::run(command, &cli.global, reporter),
        Command::Ci(command) => ci::run(command, &cli.global, reporter),
        Command::Invoke(command) => invoke::run(command, &cli.global, reporter),
        Command::DeadLetters(command) => dead_letters::run(command, &cli.global, reporter),
        Command::Explain(command) => explain::run(command, reporter),
        Command::Completions(command) => completions::run(command),
    }
}
