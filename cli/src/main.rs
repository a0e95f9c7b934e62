//! `cargo updraft`: arguments in, exit code out. Every command is a file under `commands/`; compiling is the driver's.

mod args;
mod aws;
mod commands;
mod dev;
mod exit;
mod link;
mod output;
mod project;
mod report;
mod targets;
mod world;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse_from(args::without_subcommand_name(std::env::args_os()));
    let reporter = report::Reporter::new(&cli.global);
    match commands::run(&cli, &reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            reporter.failure(&failure);
            failure.code()
        }
    }
}
