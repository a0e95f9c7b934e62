//! Arguments that every command takes. A command's own stand in its file.

use crate::commands::Command;
use clap::{Args, Parser, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "cargo updraft",
    bin_name = "cargo updraft",
    version,
    about = "Write locally, compile to the cloud",
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 diagnostics with errors, 2 usage, 3 the outside failed (registry, cluster, cloud, disk, port)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The package that holds the program
    #[arg(short, long, global = true, value_name = "PACKAGE")]
    pub(crate) package: Option<String>,
    /// Path to Cargo.toml
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// Features to turn on, separated by commas
    #[arg(short = 'F', long, global = true, value_name = "FEATURES", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// Leave the `default` feature off
    #[arg(long, global = true)]
    pub(crate) no_default_features: bool,
    /// Turn all features on
    #[arg(long, global = true)]
    pub(crate) all_features: bool,
    /// The environment whose `[env.NAME]` in Updraft.toml applies
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// How diagnostics are written: `json` is one object a line on standard output
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Say nothing but diagnostics and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    #[default]
    Human,
    Short,
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Global {
    /// The feature flags as cargo takes them.
    pub(crate) fn feature_flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.features.is_empty() {
            flags.extend(["--features".to_owned(), self.features.join(",")]);
        }
        if self.no_default_features {
            flags.push("--no-default-features".to_owned());
        }
        if self.all_features {
            flags.push("--all-features".to_owned());
        }
        flags
    }
}

/// Cargo starts its subcommands with their own name as the first argument.
pub(crate) fn without_subcommand_name(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_some_and(|first| first == "updraft") {
        arguments.remove(1);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cargo_and_a_shell_say_the_same() {
        for arguments in [&["cargo-updraft", "updraft", "check"][..], &["cargo-updraft", "check"]] {
            let arguments = without_subcommand_name(arguments.iter().map(OsString::from));
            assert!(matches!(Cli::parse_from(arguments).command, Command::Check(_)));
        }
    }
}
