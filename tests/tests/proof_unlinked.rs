//! A crate that nobody names is not linked, and its handlers vanish without a word from rustc: the check says so before
//! anything is built, and the program itself is proof.

#![allow(dead_code, missing_docs, reason = "a test is no library")]

mod views;

use updraft::prelude::*;

#[http(get, "/here")]
async fn here() -> Result<String> {
    Ok(String::new())
}

fn main() -> std::process::ExitCode {
    updraft::run!() // without `shop` and `audit`, which the package depends on
}

#[test]
fn crates_that_nobody_names_are_refused_and_missing() {
    let checked = views::source("proof_unlinked");
    let refused: Vec<&str> =
        checked.diagnostics.iter().filter(|found| found.code == "UD0203").map(|found| found.message.as_str()).collect();
    assert_eq!(refused.len(), 2, "{:#?}", checked.diagnostics);
    assert!(refused[0].contains("`audit`") && refused[1].contains("`shop`"), "{refused:?}");

    let linked: Vec<&str> = updraft::registry::HANDLERS.iter().map(|handler| handler.id).collect();
    assert_eq!(linked, ["proof_unlinked::here"], "rustc says nothing of the others");
    let found = updraft_driver::proof::compare(&views::source("proof").app, &views::program());
    let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
    assert!(codes.contains(&"UD0403"), "{found:#?}");
}
