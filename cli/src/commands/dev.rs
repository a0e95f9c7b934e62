//! `cargo updraft dev`: builds, proves and serves, and does it again whenever a source changes. State stays.

use super::check;
use crate::args::Global;
use crate::dev::child::{self, Options, Program};
use crate::dev::watch::Watch;
use crate::dev::{self, Made};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use std::future::pending;
use std::process::ExitStatus;
use tokio::signal::unix::{Signal, SignalKind, signal};
use updraft_model::Trigger;

/// Runs the program on this machine: builds, proves, serves, and restarts when a source changes
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// The port to listen on; 0 for any free one [default: 8080]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Serve until nothing is left to do, then end
    #[arg(long)]
    once: bool,
    /// Let things go wrong as this number decides, each in a line of the log: messages come late or twice, operations
    /// fail before or after they took effect, handlers are lost. No acknowledged message is lost
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Run this schedule at once; may be given several times
    #[arg(long, value_name = "SCHEDULE")]
    now: Vec<String>,
}

pub(crate) fn run(command: &Dev, global: &Global, reporter: &Reporter) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Outside(format!("no runtime: {error}")))?;
    let result = runtime.block_on(serve(command, global, reporter));
    runtime.shutdown_background(); // a build that was interrupted may still be waited for
    result
}

async fn serve(command: &Dev, global: &Global, reporter: &Reporter) -> Result {
    let mut signals = Signals::new()?;
    let mut watch: Option<Watch> = None;
    let mut running: Option<(Program, blake3::Hash)> = None;
    let mut first = true;
    loop {
        let made = tokio::select! {
            made = make(command, global, reporter, &mut watch) => made,
            () = signals.any() => break,
        };
        match made {
            Ok(made) if running.as_ref().is_none_or(|(_, print)| *print != made.fingerprint) => {
                if let Some((mut old, _)) = running.take() {
                    old.stop().await;
                }
                let now = if first { schedules(command, &made)? } else { Vec::new() };
                let options = Options { port: command.port, once: command.once, chaos: command.chaos, now, show: true };
                running = Some((child::start(&made, &options, global, reporter)?, made.fingerprint));
                first = false;
            }
            Ok(_) => {}
            Err(Failure::Diagnostics) if watch.is_some() => reporter.status("Waiting", &"for a change"),
            Err(failure) => {
                if let Some((mut old, _)) = running {
                    old.stop().await;
                }
                return Err(failure);
            }
        }
        tokio::select! {
            status = end(&mut running) => {
                let crashed = status.code() != Some(3) && !status.success();
                if !crashed || watch.is_none() {
                    return child::ended(status);
                }
                running = None;
                reporter.status("Waiting", &format_args!("for a change: the program ended ({status})"));
                tokio::select! {
                    path = change(&mut watch) => reporter.status("Changed", &path),
                    () = signals.any() => return Ok(()),
                }
            }
            path = change(&mut watch) => reporter.status("Changed", &path),
            () = signals.any() => break,
        }
    }
    if let Some((mut program, _)) = running {
        let asked_again = tokio::select! {
            () = program.stop() => false,
            () = signals.any() => true,
        };
        if asked_again {
            program.kill().await;
        }
    }
    Ok(())
}

async fn make(command: &Dev, global: &Global, reporter: &Reporter, watch: &mut Option<Watch>) -> Result<Made> {
    let project = dev::project(global)?;
    if watch.is_none() && !command.once {
        // Before the build, so that no change is missed while it runs; and even if the source has errors.
        *watch = Some(Watch::new(&project)?);
    }
    let checked = check::check(&project, global, None, reporter)?;
    let made = dev::make(project, checked, global, reporter).await?;
    if let Some(watch) = watch {
        watch.learn(&made.binary)?;
    }
    Ok(made)
}

/// The whole ids of the schedules that are to run at once.
fn schedules(command: &Dev, made: &Made) -> Result<Vec<String>> {
    let all = || {
        let handlers = made.checked.app.handlers.iter();
        handlers.filter(|one| matches!(one.trigger, Trigger::Schedule { .. })).map(|one| one.id.as_str())
    };
    command.now.iter().map(|name| dev::find(name, all(), "schedule").map(str::to_owned)).collect()
}

async fn end(running: &mut Option<(Program, blake3::Hash)>) -> ExitStatus {
    match running {
        Some((program, _)) => match program.wait().await {
            Ok(status) => status,
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}

async fn change(watch: &mut Option<Watch>) -> String {
    match watch {
        Some(watch) => watch.changed().await.display().to_string(),
        None => pending().await,
    }
}

/// What asks us to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Outside(format!("no signals: {error}")));
        Ok(Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
