//! `cargo updraft graph`: the application as the compiler sees it.

use crate::args::Global;
use crate::exit::Result;
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use clap::ValueEnum;
use updraft_driver::graph::views;

/// Shows what handles what, what reaches what, and every default
#[derive(Debug, clap::Args)]
pub(crate) struct Graph {
    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Tree,
    /// For tools: versioned, see `format`
    Json,
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

pub(crate) fn run(command: &Graph, global: &Global, reporter: &Reporter) -> Result {
    let project = Project::load(global, &Compilation::default())?;
    let checked = super::check::check(&project, global, None, reporter)?;
    reporter.result(&match command.format {
        Format::Tree => views::tree(&checked),
        Format::Json => views::json(&checked),
        Format::Mermaid => views::mermaid(&checked),
        Format::Dot => views::dot(&checked),
    });
    Ok(())
}
