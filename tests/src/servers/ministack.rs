//! MiniStack (`pip install ministack`): AWS on this machine. Its S3 is of another make than `s3s-fs`: nested and long keys,
//! atomic conditional writes.

use super::{Process, Secrets, free_port, program};
use crate::http::Http;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use updraft::engines::aws::Account;

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
        let server = Self::with("s3")?;
        let made = Http::one().send("PUT", &format!("{}/{bucket}", server.endpoint()), &[], "").await;
        assert!(made.as_ref().is_ok_and(|answer| answer.status == 200), "{made:?}");
        Some(server)
    }

    /// Starts one with these services, separated by commas, or with all for `""`; `None` if it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with(services: &str) -> Option<Self> {
        Self::run(services, &[])
    }

    /// Starts one with all services that lets nobody do what no policy allows: requests are signed by [`MiniStack::KEY`],
    /// which may do everything, or by a function's key, which may do what its role may.
    ///
    /// # Panics
    /// If it does not start.
    pub fn account() -> Option<Self> {
        let [key, secret] = Self::KEY;
        Self::run("", &[("AUTH", "true"), ("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)])
    }

    /// A key that it knows, and its secret.
    pub const KEY: [&'static str; 2] = ["test", "test"];

    fn run(services: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let program = program("ministack")?;
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(program);
        command.env("GATEWAY_PORT", port.to_string()).env("SERVICES", services).env("S3_DATA_DIR", folder.path());
        command.env("MINISTACK_HOST", "127.0.0.1").current_dir(folder.path());
        // Functions find it by what it was started with.
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")).envs(variables.iter().copied());
        let process = Process::listening(&mut command, port);
        Some(MiniStack { _process: process, port, _folder: folder })
    }

    /// What a service that speaks JSON answers to this action, `DynamoDB_20120810.CreateTable`.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn call(&self, target: &str, content: serde_json::Value) -> serde_json::Value {
        let (service, _) = target.split_once(['_', '.']).expect("a service and an action");
        self.call_as(&service.to_lowercase(), target, content).await
    }

    /// The same of a service that signatures know by another name.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn call_as(&self, service: &str, target: &str, content: serde_json::Value) -> serde_json::Value {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
        let headers =
            [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0"), ("authorization", &*scope)];
        let answer = Http::one().send("POST", &format!("{}/", self.endpoint()), &headers, content.to_string()).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// A key that it knows, as an S3 bucket's secret holds it: signatures in URLs are checked with it.
    pub fn credentials() -> String {
        r#"{"access_key_id": "test", "secret_access_key": "test"}"#.to_owned()
    }

    /// The account there, for engines.
    ///
    /// # Panics
    /// If there can be none.
    pub fn engine_account(&self) -> Account {
        let secrets = Secrets::with("aws", MiniStack::credentials());
        Account::of_secret("us-east-1", Arc::new(secrets), "aws").expect("an account").at(&self.endpoint())
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
