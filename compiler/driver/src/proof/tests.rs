//! Each way in which a binary can differ, and the cause that is named.

use super::{codes, compare, descriptors};
use crate::descriptors::of;
use crate::tests::check;
use updraft_model::{App, Diagnostic};
use updraft_wire::Descriptor;

fn app() -> App {
    let checked = check(
        "//- src/main.rs\nupdraft::main!(shop, audit);\n//- src/lib.rs\nuse updraft::prelude::*;\n\
         #[queue(message = u32)]\npub struct Orders;\n#[http(post, \"/\")]\nasync fn place(orders: Queue<Orders>) -> String { x }\n\
         #[consumer(Orders, retries = 3)]\nasync fn ship(order: u32) -> Result<()> { x }\n\
         //- audit/src/lib.rs\nuse updraft::prelude::*;\n#[schedule(\"0 3 * * *\")]\nasync fn nightly() -> Result<()> { x }\n",
    );
    assert_eq!(checked.diagnostics, []);
    checked.app
}

/// What is said of a binary that holds what `change` leaves of the source's descriptors.
fn said(change: impl FnOnce(&mut Vec<Descriptor>)) -> Vec<Diagnostic> {
    let app = app();
    let mut found = of(&app);
    change(&mut found);
    descriptors(&app, found)
}

#[test]
fn equal_views_say_nothing() {
    assert_eq!(said(|found| found.reverse()), []);
}

#[test]
fn a_handler_that_a_macro_made() {
    let [one] = &said(|found| {
        let made = Descriptor { id: "shop::made".into(), ..found[1].clone() };
        found.push(made);
    })[..] else {
        panic!()
    };
    assert_eq!(one.code, codes::NOT_IN_SOURCE);
    assert!(one.message.contains("shop::made") && one.help.as_ref().unwrap().contains("macro_rules!"), "{one:?}");
}

#[test]
fn a_crate_that_is_not_linked() {
    let [one] = &said(|found| found.retain(|one| !one.id.starts_with("audit::")))[..] else { panic!() };
    assert_eq!(one.code, codes::NOT_LINKED);
    assert!(one.message.contains("`audit`"), "{one:?}");
}

#[test]
fn nothing_is_linked() {
    let [one] = &said(Vec::clear)[..] else { panic!() };
    assert_eq!(one.code, codes::EMPTY);
    assert!(one.help.as_ref().unwrap().contains("updraft::main!(audit, shop)"), "{one:?}");
}

#[test]
fn a_cfg_that_holds_in_one_view_only() {
    let [one] = &said(|found| found.retain(|one| one.id != "shop::ship"))[..] else { panic!() };
    assert_eq!(one.code, codes::NOT_IN_BINARY);
    assert!(one.labels[0].place.file == "src/lib.rs" && one.help.as_ref().unwrap().contains("--features"), "{one:?}");
}

#[test]
fn options_and_grants_that_differ() {
    let all = said(|found| {
        for one in found {
            one.grants.clear();
            if let Some(retries) = one.options.get_mut("retries") {
                *retries = "4".into();
            }
        }
    });
    let messages: Vec<&str> = all.iter().map(|one| one.message.as_str()).collect();
    assert!(all.iter().all(|one| one.code == codes::DIFFERENT), "{messages:?}");
    assert!(
        messages.iter().any(|text| text.contains("`retries` is `3` in the source and `4` in the binary")),
        "{messages:?}"
    );
    assert!(messages.iter().any(|text| text.contains("only the source grants queue orders (write)")), "{messages:?}");
}

#[test]
fn a_file_that_is_no_program() {
    let [one] = &compare(&app(), b"#!/bin/sh")[..] else { panic!() };
    assert_eq!(one.code, codes::UNREADABLE);
}
