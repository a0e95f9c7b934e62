//! `cargo updraft explain CODE`: what a diagnostic's code means.

use crate::exit::{Failure, Result};
use crate::report::Reporter;
use updraft_driver::explain;

/// Says what a diagnostic's code means, with an example
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// `UD0203`; all codes without one
    code: Option<String>,
}

pub(crate) fn run(command: &Explain, reporter: &Reporter) -> Result {
    let pages = explain::pages();
    let of_targets = crate::targets::all().flat_map(|target| target.explains()).chain(crate::aws::EXPLAINS);
    let Some(asked) = &command.code else {
        let own = pages.iter().map(|page| (page.code, page.title));
        let mut all: Vec<_> = own.chain(of_targets.map(|page| (page.code, page.title))).collect();
        all.sort_unstable();
        let lines: Vec<String> = all.iter().map(|(code, title)| format!("{code}  {title}")).collect();
        reporter.result(&lines.join("\n"));
        return Ok(());
    };
    let code = asked.to_uppercase();
    if let Some(page) = pages.iter().find(|page| page.code == code) {
        reporter.result(&explain::markdown(page));
    } else if let Some(page) = of_targets.into_iter().find(|page| page.code == code) {
        reporter.result(&format!("# {}: {}\n\n{}", page.code, page.title, page.text));
    } else {
        return Err(Failure::Usage(format!("there is no code `{asked}`; `cargo updraft explain` lists all")));
    }
    Ok(())
}
