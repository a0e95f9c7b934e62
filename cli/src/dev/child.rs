//! The program as a child process. It has a process group of its own, so that Ctrl-C reaches us alone and we can let it
//! drain; its standard input is a pipe that closes when we end, however we end.

use super::Made;
use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// How long a program may drain: longer than it gives itself.
const GRACE: Duration = Duration::from_secs(40);

/// How a program is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// 0 for any free one; the program's default if absent.
    pub(crate) port: Option<u16>,
    /// End when nothing is left to do.
    pub(crate) once: bool,
    /// The seed of what shall go wrong.
    pub(crate) chaos: Option<u64>,
    /// Ids of schedules to run at once.
    pub(crate) now: Vec<String>,
    /// Whether its log is shown.
    pub(crate) show: bool,
}

/// A running program.
pub(crate) struct Program {
    child: Child,
    /// Held open: waiting for a child would close its standard input.
    _lifeline: Option<ChildStdin>,
}

impl Program {
    /// Waits for its end; may be asked again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Lets it drain and waits; what does not end is killed.
    pub(crate) async fn stop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }
}

/// Starts it.
///
/// # Errors
/// It can't be started.
pub(crate) fn start(made: &Made, options: &Options, global: &Global, reporter: &Reporter) -> Result<Program> {
    let mut command = Command::new(&made.binary);
    command.env("CARGO_MANIFEST_DIR", made.project.package_dir()).env("UPDRAFT_PARENT", "stdin");
    command.env("UPDRAFT_COLOR", if reporter.color() { "always" } else { "never" });
    if options.show {
        command.env("UPDRAFT_DEV", "live");
    }
    if let Some(port) = options.port {
        command.env("PORT", port.to_string());
    }
    if options.once {
        command.env("UPDRAFT_ONCE", "1");
    }
    if let Some(seed) = options.chaos {
        command.env("UPDRAFT_CHAOS", seed.to_string());
    }
    if !options.now.is_empty() {
        command.env("UPDRAFT_NOW", options.now.join(","));
    }
    if let Some(env) = &global.env {
        command.env("UPDRAFT_ENV", env);
    }
    command.stdin(Stdio::piped()).stdout(if options.show { Stdio::inherit() } else { Stdio::null() });
    command.process_group(0).kill_on_drop(true);
    let spawned = command.spawn();
    let mut child =
        spawned.map_err(|error| Failure::Outside(format!("can't start {}: {error}", made.binary.display())))?;
    Ok(Program { _lifeline: child.stdin.take(), child })
}

/// What its end means for us. It has said itself what went wrong.
pub(crate) fn ended(status: ExitStatus) -> Result {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Outside(format!("the program ended with exit code {code}"))),
        None => Err(Failure::Outside(format!("the program ended: {status}"))),
    }
}
