//! Attributes on what they can't stand on.
use updraft::prelude::*;

#[queue(message = String)]
async fn orders() {} //~ [orders] `#[queue]` stands on a struct

#[queue(message = String)]
struct Sized(u32); //~ [(u32)] `#[queue]` stands on a unit struct: it is a name, no data

#[http(get, "/")]
struct Index; //~ [Index] `#[http]` stands on a function

#[config]
struct Limits; //~ [Limits] a config has named fields

#[derive(Capabilities)]
struct Deps(Secret<Key>); //~ [Deps] a group of capabilities has named fields

#[secret]
struct Key;

#[extractor]
async fn user(_key: Secret<Key>) -> String { //~ [-> String] an extractor returns `Result<T>` or `Result<T, E>`
    String::new()
}
