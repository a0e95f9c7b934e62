//! `updraft::main!`: which mode this process runs in. A binding makes it a server; without one it is a laptop's, unless a
//! cluster's environment says that this would be a mistake.

use crate::logging;
use crate::registry::{HANDLERS, handlers};
use crate::server::{self, binding};
use crate::telemetry::log::Correlated;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The exit code when the outside, or the program's own make, forbids to go on.
pub const REFUSED: u8 = 3;

/// Runs the program that `package` holds.
pub fn start(package: &str) -> ExitCode {
    if let Err(reason) = check(package) {
        return refuse(&[reason]);
    }
    match (binding::path(), binding::cluster()) {
        (Some(path), _) => serve(&path),
        (None, Some(variable)) => refuse(&[format!(
            "{variable} is set, so this is a cluster, but there is no binding\nhelp: mount the emitted ConfigMap's file at {}, \
             or name it in {}",
            updraft_wire::defaults::BINDING_PATH,
            binding::BINDING_VARIABLE
        )]),
        (None, None) => embedded(package),
    }
}

/// Whether the program holds handlers, each under an id of its own.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check(package: &str) -> Result<(), String> {
    if HANDLERS.is_empty() {
        return Err(format!(
            "this program holds no handlers\nhelp: name the crates that hold them, its own library included: \
             `updraft::main!({})`",
            package.replace('-', "_")
        ));
    }
    handlers().map(|_| ())
}

fn serve(path: &std::path::Path) -> ExitCode {
    let log = tracing_subscriber::fmt().json().event_format(Correlated::new());
    // An error says that the program's own `main` has set one up.
    let _ = match logging::asked() {
        Ok(None) => log.with_max_level(logging::DEFAULT).finish().try_init(),
        Ok(Some(filter)) => log.with_max_level(LevelFilter::TRACE).finish().with(filter).try_init(),
        Err(problem) => return refuse(&[problem]),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&[format!("can't start threads: {error}")]),
    };
    // On one of the threads that connections are worked on: from this one, each exchange would wake another.
    let path = path.to_owned();
    let running = runtime.spawn(async move { server::run(&path).await });
    match runtime.block_on(running) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(problems)) => refuse(&problems),
        // Nothing aborts it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(not(updraft_slim))]
fn embedded(package: &str) -> ExitCode {
    match crate::local::run::run(package) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => refuse(&problems),
    }
}

#[cfg(updraft_slim)]
fn embedded(package: &str) -> ExitCode {
    refuse(&[format!(
        "there is no binding, and `{package}` was built for a cluster: it has no engines of its own\nhelp: name the emitted \
         binding in {}",
        binding::BINDING_VARIABLE
    )])
}

/// Says why, on standard error: whoever started the program reads it there, whatever the log is set to.
#[expect(clippy::print_stderr, reason = "the process ends with this")]
fn refuse(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("error: {problem}");
    }
    ExitCode::from(REFUSED)
}
