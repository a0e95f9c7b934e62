//! What `new` writes works at once: it checks, tests itself, runs, answers calls and compiles for a cloud. (That it links is
//! shown by `reproducible.rs`, whose program it writes, too.)

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const UPDRAFT: &str = env!("CARGO_BIN_EXE_cargo-updraft");

/// Runs a command in the new project, with the target directory and the versions of this workspace: nothing is built twice.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let target = Path::new(UPDRAFT).parent().and_then(Path::parent).expect("a target directory");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target).env_remove("UPDRAFT_STATE_DIR");
    command.output().expect("started")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeds(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = run(folder, program, arguments);
    assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, said(&output));
    said(&output)
}

#[test]
fn a_new_project_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    succeeds(folder.path(), UPDRAFT, &["updraft", "new", "guest-book"]);
    let project = folder.path().join("guest-book");
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("copied");

    let checked = succeeds(&project, UPDRAFT, &["updraft", "check", "--target", "knative"]);
    assert!(checked.contains("guest-book: 3 handlers, 2 resources"), "{checked}");
    assert!(!checked.contains("warning"), "{checked}");

    let tested = succeeds(&project, "cargo", &["test", "--quiet"]);
    assert!(tested.contains("2 passed"), "{tested}");

    succeeds(&project, UPDRAFT, &["updraft", "invoke", "arrive", r#"{"name": "Ada"}"#]);
    let ran = succeeds(&project, UPDRAFT, &["updraft", "dev", "--once", "--port", "0"]);
    assert!(ran.contains("Listening http://127.0.0.1:"), "{ran}");
    let asked = run(&project, UPDRAFT, &["updraft", "invoke", "greeting", r#"{"name": "Ada"}"#]);
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "\"Hello, Ada!\"\n", "{}", said(&asked));

    let built =
        succeeds(&project, UPDRAFT, &["updraft", "build", "--target", "knative", "--preview", "--out", "deploy"]);
    assert!(built.contains("Previewed guest-book for knative"), "{built}");
    assert!(project.join("deploy/kustomization.yaml").is_file());
}

#[test]
fn what_is_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("mine")).expect("created");
    let output = run(folder.path(), UPDRAFT, &["updraft", "new", "mine"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("mine is there already"), "{}", said(&output));
}
