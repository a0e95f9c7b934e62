//! What `new` writes works at once: it checks, tests itself, runs, answers calls and compiles for a cloud. (That it links is
//! shown by `reproducible.rs`, whose program it writes, too.)

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const UPDRAFT: &str = env!("CARGO_BIN_EXE_cargo-updraft");

/// A command in the new project, with the target directory and the versions of this workspace: nothing is built twice.
fn command(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let target = Path::new(UPDRAFT).parent().and_then(Path::parent).expect("a target directory");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target).env_remove("UPDRAFT_STATE_DIR");
    command
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    command(folder, program, arguments).output().expect("started")
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

    dev_follows_changes(&project);
}

/// A change is built and served, state stays, and Ctrl-C is a clean end.
fn dev_follows_changes(project: &Path) {
    let mut dev = command(project, UPDRAFT, &["updraft", "dev", "--port", "0"]);
    let mut dev = dev.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let mut log = BufReader::new(dev.stdout.take().expect("a log")).lines().map_while(Result::ok);
    let ask = |json: &str| String::from_utf8(run(project, UPDRAFT, &["updraft", "invoke", "greeting", json]).stdout);
    let ada = r#"{"name": "Ada"}"#;

    assert!(log.any(|line| line.starts_with("Listening http://127.0.0.1:")), "it serves");
    assert_eq!(ask(ada).expect("text"), "\"Hello, Ada!\"\n", "what an earlier run stored is there");

    let source = project.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("a source");
    fs::write(&source, text.replace("Hello, ", "Welcome, ")).expect("written");
    assert!(log.any(|line| line.starts_with("Listening http://127.0.0.1:")), "it serves again");
    assert_eq!(ask(ada).expect("text"), "\"Hello, Ada!\"\n", "state stays");
    succeeds(project, UPDRAFT, &["updraft", "invoke", "greet", ada]);
    assert_eq!(ask(ada).expect("text"), "\"Welcome, Ada!\"\n", "the new code runs");

    let killed = Command::new("kill").args(["-INT", &dev.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    log.for_each(drop);
    assert_eq!(dev.wait().expect("an end").code(), Some(0));
}

#[test]
fn what_is_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("mine")).expect("created");
    let output = run(folder.path(), UPDRAFT, &["updraft", "new", "mine"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("mine is there already"), "{}", said(&output));
}
