//! `cargo updraft completions`: a script for a shell.

use crate::args::Cli;
use crate::exit::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Prints the completions of a shell: `cargo-updraft completions bash > …`
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(command: &Completions) -> Result {
    // The program that shells know is `cargo-updraft`: cargo completes its own commands only.
    clap_complete::generate(command.shell, &mut Cli::command(), "cargo-updraft", &mut std::io::stdout());
    Ok(())
}
