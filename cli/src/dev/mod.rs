//! The program on a laptop: built without optimisation, proved as a release is, started as a child, reached by its socket.

pub(crate) mod child;
pub(crate) mod control;
pub(crate) mod watch;

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::link;
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use child::Options;
use control::{Answer, Request};
use std::path::PathBuf;
use std::time::Duration;
use updraft_driver::{Checked, proof};
use updraft_model::Kind;

/// A program that can be started.
pub(crate) struct Made {
    pub(crate) project: Project,
    pub(crate) checked: Checked,
    /// The executable.
    pub(crate) binary: PathBuf,
    /// Of the executable and of the settings beside it: as long as it stays, a restart changes nothing.
    pub(crate) fingerprint: blake3::Hash,
}

/// The project, as it is built for this machine.
///
/// # Errors
/// Cargo's.
pub(crate) fn project(global: &Global) -> Result<Project> {
    Project::load(global, &Compilation::default())
}

/// Builds and proves.
///
/// # Errors
/// Diagnostics with errors, which have been shown; cargo failing for another reason.
pub(crate) async fn make(project: Project, checked: Checked, global: &Global, reporter: &Reporter) -> Result<Made> {
    link::migrations::refresh(&project, &checked.migrations)?;
    let has_databases = checked.app.resources.iter().any(|resource| resource.kind == Kind::Database);
    let engines: &[&str] = if has_databases { &["postgres"] } else { &[] };
    let (command, bin) = (link::debug(&project, global, engines, reporter), project.bin.clone());
    let built = tokio::task::spawn_blocking(move || link::run(command, &bin)).await;
    let binary = built.map_err(|error| Failure::Outside(format!("the build was given up: {error}")))??;
    let program = std::fs::read(&binary).map_err(|error| Failure::Outside(format!("{}: {error}", binary.display())))?;
    let differences = proof::compare(&checked.app, &program);
    if !differences.is_empty() {
        reporter.diagnostics(&differences, &checked.sources);
        return Err(Failure::Diagnostics);
    }
    let mut hash = blake3::Hasher::new();
    hash.update(&program);
    for settings in ["Updraft.toml", "updraft.secrets.toml"] {
        hash.update(&std::fs::read(project.package_dir().join(settings)).unwrap_or_default());
    }
    Ok(Made { fingerprint: hash.finalize(), project, checked, binary })
}

/// Asks the program that runs here, or one that is started for it and drains afterwards.
///
/// # Errors
/// Those of the questions; diagnostics, if the program has to be built; a program that ends.
pub(crate) fn with_program<T>(
    project: Project,
    checked: Checked,
    global: &Global,
    reporter: &Reporter,
    questions: impl FnOnce(&dyn Fn(&Request) -> Result<Answer>) -> Result<T>,
) -> Result<T> {
    let socket = control::socket(&project);
    let ask = |request: &Request| {
        control::ask(&socket, request)?.ok_or_else(|| Failure::Outside("the program has ended".to_owned()))
    };
    if control::ask(&socket, &Request::Ping)?.is_some() {
        return questions(&ask);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Outside(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let made = make(project, checked, global, reporter).await?;
        let options = Options { port: Some(0), ..Options::default() };
        let mut program = child::start(&made, &options, global, reporter)?;
        while control::ask(&socket, &Request::Ping)?.is_none() {
            if let Ok(status) = tokio::time::timeout(Duration::from_millis(10), program.wait()).await {
                child::ended(status.map_err(|error| Failure::Outside(error.to_string()))?)?;
                return Err(Failure::Outside("the program ended before it was asked".to_owned()));
            }
        }
        let result = questions(&ask);
        program.stop().await;
        result
    })
}

/// A handler by its id, or by the end of it if that is unique: `ship`, `orders::ship`.
///
/// # Errors
/// No such handler, or several.
pub(crate) fn find<'a>(name: &str, handlers: impl Iterator<Item = &'a str>, what: &str) -> Result<&'a str> {
    let all: Vec<&str> = handlers.collect();
    if let Some(exact) = all.iter().find(|id| **id == name) {
        return Ok(exact);
    }
    let fits = |id: &&&str| id.strip_suffix(name).is_some_and(|rest| rest.ends_with("::"));
    let fitting: Vec<&str> = all.iter().filter(fits).copied().collect();
    match fitting[..] {
        [one] => Ok(one),
        [] if all.is_empty() => Err(Failure::Usage(format!("the program has no {what}"))),
        [] => Err(Failure::Usage(format!("no {what} `{name}`; there are {}", all.join(", ")))),
        _ => Err(Failure::Usage(format!("several {what}s end in `{name}`: {}", fitting.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_found_by_their_end() {
        let all = ["shop::orders::ship", "shop::quote", "shop::mail::ship"];
        let find = |name| find(name, all.iter().copied(), "handler").map_err(|failure| format!("{failure:?}"));
        assert_eq!(find("shop::orders::ship"), Ok("shop::orders::ship"));
        assert_eq!(find("quote"), Ok("shop::quote"));
        assert_eq!(find("mail::ship"), Ok("shop::mail::ship"));
        assert!(find("ship").unwrap_err().contains("several handlers"));
        assert!(find("uote").unwrap_err().contains("no handler `uote`"));
    }
}
