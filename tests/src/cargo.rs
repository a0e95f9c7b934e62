//! Programs of the workspace that tests start, built by cargo once.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The command, `cargo-updraft`.
pub fn updraft() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("cargo-updraft", &["--package", "cargo-updraft"]))
}

/// Builds a program with these arguments of `cargo build`.
///
/// # Panics
/// If it does not compile.
pub fn built(name: &str, arguments: &[&str]) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells a test about its package would make it build others anew.
    let own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
        cargo.env_remove(name);
    }
    cargo.args(["build", "--quiet", "--message-format", "json"]).args(arguments);
    let output = cargo.current_dir(workspace()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let wanted = |message: &Value| message["target"]["name"] == name && message["executable"].is_string();
    let artifact = messages.into_iter().find(wanted).expect("the program");
    PathBuf::from(artifact["executable"].as_str().expect("a path"))
}
