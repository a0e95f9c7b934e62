//! The attributes: thin over `updraft-syntax`, which reads and refuses; here is only what they expand to.
//!
//! Each attribute leaves its item as it was written and adds to it. A mistake adds its errors alone, so that one mistake
//! gives one message; where syntax can tell what was meant, that is expanded as well.

mod data;
mod group;
mod handler;
mod item;
mod migrations;
mod resource;

use item::Annotated;
use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use updraft_syntax::{Attribute, Declaration, Diagnostic};

/// Reads the attribute and expands what it declares.
fn expand(attribute: Attribute, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = Tokens::from(item);
    let annotated = match Annotated::parse(item.clone()) {
        Ok(annotated) => annotated,
        // No item that anyone can read: rustc says what is wrong with it.
        Err(_) => return item.into(),
    };
    let (declaration, diagnostics) =
        updraft_syntax::parse(attribute, Span::call_site(), arguments.into(), annotated.as_item());
    let errors: Tokens = diagnostics.iter().map(Diagnostic::to_compile_error).collect();
    let cfgs = annotated.cfgs();
    let expanded = match declaration {
        Some(Declaration::Handler(handler)) => {
            let beside = handler::expand(&handler, &cfgs);
            quote!(#item #beside)
        }
        Some(Declaration::Extractor(extractor)) => {
            let beside = group::extractor(&extractor, &cfgs);
            quote!(#item #beside)
        }
        Some(Declaration::Resource(resource)) => {
            let item = annotated.resource(&resource).unwrap_or(item);
            let (migrations, refused) = migrations::of(&resource);
            let beside = resource::expand(&resource, &migrations, &cfgs);
            quote!(#item #beside #refused)
        }
        Some(Declaration::Data(data)) => data::expand(&data, &item),
        None => annotated.silenced(item),
    };
    quote!(#expanded #errors).into()
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident => $attribute:ident;)*) => {$(
        $(#[$doc])*
        #[proc_macro_attribute]
        pub fn $name(arguments: TokenStream, item: TokenStream) -> TokenStream {
            expand(Attribute::$attribute, arguments, item)
        }
    )*};
}
attributes! {
    /// Serves a route: `#[http(get, "/orders/{id}", timeout = "30s")]` on an `async fn` that is written as an axum handler
    /// is. Its parameters are axum's extractors and capabilities.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `timeout` | `"30s"` | until the answer's head |
    /// | `body` | that of `[http]`, `"2MiB"` | the largest body of a request |
    /// | `name` | the function's path | its id, which then outlives another name: `"shop::orders::place_order"`. A function with several of this attribute names each but one |
    http => Http;
    /// Takes the messages of a queue: `#[consumer(Orders, retries = 5, timeout = "60s")]`. The message is the first
    /// parameter, or a `Batch` of them.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `retries` | 5 | attempts after the first, 100 at most |
    /// | `timeout` | `"60s"` | of an attempt |
    /// | `once` | | what it was done with is recorded for 7 days, or as long as `once = "30d"` says, and not done again |
    /// | `skew` | `"15m"` | how long a message of a newer version is put back |
    /// | `batch` | 10 | of a `Batch`: messages at most |
    /// | `window` | none; `"1s"` with more than ten | of a `Batch`: how long the first waits for the others |
    /// | `name` | the function's path | its id |
    consumer => Consumer;
    /// Takes the messages of a topic: `#[subscriber(Shipped, when(region = "eu"), retries = 5, timeout = "60s")]`. The
    /// message is the first parameter.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `when` | every message | the attributes that a message has to have |
    /// | `retries` | 5 | attempts after the first, 100 at most |
    /// | `timeout` | `"60s"` | of an attempt |
    /// | `once` | | what it was done with is recorded for 7 days, or as long as `once = "30d"` says, and not done again |
    /// | `skew` | `"15m"` | how long a message of a newer version is put back |
    /// | `name` | the function's path | its id |
    subscriber => Subscriber;
    /// Runs by the clock: `#[schedule("0 3 * * *", timezone = "Europe/Berlin", overlap, missed = "run")]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `timezone` | `"UTC"` | an IANA name |
    /// | `overlap` | | a run may begin while the last is under way |
    /// | `missed` | `"skip"` | with `"run"`, a run that was missed is made up for, once |
    /// | `retries` | 5 | attempts after the first, 100 at most |
    /// | `timeout` | `"5m"` | of an attempt |
    /// | `name` | the function's path | its id |
    schedule => Schedule;
    /// Runs for each blob of a bucket that is written or deleted:
    /// `#[object(Uploads, created, prefix = "in/", suffix = ".png", retries = 5, timeout = "60s")]`, or `removed`. The first
    /// parameter is the `Object`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `prefix`, `suffix` | any | how the blob's key begins and ends |
    /// | `retries` | 5 | attempts after the first, 100 at most |
    /// | `timeout` | `"60s"` | of an attempt |
    /// | `name` | the function's path | its id |
    object => Object;
    /// Can be called by other handlers, as `Function<name>`: `#[function(idempotent, timeout = "10s", type = Name)]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `idempotent` | | a call that panicked is tried again |
    /// | `timeout` | `"10s"`, or what the caller has left | of a call |
    /// | `type` | the function's name | what the type beside the function is called |
    /// | `name` | the function's path | its id |
    function => Function;
    /// Adopts an axum router under a prefix: `#[routes("/legacy", timeout = "30s")]` on a `fn` that makes it. Its parameters
    /// are capabilities.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `timeout` | `"30s"` | until an answer's head |
    /// | `body` | that of `[http]`, `"2MiB"` | the largest body of a request |
    /// | `name` | the function's path | its id |
    routes => Routes;
    /// Puts a tower layer round the routes under a path: `#[layer("/admin", order = 1)]` on a `fn` that returns `impl Layer`.
    /// Its parameters are capabilities.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `order` | 0 | of layers round one route, the lowest is the outermost |
    /// | `timeout` | `"30s"` | beside that of the slowest handler below it |
    /// | `name` | the function's path | its id |
    layer => Layer;
    /// Makes a value once, before the application is ready: on an `async fn` that returns `Result<T>`. Handlers take it as
    /// `Shared<T>`, and have its capabilities' grants with it.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `timeout` | `"30s"` | until it is made |
    /// | `name` | the function's path | its id |
    shared => Shared;
    /// Declares a queue, on a unit struct: `#[queue(message = Order)]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `message` | | the messages' type |
    /// | `accepts` | | older forms of it, newest first: `accepts = [OrderV1]` |
    /// | `delay` | | messages may be sent for later |
    /// | `ordered` | | a field: messages in which it is the same keep their order |
    /// | `dedup` | | for how long an id that the sender gives is known again: `"10m"`, a day at most |
    /// | `external` | | who outside the app uses it: `"read"`, `"write"` or `"read-write"` |
    /// | `name` | the type's, in kebab case | its id |
    queue => Queue;
    /// Declares a topic, on a unit struct: `#[topic(message = Shipment, attributes(region))]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `message` | | the messages' type |
    /// | `accepts` | | older forms of it, newest first: `accepts = [ShipmentV1]` |
    /// | `attributes` | | fields of the message by which subscribers may filter |
    /// | `external` | | who outside the app uses it: `"read"`, `"write"` or `"read-write"` |
    /// | `name` | the type's, in kebab case | its id |
    topic => Topic;
    /// Declares a key–value store, on a unit struct: `#[store(key = String, value = u32, ttl = "1h")]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `key`, `value` | | their types |
    /// | `partition` | | a type: keys are then `(partition, key)`, and a partition can be scanned in the order of its keys |
    /// | `ttl` | | how long an entry lives after its last write |
    /// | `external` | | who outside the app uses it: `"read"`, `"write"` or `"read-write"` |
    /// | `name` | the type's, in kebab case | its id |
    store => Store;
    /// Declares a bucket of blobs, on a unit struct: `#[bucket]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `presign` | | URLs may be made by which clients read and write blobs themselves |
    /// | `external` | | who outside the app uses it: `"read"`, `"write"` or `"read-write"` |
    /// | `name` | the type's, in kebab case | its id |
    bucket => Bucket;
    /// Declares a PostgreSQL database, on a unit struct: `#[database(migrations = "migrations")]`, where the folder, relative
    /// to the package's Cargo.toml, holds `0001_name.sql`, `0002_…`: they become part of the program.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `migrations` | `"migrations"` | the folder |
    /// | `external` | | who outside the app uses it: `"read"`, `"write"` or `"read-write"` |
    /// | `name` | the type's, in kebab case | its id |
    ///
    /// It needs updraft's feature `postgres`, which `cargo updraft dev` and `build` turn on by themselves; for plain `cargo`
    /// say in Cargo.toml `updraft = { …, features = ["postgres"] }`.
    database => Database;
    /// Declares a secret, on a unit struct: `#[secret]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `optional` | | it may be absent |
    /// | `name` | the type's, in kebab case | its id |
    secret => Secret;
    /// Declares settings, on a struct whose fields they are: `#[config]`, with `#[default(…)]` on fields that have one.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `validate` | | a function `fn(&Self) -> Result<(), E>` that has the last word |
    /// | `name` | the type's, in kebab case | its id |
    config => Config;
    /// Declares hosts outside the app, on a unit struct: `#[external(hosts = ["api.example.com:443"])]`.
    ///
    /// | option | default | |
    /// |---|---|---|
    /// | `hosts` | | names, with a port unless it is 443 |
    /// | `name` | the type's, in kebab case | its id |
    external => External;
    /// Makes a parameter of `#[http]` handlers: on an `async fn` that returns `Result<T>`. Its capabilities are grants of
    /// every handler that takes a `T`.
    extractor => Extractor;
    /// Makes a type travel, as a message, a value or an argument: `Clone`, `Debug`, `Serialize`, `Deserialize` and
    /// `JsonSchema`, unless the type derives them itself.
    data => Data;
}

/// Makes a struct of capabilities a group, which handlers take as `With<Deps>`.
#[proc_macro_derive(Capabilities)]
pub fn capabilities(item: TokenStream) -> TokenStream {
    let Ok(annotated) = Annotated::parse(item.into()) else { return TokenStream::new() };
    let (group, diagnostics) = updraft_syntax::capabilities(annotated.as_item());
    let errors: Tokens = diagnostics.iter().map(Diagnostic::to_compile_error).collect();
    let group = group.map(|group| group::capabilities(&group));
    quote!(#group #errors).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of an option that no attribute has: which ones it does have.
    fn options(attribute: Attribute) -> Vec<String> {
        let item = if attribute.is_resource() {
            quote!(
                struct Strange;
            )
        } else {
            quote!(
                fn strange() {}
            )
        };
        let annotated = Annotated::parse(item).unwrap();
        let arguments = quote!(zzzzzzzz = 1);
        let (_, found) = updraft_syntax::parse(attribute, Span::call_site(), arguments, annotated.as_item());
        let help: String = found
            .iter()
            .filter(|found| found.code == updraft_syntax::codes::UNKNOWN_OPTION)
            .filter_map(|found| found.help.clone())
            .collect();
        help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn each_option_is_explained_and_no_other() {
        let source = include_str!("lib.rs");
        let source = &source[source.find("\nattributes! {").unwrap()..];
        let mut seen = 0;
        for attribute in Attribute::ALL {
            let end = source.find(&format!("    {} => ", attribute.name())).unwrap();
            let docs = source[..end].rsplit(";\n").next().unwrap();
            let rows = docs.lines().filter_map(|line| line.trim().strip_prefix("/// | `"));
            let cells = rows.filter_map(|row| row.split(" | ").next());
            let mut explained: Vec<String> =
                cells.flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned())).collect();
            let mut options = options(attribute);
            explained.sort();
            options.sort();
            assert_eq!(explained, options, "{attribute:?}");
            seen += options.len();
        }
        assert!(seen > 60, "{seen}");
    }
}
