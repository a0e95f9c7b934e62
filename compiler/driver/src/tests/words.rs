//! The same words from rustc and from `check`: where syntax decides, each finding here is what rustc says to the same file,
//! at the same tokens, or inside of a literal that rustc can only underline whole. (The runtime's misuse tests hold rustc to what stands in those files.)

use super::check;
use std::path::{Path, PathBuf};

/// (line, tokens, message) of each `//~ [tokens] message; help`, or `//~^ …` for the nearest line of code above.
fn expected(text: &str) -> Vec<(u32, String, String)> {
    let mut all = Vec::new();
    let mut code = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let (own, rest) = match line.split_once("//~") {
            Some((before, rest)) => (before, Some(rest)),
            None => (line, None),
        };
        if !own.trim().is_empty() {
            code = number;
        }
        let Some(rest) = rest else { continue };
        let rest = rest.trim_start_matches('^').trim_start();
        let Some((tokens, message)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { continue };
        let message = message.split("; ").next().unwrap_or(message);
        all.push((code, tokens.to_owned(), message.to_owned()));
    }
    all
}

#[allow(clippy::disallowed_methods, reason = "a test reads another crate's tests")]
fn files() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/tests/misuse");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn as_rustc_says_it() {
    let (mut same, mut wrong) = (0, Vec::new());
    for (path, text) in files() {
        let checked = check(&format!("//- src/main.rs\n{text}"));
        let expected = expected(&text);
        for one in checked.diagnostics.iter().filter(|one| one.code.starts_with("UD00")) {
            let place = &one.labels[0].place;
            let tokens = &text[place.start..place.end];
            let fits = |(line, at, message): &(u32, String, String)| {
                *line == place.line && *message == one.message && dense(at).contains(&dense(tokens))
            };
            match expected.iter().any(fits) {
                true => same += 1,
                false => wrong.push(format!("{}:{} [{tokens}] {}", path.display(), place.line, one.message)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same > 20, "only {same}: do the files still say what rustc says?");
}

fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}
