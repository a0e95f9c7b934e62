//! MiniStack (`pip install ministack`), whose S3 is of another make: nested and long keys, atomic conditional writes.

use super::{Process, free_port, program};
use crate::http::Http;
use std::process::Command;
use tempfile::TempDir;

/// The server.
pub struct MiniStack {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl MiniStack {
    /// Starts one with this bucket; `None` if it is not installed.
    ///
    /// # Panics
    /// If the bucket can't be made.
    pub async fn start(bucket: &str) -> Option<Self> {
        let program = program("ministack")?;
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(program);
        command.env("GATEWAY_PORT", port.to_string()).env("SERVICES", "s3").env("S3_DATA_DIR", folder.path());
        command.env("MINISTACK_HOST", "127.0.0.1").current_dir(folder.path());
        let process = Process::listening(&mut command, port);
        let server = MiniStack { _process: process, port, _folder: folder };
        let made = Http::one().send("PUT", &format!("{}/{bucket}", server.endpoint()), &[], "").await;
        assert!(made.as_ref().is_ok_and(|answer| answer.status == 200), "{made:?}");
        Some(server)
    }

    /// A key that it knows, as an S3 bucket's secret holds it: signatures in URLs are checked with it.
    pub fn credentials() -> String {
        r#"{"access_key_id": "test", "secret_access_key": "test"}"#.to_owned()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
