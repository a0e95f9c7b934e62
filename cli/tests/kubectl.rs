//! `dead-letters --target knative` with a stand-in for `kubectl` that remembers what it was told: that the real one takes it
//! is not shown here. (What the job does is tested with processes and Redis, in `tests/tests/dead_letters.rs`.)

use assert_cmd::Command;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Answers as the real one is documented to, and keeps arguments and input in files beside it.
const STAND_IN: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$*" in
    version*) ;;
    *--dry-run=client*) cat <<'END'
{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"x"},"spec":{"template":{"spec":{"containers":[{"name":"app",
"env":[{"name":"UPDRAFT_UNIT","value":"dead-letter"},{"name":"UPDRAFT_DEAD_LETTERS","value":"{\"do\":\"list\"}"}]}]}}}}
END
        ;;
    create*--filename=-) cat >> "$here/created"; echo >> "$here/created" ;;
    get*) cat "$here/state" ;;
    logs*) cat "$here/log" ;;
    delete*) ;;
    *) echo "no such command: $*" >&2; exit 1 ;;
esac
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let kubectl = folder.path().join("kubectl");
    std::fs::write(&kubectl, STAND_IN).expect("a file");
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    folder
}

fn write(folder: &Path, state: &str, log: &str) {
    let conditions = format!(r#"{{"status":{{"conditions":[{{"type":"{state}","status":"True"}}]}}}}"#);
    std::fs::write(folder.join("state"), conditions).expect("a file");
    std::fs::write(folder.join("log"), log).expect("a file");
}

fn updraft(path: Option<&Path>, arguments: &[&str]) -> std::process::Output {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/shop/Cargo.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-updraft"));
    let old = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = path.into_iter().map(Path::to_owned).collect();
    // Without the stand-in there shall be none at all: a real one might reach a real cluster.
    let alone = |folder: &PathBuf| path.is_some() || !folder.join("kubectl").exists();
    folders.extend(std::env::split_paths(&old).filter(alone));
    command.env("PATH", std::env::join_paths(folders).expect("a path"));
    command.arg("dead-letters").args(arguments).args(["--target", "knative", "--manifest-path"]).arg(manifest);
    command.output().expect("it runs")
}

#[test]
fn a_job_is_made_waited_for_read_and_deleted() {
    let folder = folder();
    let log = r#"{"level":"INFO","message":"reached"}
{"dead_letters":{"ok":{"letters":[{"id":"1","handler":"shop::orders::ship","kind":"error","last":"2026","reason":"a\nb"}],"next":"k"}}}
"#;
    write(folder.path(), "Complete", log);
    let output = updraft(Some(folder.path()), &["list", "--handler", "shop::orders::ship"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1  shop::orders::ship  error  2026  a b\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--from 'k'"));
    let calls = std::fs::read_to_string(folder.path().join("calls")).expect("calls");
    let verbs: Vec<&str> = calls.lines().filter_map(|call| call.split(' ').next()).collect();
    assert_eq!(verbs, ["version", "create", "create", "get", "logs", "delete"]);
    assert!(calls.contains("--from cronjob/dead-letters") && calls.contains("--namespace shop"), "{calls}");
    let created = std::fs::read_to_string(folder.path().join("created")).expect("a job");
    let job: serde_json::Value = serde_json::from_str(&created).expect("JSON");
    let variables = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(variables[1]["value"], r#"{"do":"list","handler":"shop::orders::ship"}"#);
    assert_eq!(variables[2], serde_json::Value::Null);

    let output = updraft(Some(folder.path()), &["list", "--message-format", "json"]);
    let page: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&page["letters"][0]["id"], &page["next"]), (&"1".into(), &"k".into()));
}

#[test]
fn no_letter_is_an_answer_too() {
    let folder = folder();
    write(folder.path(), "Complete", "{\"dead_letters\":{\"ok\":{\"letters\":[],\"next\":null}}}\n");
    let output = updraft(Some(folder.path()), &["list"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().any(|line| line.trim() == "Listed 0 letters"), "{said}");
    let output = updraft(Some(folder.path()), &["list", "--handler", "shop::orders::ship", "--from", "k"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().any(|line| line.trim() == "Listed 0 letters"), "{said}");
}

#[test]
fn what_fails_is_said_with_a_code() {
    let folder = folder();
    write(folder.path(), "Failed", "{\"dead_letters\":{\"error\":\"there is no such dead letter\"}}\n");
    let output = updraft(Some(folder.path()), &["show", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no such dead letter"));
    let log = r#"{"dead_letters":{"ok":{"done":1,"failed":[{"id":"2","handler":"a","reason":"error: no"}]}}}"#;
    write(folder.path(), "Complete", log);
    let output = updraft(Some(folder.path()), &["redrive", "--all"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2  a  error: no\n");
    write(folder.path(), "Failed", "killed\n");
    let output = updraft(Some(folder.path()), &["list"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed"));
}

#[test]
fn without_kubectl_it_says_how_by_hand() {
    let output = updraft(None, &["redrive", "0190", "--handler", "shop::orders::ship"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("kubectl create job dead-letters-1 --namespace shop --from cronjob/dead-letters"),
        "{text}"
    );
    assert!(
        text.contains(r#"'UPDRAFT_DEAD_LETTERS={"do":"redrive","id":"0190","handler":"shop::orders::ship"}'"#),
        "{text}"
    );
}
