//! What rustc says to each file of `misuse/`: exactly the errors that stand there, each at its tokens, and no warning.
//!
//! `//~ [tokens] message` speaks of its own line, `//~^ …` of the nearest one above that holds code. A message ends at `; `,
//! after which comes the help, where it matters. Files of `fine/` compile without a word, under the strictest lints.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that this test is linked with: the newest beside it, since cargo has just built what was not fresh.
fn library() -> (PathBuf, PathBuf) {
    let folder = std::env::current_exe().expect("a path").parent().expect("a folder").to_owned();
    let built = std::fs::read_dir(&folder).expect("readable").flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("libupdraft-") && name.ends_with(".rlib")
    });
    let newest = built.max_by_key(|entry| entry.metadata().and_then(|m| m.modified()).expect("a time"));
    (newest.expect("the library is built").path(), folder)
}

/// What rustc reports of a file: (line, tokens, message with its help lines), sorted.
fn compile(file: &Path, edition: &str) -> Vec<(usize, String, String)> {
    let (library, folder) = library();
    let output = tempfile::tempdir().expect("a folder");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let result = Command::new(rustc)
        .args([
            "--edition",
            edition,
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--error-format",
            "json",
            "--out-dir",
        ])
        .arg(output.path())
        .arg("--extern")
        .arg(format!("updraft={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", folder.display()))
        .arg(file)
        .env("CARGO_PKG_NAME", "misuse")
        .output()
        .expect("rustc runs");
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&result.stderr).lines() {
        let Ok(report) = serde_json::from_str::<Value>(line) else { continue };
        let Some(span) =
            report["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["is_primary"] == true))
        else {
            continue;
        };
        let message = report["message"].as_str().unwrap_or_default();
        let message = message.split("\nnote: `cargo updraft").next().unwrap_or_default().replace("\n\nhelp: ", "; ");
        let message = match report["level"].as_str() {
            Some("error") => message,
            other => format!("{}: {message}", other.unwrap_or_default()),
        };
        // rustc writes a type's whole path if another crate in sight has one of that name: features decide.
        let message = message.replace("std::string::String", "String");
        found.push((number(&span["line_start"]), tokens(span), message));
    }
    found.sort();
    found
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default()
}

/// The text that a span covers, on its first line.
fn tokens(span: &Value) -> String {
    let text = span["text"][0]["text"].as_str().unwrap_or_default();
    let (start, end) = (number(&span["text"][0]["highlight_start"]), number(&span["text"][0]["highlight_end"]));
    text.chars().skip(start.saturating_sub(1)).take(end.saturating_sub(start)).collect()
}

/// What a file says that rustc reports.
fn expected(source: &str) -> Vec<(usize, String, String)> {
    let mut expected = Vec::new();
    let mut code = 0;
    for (line, text) in source.lines().enumerate() {
        let Some((before, comment)) = text.split_once("//~") else {
            code = line + 1;
            continue;
        };
        let comment = match comment.strip_prefix('^') {
            Some(comment) => comment,
            None => {
                assert!(!before.trim().is_empty(), "`//~` stands on a line of code");
                code = line + 1;
                comment
            }
        };
        let (tokens, message) =
            comment.trim().strip_prefix('[').and_then(|rest| rest.split_once("] ")).expect("`[tokens] message`");
        expected.push((code, tokens.to_owned(), message.to_owned()));
    }
    expected.sort();
    expected
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect();
    files.sort();
    files
}

#[test]
fn each_misuse_gets_its_errors_and_no_other() {
    let mut wrong = String::new();
    let files = files("misuse");
    assert!(files.len() > 15);
    for file in files {
        let source = std::fs::read_to_string(&file).expect("readable");
        let (expected, found) = (expected(&source), compile(&file, "2024"));
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        let same = expected.len() == found.len()
            && expected.iter().zip(&found).all(|((line, tokens, message), found)| {
                // Help that a file does not mention is free.
                (line, tokens) == (&found.0, &found.1)
                    && (*message == found.2 || found.2.strip_prefix(message).is_some_and(|rest| rest.starts_with("; ")))
            });
        if !same {
            let _ = writeln!(wrong, "{}\n  expected {expected:#?}\n  found {found:#?}", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_right_compiles_without_a_word_in_both_editions() {
    for file in files("fine") {
        for edition in ["2021", "2024"] {
            let found = compile(&file, edition);
            assert!(found.is_empty(), "{} in {edition}: {found:#?}", file.display());
        }
    }
}
