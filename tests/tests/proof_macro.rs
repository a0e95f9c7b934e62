//! A handler that a macro makes is in the binary alone: the proof refuses the program and names the cause.

#![allow(dead_code, missing_docs, reason = "a test is no library")]

mod views;

use updraft::prelude::*;

macro_rules! handlers {
    ($($name:ident)*) => {$(
        #[http(get, "/made")]
        async fn $name() -> Result<String> {
            Ok(String::new())
        }
    )*};
}
handlers!(made);

#[http(get, "/written")]
async fn written() -> Result<String> {
    Ok(String::new())
}

fn main() -> std::process::ExitCode {
    updraft::run!()
}

#[test]
fn the_macro_is_named_as_the_cause() {
    let checked = views::source("proof_macro");
    let found = updraft_driver::proof::compare(&checked.app, &views::program());
    let [one] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(one.code, "UD0404");
    assert!(one.message.contains("`proof_macro::made`"), "{}", one.message);
    assert!(one.help.as_ref().is_some_and(|help| help.contains("macro_rules!")), "{one:?}");
}
