//! `deploy` and its kin, through the command itself, against MiniStack's CloudFormation.
//!
//! What is deployed is `tests/deployed`, whose features are what changes between two versions. Its program is linked as tests
//! are, so that a test takes seconds, and handed over by `--code`, which proves it as any other.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use tempfile::TempDir;
use updraft_tests::servers::{self, MiniStack};

const REGION: &str = "eu-central-1";
/// What a version is made of that brings nothing.
const PLAIN: &str = "";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `cargo build`; the executables that it made, by name.
fn build(arguments: &[&str]) -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells a test about its package would make it build others anew.
    let own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
        cargo.env_remove(name);
    }
    cargo.args(["build", "--quiet", "--message-format", "json"]).args(arguments).current_dir(workspace());
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = |message: Value| {
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    };
    messages.filter_map(executable).collect()
}

/// The command.
static UPDRAFT: LazyLock<PathBuf> = LazyLock::new(|| build(&["--package", "cargo-updraft"])["cargo-updraft"].clone());

/// Zips of the application with these features, each made once.
fn zip(features: &str) -> PathBuf {
    static ZIPS: LazyLock<(TempDir, Mutex<BTreeMap<String, PathBuf>>)> =
        LazyLock::new(|| (tempfile::tempdir().unwrap(), Mutex::default()));
    let (folder, made) = &*ZIPS;
    let mut made = made.lock().unwrap();
    if let Some(path) = made.get(features) {
        return path.clone();
    }
    let own = folder.path().join(format!("with-{features}"));
    std::fs::create_dir_all(&own).unwrap();
    let linked = build(&["--package", "deployed", "--features", features])["deployed"].clone();
    let program = own.join("program");
    // Without symbols it is a third as large.
    let stripped = Command::new("strip").arg("-o").arg(&program).arg(&linked).status();
    if !stripped.is_ok_and(|status| status.success()) {
        std::fs::copy(&linked, &program).unwrap();
    }
    let preview =
        ["build", "-p", "deployed", "--target", "aws-lambda", "--preview", "--quiet", "--features", features, "--out"];
    let status = Command::new(&*UPDRAFT).args(preview).arg(&own).current_dir(workspace()).status().unwrap();
    assert!(status.success());
    let beside = BTreeMap::from([("binding.json".to_owned(), std::fs::read(own.join("binding.json")).unwrap())]);
    let package = updraft_image::zip::package(&std::fs::read(&program).unwrap(), &beside).unwrap();
    let path = own.join("code.zip");
    std::fs::write(&path, package.bytes).unwrap();
    made.insert(features.to_owned(), path.clone());
    path
}

/// An account of MiniStack's.
struct Account {
    server: MiniStack,
    home: TempDir,
}

/// How a command ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// The object of this reason among its lines.
    #[track_caller]
    fn object(&self, reason: &str) -> Value {
        let mut objects = self.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.find(|object| object["reason"] == reason).unwrap_or_else(|| panic!("no {reason}: {}", self.out))
    }

    /// Codes of its diagnostics.
    fn codes(&self) -> Vec<String> {
        let objects = self.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.filter_map(|object| object["code"].as_str().map(str::to_owned)).collect()
    }
}

impl Account {
    fn new() -> Option<Self> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            servers::absent("Linux on x86-64, which `tests/deployed` is for");
            return None;
        }
        Some(Account { server: MiniStack::with("")?, home: tempfile::tempdir().unwrap() })
    }

    /// A command with nothing of this machine's own configuration.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&*UPDRAFT);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env(name, self.home.path().join(name));
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", self.server.endpoint());
        command.env("AWS_REGION", REGION).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.args(arguments).args(["-p", "deployed", "--target", "aws-lambda", "--message-format", "json"]);
        command.current_dir(workspace()).stdin(Stdio::null());
        command
    }

    /// `deploy` of the application with these features.
    fn deploy_command(&self, features: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["deploy", "--features", features]);
        command.arg("--code").arg(zip(features)).args(more);
        command
    }

    fn deploy(&self, features: &str, more: &[&str]) -> Said {
        said(&mut self.deploy_command(features, more))
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().expect("the command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[test]
fn what_is_deployed_is_deployed_once() {
    let Some(account) = Account::new() else { return };
    let first = account.deploy(PLAIN, &["--yes"]).ends(0);
    let deployed = first.object("deployed");
    assert!(deployed["changed"] == true && deployed["outputs"]["ApiUrl"].is_string(), "{deployed}");
    assert!(first.err.contains("Made the code bucket updraft-"), "{}", first.err);

    let again = account.deploy(PLAIN, &["--yes"]).ends(0);
    let same = again.object("deployed");
    assert_eq!((&same["changed"], &same["version"]), (&Value::from(false), &deployed["version"]));
    assert!(!again.err.contains("Uploaded") && !again.err.contains("Made"), "{}", again.err);

    let more = account.deploy("more", &["--yes"]).ends(0);
    let created = more.object("plan")["resources"].to_string();
    assert!(created.contains("http deployed::health") && !created.contains("\"replace\""), "{created}");
    assert_ne!(more.object("deployed")["version"], deployed["version"]);
}

#[test]
fn nothing_is_done_that_nobody_agreed_to() {
    let Some(account) = Account::new() else { return };
    let refused = account.deploy(PLAIN, &[]).ends(2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    account.deploy(PLAIN, &["--yes"]).ends(0);
    for (features, danger) in [("partitioned", "replaced"), ("fewer", "deleted")] {
        let refused = account.deploy(features, &["--yes"]).ends(1);
        assert_eq!(refused.codes(), ["UD2102"], "{features}: {}", refused.out);
        assert_eq!(refused.object("plan")["dangers"][0]["danger"], danger);
    }
    assert_eq!(account.deploy(PLAIN, &["--yes"]).ends(0).object("deployed")["changed"], false);
    account.deploy("partitioned", &["--yes", "--allow-replacement"]).ends(0);
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let Some(account) = Account::new() else { return };
    let with = |name: &str, value: &str| said(account.deploy_command(PLAIN, &["--yes"]).env(name, value));
    let nobody = with("AWS_ACCESS_KEY_ID", "").ends(2);
    assert!(nobody.err.contains("no credentials") && nobody.err.contains("aws sso login"), "{}", nobody.err);
    let nowhere = with("AWS_REGION", "").ends(2);
    assert!(nowhere.err.contains("AWS_REGION"), "{}", nowhere.err);
    let deaf = with("AWS_ENDPOINT_URL", "http://127.0.0.1:9").ends(3);
    assert!(deaf.err.contains("can't be reached") && deaf.err.contains("Nothing was changed"), "{}", deaf.err);
}
