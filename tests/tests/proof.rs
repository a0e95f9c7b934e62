//! Source view = binary view: for the shop, and for what only name resolution can see through.

#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a test is no library")]

mod views;

use updraft::prelude::*;

mod elsewhere {
    use updraft::prelude::*;

    #[store(key = String, value = u32)]
    pub struct Ledger;

    pub type Reader<T> = Store<T, ReadOnly>;
    pub use updraft::http as route;
}
mod exported {
    pub use super::elsewhere::Ledger as Book;
    pub use super::elsewhere::*;
}
use exported::{Book, Reader, route};

type Entries = Reader<Book>;

#[derive(Capabilities)]
struct Deps {
    entries: Entries,
    trail: Bucket<audit::Trail, WriteOnly>,
}

/// Through an alias of an alias and a resource under another name.
#[route(get, "/entries", timeout = "5s")]
async fn entries(With(deps): With<Deps>, again: Store<elsewhere::Ledger>) -> Result<String> {
    let _ = (deps.entries, deps.trail, again);
    Ok(String::new())
}

#[cfg(any())]
#[http(get, "/nowhere")]
async fn nowhere() -> Result<String> {
    Ok(String::new())
}

#[cfg_attr(all(), http(get, "/everywhere"))]
async fn everywhere() -> Result<String> {
    Ok(String::new())
}

fn main() -> std::process::ExitCode {
    updraft::run!(shop, audit)
}

#[test]
fn source_and_binary_are_equal() {
    let checked = views::source("proof");
    assert!(!checked.has_errors(), "{:#?}", checked.diagnostics);
    let ids: Vec<&str> = checked.app.handlers.iter().map(|handler| handler.id.as_str()).collect();
    assert!(
        ids.contains(&"proof::entries") && ids.contains(&"shop::orders::ship") && ids.contains(&"audit::record"),
        "{ids:?}"
    );
    assert!(!ids.contains(&"proof::nowhere"), "{ids:?}");
    let differences = updraft_driver::proof::compare(&checked.app, &views::program());
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn the_compiler_and_the_program_hash_alike() {
    let checked = views::source("proof");
    assert_eq!(updraft_driver::descriptors::graph_hash(&checked.app), updraft::registry::graph_hash().unwrap());
}
