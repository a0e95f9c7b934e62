//! The examples' expected files: what `build --preview` writes, byte for byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// How to write them anew.
const ANEW: &str = "UPDRAFT_EXPECT=write cargo test -p cargo-updraft --test expected";

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).expect("text");
        (entry.file_name().into_string().expect("a name"), text)
    };
    entries.map(file).collect()
}

#[test]
fn shop_on_knative() {
    as_expected("shop", "knative");
}

#[test]
fn library_on_knative() {
    as_expected("library", "knative");
}

#[test]
fn ledger_on_knative() {
    as_expected("ledger", "knative");
}

#[test]
fn shop_on_aws_lambda() {
    as_expected("shop", "aws-lambda");
}

#[test]
fn library_on_aws_lambda() {
    as_expected("library", "aws-lambda");
}

#[test]
fn ledger_on_aws_lambda() {
    as_expected("ledger", "aws-lambda");
}

fn preview(example: &str, target: &str, out: &Path) -> Output {
    let mut build = Command::new(env!("CARGO_BIN_EXE_cargo-updraft"));
    build.args(["updraft", "build", "-p", example, "--target", target, "--preview", "--out"]).arg(out);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).output().expect("the program")
}

fn as_expected(example: &str, target: &str) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let expected = workspace.join("examples").join(example).join("expected").join(target);
    let out = tempfile::tempdir().expect("a folder");
    let output = preview(example, target, out.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = files(out.path());
    if std::env::var("UPDRAFT_EXPECT").is_ok_and(|value| value == "write") {
        let _ = std::fs::remove_dir_all(&expected);
        std::fs::create_dir_all(&expected).expect("a folder");
        for (name, text) in &written {
            std::fs::write(expected.join(name), text).expect("a file");
        }
    }
    let held = files(&expected);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&held), "other files than expected; if that is right: {ANEW}");
    for (name, text) in &written {
        let first = text.lines().zip(held[name].lines()).find(|(one, other)| one != other);
        assert!(*text == held[name], "{name} differs, first at {first:?}; if that is right: {ANEW}");
    }
}
