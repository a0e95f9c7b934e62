//! `s3s-fs`, an S3 server whose buckets are folders.

use super::{Process, free_port, program};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// An S3 server.
pub struct S3 {
    process: Option<Process>,
    program: PathBuf,
    port: u16,
    folder: TempDir,
}

impl S3 {
    /// The key of the one who may use it.
    pub const ACCESS_KEY_ID: &str = "AKIAUPDRAFTTEST";
    /// Its secret.
    pub const SECRET_ACCESS_KEY: &str = "only-for-tests";
    /// Any.
    pub const REGION: &str = "us-east-1";

    /// Starts one with these buckets; `None` if it is not installed.
    pub fn start(buckets: &[&str]) -> Option<Self> {
        let program = program("s3s-fs")?;
        let folder = tempfile::tempdir().expect("a folder");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("a bucket");
        }
        let mut s3 = S3 { process: None, program, port: free_port(), folder };
        s3.up();
        Some(s3)
    }

    /// Starts it (again), with what it kept.
    pub fn up(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--access-key", Self::ACCESS_KEY_ID, "--secret-key", Self::SECRET_ACCESS_KEY]);
        command.arg(self.folder.path());
        self.process = Some(Process::listening(&mut command, self.port));
    }

    /// Kills it.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An object's contents, if it is there.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(bucket).join(key)).ok()
    }

    /// The credentials as the secret of a binding holds them.
    pub fn credentials() -> String {
        let (id, secret) = (Self::ACCESS_KEY_ID, Self::SECRET_ACCESS_KEY);
        format!(r#"{{"access_key_id": "{id}", "secret_access_key": "{secret}"}}"#)
    }
}
