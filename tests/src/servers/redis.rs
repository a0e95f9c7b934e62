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
    encrypted: bool,
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

    /// Starts one that speaks TLS alone, with a certificate of a CA of its own ([`Redis::ca`]); `None` if it or `openssl` is
    /// not installed.
    ///
    /// # Panics
    /// If there is no certificate.
    pub fn encrypted() -> Option<Self> {
        let openssl = super::optional("openssl")?;
        let mut redis = Self::stopped(None)?;
        redis.encrypted = true;
        let run = |arguments: &[&str]| {
            let status = Command::new(&openssl).args(arguments).current_dir(redis.folder.path()).output();
            assert!(status.as_ref().is_ok_and(|output| output.status.success()), "{status:?}");
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        run(&[&["req", "-x509", "-subj", "/CN=a CA for one test", "-keyout", "ca.key", "-out", "ca.pem"], &key[..]]
            .concat());
        std::fs::write(redis.folder.path().join("san"), "subjectAltName=IP:127.0.0.1").expect("a file");
        run(&[&["req", "-subj", "/CN=redis", "-keyout", "key.pem", "-out", "request.pem"], &key[..5]].concat());
        run(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "san",
            "-out",
            "certificate.pem",
        ]);
        Some(redis.started())
    }

    /// The CA's certificate of an [encrypted](Redis::encrypted) one.
    pub fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// One that does not listen yet.
    pub fn stopped(password: Option<&str>) -> Option<Self> {
        let program = program("redis-server")?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Redis {
            process: None,
            program,
            port: free_port(),
            password: password.map(str::to_owned),
            folder,
            encrypted: false,
        })
    }

    fn started(mut self) -> Self {
        self.up();
        self
    }

    /// Starts it (again), empty.
    pub fn up(&mut self) {
        let mut command = Command::new(&self.program);
        let port = self.port.to_string();
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if self.encrypted {
            command.args([
                "--port",
                "0",
                "--tls-port",
                &port,
                "--tls-auth-clients",
                "no",
                "--tls-ca-cert-file",
                "ca.pem",
            ]);
            command.args(["--tls-cert-file", "certificate.pem", "--tls-key-file", "key.pem"]);
        } else {
            command.args(["--port", &port]);
        }
        command.current_dir(self.folder.path());
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
        let scheme = if self.encrypted { "rediss" } else { "redis" };
        format!("{scheme}://{user}127.0.0.1:{}/0", self.port)
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
