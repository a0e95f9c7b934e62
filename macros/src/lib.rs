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
    http => Http;
    /// Takes the messages of a queue: `#[consumer(Orders, retries = 5, timeout = "60s")]`. The message is the first
    /// parameter.
    consumer => Consumer;
    /// Takes the messages of a topic: `#[subscriber(Shipped, when(region = "eu"), retries = 5, timeout = "60s")]`. The
    /// message is the first parameter.
    subscriber => Subscriber;
    /// Runs by the clock: `#[schedule("0 3 * * *", timezone = "Europe/Berlin", overlap, missed = "run")]`.
    schedule => Schedule;
    /// Runs for each blob of a bucket that is written or deleted:
    /// `#[object(Uploads, created, prefix = "in/", suffix = ".png", retries = 5, timeout = "60s")]`, or `removed`. The first
    /// parameter is the `Object`.
    object => Object;
    /// Can be called by other handlers, as `Function<name>`: `#[function(idempotent, timeout = "10s", type = Name)]`.
    function => Function;
    /// Adopts an axum router under a prefix: `#[routes("/legacy", timeout = "30s")]` on a `fn` that makes it. Its parameters
    /// are capabilities.
    routes => Routes;
    /// Puts a tower layer round the routes under a path: `#[layer("/admin", order = 1)]` on a `fn` that returns `impl Layer`.
    /// Its parameters are capabilities; of layers round one route, the lowest order is the outermost.
    layer => Layer;
    /// Makes a value once, before the application is ready: on an `async fn` that returns `Result<T>`. Handlers take it as
    /// `Shared<T>`, and have its capabilities' grants with it.
    shared => Shared;
    /// Declares a queue, on a unit struct: `#[queue(message = Order)]`.
    queue => Queue;
    /// Declares a topic, on a unit struct: `#[topic(message = Shipment, attributes(region))]`.
    topic => Topic;
    /// Declares a key–value store, on a unit struct: `#[store(key = String, value = u32, ttl = "1h")]`. With
    /// `partition = String` its keys are `(partition, key)`, and a partition can be scanned in the order of its keys.
    store => Store;
    /// Declares a bucket of blobs, on a unit struct: `#[bucket]`.
    bucket => Bucket;
    /// Declares a PostgreSQL database, on a unit struct: `#[database(migrations = "migrations")]`, where the folder, relative
    /// to the package's Cargo.toml, holds `0001_name.sql`, `0002_…`: they become part of the program.
    ///
    /// It needs updraft's feature `postgres`, which `cargo updraft dev` and `build` turn on by themselves; for plain `cargo`
    /// say in Cargo.toml `updraft = { …, features = ["postgres"] }`.
    database => Database;
    /// Declares a secret, on a unit struct: `#[secret]` or `#[secret(optional)]`.
    secret => Secret;
    /// Declares settings, on a struct whose fields they are: `#[config]`, with `#[default(…)]` on fields that have one and
    /// `validate = path` for a function `fn(&Self) -> Result<(), E>`.
    config => Config;
    /// Declares hosts outside the app, on a unit struct: `#[external(hosts = ["api.example.com:443"])]`.
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
