//! Debian's `redis-server`.

use super::{Process, free_port, program};
use std::process::Command;
use tempfile::TempDir;

/// A Redis server, kept in memory alone.
pub struct Redis {
    process: Option<Process>,
    program: std::path::PathBuf,
    port: u16,
    password: Option<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts one; `None` if it is not installed.
    pub fn start() -> Option<Self> {
        let redis = Self::stopped(None)?;
        Some(redis.started())
    }

    /// Starts one that wants a password.
    pub fn with_password(password: &str) -> Option<Self> {
        Some(Self::stopped(Some(password))?.started())
    }

    /// One that does not listen yet.
    pub fn stopped(password: Option<&str>) -> Option<Self> {
        let program = program("redis-server")?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Redis { process: None, program, port: free_port(), password: password.map(str::to_owned), folder })
    }

    fn started(mut self) -> Self {
        self.up();
        self
    }

    /// Starts it (again), empty.
    pub fn up(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &self.port.to_string()]);
        command.arg("--dir").arg(self.folder.path());
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        self.process = Some(Process::listening(&mut command, self.port));
    }

    /// Kills it.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Its URL, with the password.
    pub fn url(&self) -> String {
        let user = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{user}127.0.0.1:{}/0", self.port)
    }

    /// What `redis-cli` says to a command.
    ///
    /// # Panics
    /// If it can't be run.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.program.with_file_name("redis-cli"));
        command.args(["-u", &self.url(), "--no-auth-warning"]).args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("can't run {command:?}: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}
