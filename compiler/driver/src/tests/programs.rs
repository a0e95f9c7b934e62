//! Programs and what is made of them: source, findings and result in one snapshot.

use super::{check, codes, report};

macro_rules! snapshot {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(report($text))
        })
    };
}

#[test]
fn names_are_followed_wherever_they_lead() {
    snapshot!(
        r#"//- src/main.rs
mod names;
mod handlers { pub mod inner; }
updraft::main!(audit);
//- src/names.rs
pub use updraft::{Queue as Q, http as route, store};
pub use self::deep::Stock as Pieces;
pub mod deep {
    use super::*;
    #[store(key = String, value = u32)]
    pub struct Stock;
}
pub type Outgoing = Q<audit::Orders>;
pub type Reader<T> = updraft::Store<T, updraft::ReadOnly>;
pub type Twice<T> = Reader<T>;
//- src/handlers/inner.rs
use crate::names::*;
use updraft::function;
#[route(get, "/")]
async fn index(out: Outgoing, stock: Twice<Pieces>, again: Q<audit::Orders>) -> String { String::new() }
#[cfg_attr(unix, route(put, "/stock"))]
async fn put(stock: updraft::Store<super::super::names::deep::Stock>, price: updraft::Function<Price>) -> String { String::new() }
#[function(type = Price)]
async fn price(sku: String) -> updraft::Result<u32> { Ok(0) }
#[cfg(windows)]
#[route(get, "/nowhere")]
async fn nowhere() -> String { String::new() }
//- audit/src/lib.rs
use updraft::prelude::*;
#[queue(message = u32)]
pub struct Orders;
#[consumer(Orders, timeout = "2m")]
async fn audit(order: u32, delivery: Delivery) -> Result<()> { Ok(()) }
"#
    );
}

#[test]
fn a_bucket_runs_handlers_for_its_objects() {
    snapshot!(
        r#"
#[bucket(external = "write")]
struct Uploads;
#[queue(message = u32, external = "write")]
struct Orders;
#[object(Uploads, created, prefix = "in/", suffix = ".png", timeout = "2m")]
async fn thumbnail(object: Object, uploads: Bucket<Uploads>) -> Result<()> { Ok(()) }
#[object(Uploads, removed, retries = 1)]
async fn forget(object: Object, uploads: Bucket<Uploads, WriteOnly>) -> Result<()> { Ok(()) }
#[object(Uploads, created)]
async fn endless(object: Object, uploads: Bucket<Uploads, WriteOnly>) -> Result<()> { Ok(()) }
#[object(Orders, created)]
async fn wrong(object: Object, orders: Queue<Orders>) -> Result<()> { Ok(()) }
#[consumer(Orders)]
async fn ship(order: u32) -> Result<()> { Ok(()) }
"#
    );
}

#[test]
fn groups_and_extractors_join_whoever_takes_them() {
    snapshot!(
        r#"
#[secret]
struct Key;
#[store(key = String, value = u32)]
struct Stock;
#[queue(message = u32, external = "read")]
struct Orders;
struct User;
#[extractor]
async fn user(headers: HeaderMap, key: Secret<Key>) -> Result<User, StatusCode> { todo() }
struct Admin;
#[extractor]
async fn admin(user: User, stock: Store<Stock, ReadOnly>) -> Result<Admin> { todo() }
#[derive(Capabilities)]
struct Deps { stock: Store<Stock>, #[cfg(windows)] key: Secret<Key>, orders: Queue<Orders> }
type Group = With<Deps>;

#[http(get, "/me")]
async fn me(user: Option<User>) -> String { String::new() }
#[http(get, "/admin")]
async fn administer(admin: Result<Admin, StatusCode>, json: Json<User>) -> String { String::new() }
#[http(post, "/")]
async fn place(deps: Group) -> String { String::new() }
"#
    );
}

#[test]
fn both_ends_of_an_edge_are_shown() {
    snapshot!(
        r#"//- src/main.rs
use updraft::prelude::*;
mod shipping;
#[queue(message = u32)]
pub struct Orders;
#[topic(message = u32)]
pub struct Shipped;
#[http(post, "/orders")]
async fn place(orders: Queue<Orders>, shipped: Queue<Shipped>) -> String { String::new() }
updraft::main!();
//- src/shipping.rs
use crate::{Orders, Shipped};
use updraft::prelude::*;
#[consumer(Shipped, retires = 3)]
async fn mail(shipped: u32) -> Result<()> { Ok(()) }
#[subscriber(Orders)]
fn ship(order: u32) -> Result<()> { Ok(()) }
#[consumer(Orders)]
async fn bill(order: u32, quote: Function<quote>) -> Result<()> { Ok(()) }
#[function(timeout = "5m")]
async fn quote(sku: String, stock: Store<Stok>) -> Result<u32> { Ok(0) }
"#
    );
}

#[test]
fn placement_by_module_and_by_group() {
    snapshot!(
        r#"//- src/main.rs
use updraft::prelude::*;
updraft::main!(shop, audit);
//- src/lib.rs
use updraft::prelude::*;
#[queue(message = u32)]
pub struct Orders;
#[topic(message = u32)]
pub struct Shipped;
#[http(post, "/")]
async fn place(orders: Queue<Orders>, price: Function<pricing::price>) -> String { String::new() }
pub mod pricing {
    use updraft::prelude::*;
    #[function]
    pub async fn price(rate: Function<rate>) -> Result<u32> { Ok(0) }
    #[function]
    pub async fn rate() -> Result<u32> { Ok(0) }
}
pub mod shipping {
    use crate::*;
    #[consumer(Orders)]
    async fn ship(order: u32, shipped: Topic<Shipped>, rate: Function<pricing::rate>) -> Result<()> { Ok(()) }
    mod mail {
        use super::*;
        #[subscriber(Shipped)]
        async fn mail(shipped: u32) -> Result<()> { Ok(()) }
    }
}
//- audit/src/lib.rs
use updraft::prelude::*;
#[schedule("0 3 * * *")]
async fn nightly() -> Result<()> { Ok(()) }
//- Updraft.toml
[app]
name = "market"
[placement]
groups.mail = ["shop::shipping::mail"]
"#
    );
}

#[test]
fn what_is_made_once_joins_the_units_that_need_it() {
    snapshot!(
        r#"//- src/main.rs
use updraft::prelude::*;
updraft::main!(shop);
//- src/lib.rs
use updraft::prelude::*;
use serde::State;
#[queue(message = u32)]
pub struct Orders;
#[secret]
pub struct ApiKey;
#[store(key = String, value = u32)]
pub struct Stock;
#[store(key = String, value = u32)]
pub struct Visits;
pub struct Client;
#[shared]
async fn client(key: Secret<ApiKey>) -> Result<Client> { todo() }
pub struct Cache;
#[shared(timeout = "5s", name = "shop::cache_of_items")]
async fn cache(client: Shared<Client>, stock: Store<Stock, ReadOnly>) -> Result<Cache> { todo() }
pub struct Idle;
#[shared]
async fn idle() -> Result<Idle> { todo() }
#[layer("/")]
fn trace() -> impl Layer { todo() }
#[layer("/admin", order = 1)]
fn visits(visits: Store<Visits>) -> impl Layer { todo() }
#[layer("/nowhere", order = 1)]
fn nowhere() -> impl Layer { todo() }
#[http(post, "/orders")]
async fn place(orders: Queue<Orders>, state: State<Client>) -> String { String::new() }
#[http(put, "/admin/stock")]
async fn count(stock: Store<Stock>) -> String { String::new() }
#[routes("/legacy", timeout = "5s")]
fn legacy(stock: Store<Stock>, client: Shared<Client>) -> axum::Router { todo() }
pub mod shipping {
    use crate::*;
    #[consumer(Orders)]
    async fn ship(order: u32, cache: Shared<Cache>) -> Result<()> { Ok(()) }
}
"#
    );
}

#[test]
fn what_is_made_once_and_is_wrong() {
    snapshot!(
        r#"
struct A;
#[shared]
async fn a(b: Shared<B>) -> Result<A> { todo() }
struct B;
#[shared]
async fn b(a: Shared<A>) -> Result<B> { todo() }
struct C;
#[shared]
async fn of_another_crate() -> Result<serde::Thing> { todo() }
#[layer("/")]
fn outer() -> impl Layer { todo() }
#[layer("/x")]
fn inner() -> impl Layer { todo() }
#[layer("/y")]
async fn waits() -> impl Layer { todo() }
#[routes("/old")]
fn old() -> Router { todo() }
#[routes("/old")]
fn older() -> Router { todo() }
#[http(get, "/x")]
async fn index(a: Shared<A>, c: Shared<C>, d: Shared<D>) -> String { String::new() }
#[http(get, "/y")]
async fn why(a: Shared<A>) -> String { String::new() }
"#
    );
}

#[test]
fn settings_are_checked_in_every_environment() {
    snapshot!(
        r#"//- env prod
//- src/main.rs
use updraft::prelude::*;
#[http(get, "/")]
async fn index() -> String { String::new() }
updraft::main!();
//- Updraft.toml
[app]
name = 7
[bindings]
store = { engine = "rediss", url_secret = "x" }
bucket = { engine = "s3", bukket = "b", region = "eu" }
[placement]
default = "modul"
grups = {}
[target.knative]
schedules = "cronjob"
scale = { min = -1, max = "two" }
[env.prod.target.knative]
namespace = "prod"
[env.staging.target.kntive]
namespace = "staging"
"#
    );
}

/// A Secret that is there may hold what an engine is reached with, whoever asks for that engine.
#[test]
fn credentials_of_every_engine_may_be_adopted() {
    let redis = "{ engine = \"redis\", url_secret = \"redis-url\" }";
    for bound in ["bindings.store", "bindings.resource.stock", "bindings.once", "target.knative.dead_letters"] {
        let (table, key) = bound.rsplit_once('.').unwrap();
        let text = format!(
            "//- src/main.rs\nuse updraft::prelude::*;\n#[store(key = String, value = u32)]\nstruct Stock;\n\
             #[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String {{ String::new() }}\nupdraft::main!();\n\
             //- Updraft.toml\n[{table}]\n{key} = {redis}\n[secrets.redis-url]\nkubernetes = {{ name = \"redis\" }}\n"
        );
        let found = check(&text).diagnostics;
        let found: Vec<&str> = found.iter().map(|found| found.code).filter(|code| *code == "UD0210").collect();
        assert_eq!(found, Vec::<&str>::new(), "{bound}");
    }
}

#[test]
fn a_byte_order_mark_and_a_shebang_shift_nothing() {
    for prefix in ["", "\u{feff}", "#!/usr/bin/env run\n", "\u{feff}#!/usr/bin/env run\n", "#![allow(unused)]\n"] {
        let text = format!(
            "//- src/main.rs\n{prefix}use updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String {{ String::new() }}\nupdraft::main!();\n"
        );
        let checked = check(&text);
        let [one] = &checked.diagnostics[..] else { panic!("{prefix:?}: {:?}", checked.diagnostics) };
        let place = &one.labels[0].place;
        let file = checked.sources.text("src/main.rs").unwrap();
        assert_eq!(&file[place.start..place.end], "Stock", "{prefix:?}");
    }
}

#[test]
fn modules_are_found_as_rustc_finds_them() {
    let text = r#"//- src/main.rs
mod a;
#[path = "elsewhere/x.rs"] mod b;
mod inline { mod c; #[path = "y.rs"] mod d; }
#[cfg(feature = "off")] mod missing;
updraft::main!();
//- src/a/mod.rs
mod deep;
//- src/a/deep.rs
#[updraft::http(get, "/deep")] async fn deep() {}
//- src/elsewhere/x.rs
mod sibling;
//- src/elsewhere/x/sibling.rs
#[updraft::http(get, "/wrong")] async fn sibling() {}
//- src/elsewhere/sibling.rs
#[updraft::http(get, "/sibling")] async fn sibling() {}
//- src/inline/c.rs
#[updraft::http(get, "/c")] async fn c() {}
//- src/inline/y.rs
#[updraft::http(get, "/d")] async fn d() {}
"#;
    let checked = check(text);
    let ids: Vec<&str> = checked.app.handlers.iter().map(|handler| handler.id.as_str()).collect();
    assert_eq!(checked.diagnostics, []);
    assert_eq!(ids, ["shop::a::deep::deep", "shop::b::sibling::sibling", "shop::inline::c::c", "shop::inline::d::d"]);
}

#[test]
fn a_resource_of_a_crate_that_nobody_mentions_is_not_linked() {
    let with = |mention: &str| {
        let text = format!(
            "//- src/main.rs\n{mention}\n#[updraft::http(get, \"/\")] async fn index() {{}}\nupdraft::main!();\n//- model/src/lib.rs\n#[updraft::bucket(external = \"read\")] pub struct Reports;\n"
        );
        check(&text).app.resources.len()
    };
    assert_eq!(with(""), 0);
    assert_eq!(with("use model as _;"), 1);
    assert_eq!(with("fn f() { let _ = model::Reports; }"), 1);
}

#[test]
fn what_only_looks_like_ours_is_not() {
    assert_eq!(
        codes(
            "//- src/main.rs\nuse serde::http;\nuse serde::*;\n#[http(get, \"/x\")] fn other() {}\n#[updraft::http(get, \"/\")] async fn index(config: serde::Config<u8>) {}\nupdraft::main!();"
        ),
        [""; 0]
    );
    // A `*` import of a crate that can't be looked into may bring anything.
    assert_eq!(
        codes(
            "//- src/main.rs\nuse serde::*;\n#[http(get, \"/x\")] fn other() {}\n#[updraft::http(get, \"/\")] async fn index() {}\nupdraft::main!();"
        ),
        ["UD0110"]
    );
    // `http` is an attribute of the prelude and here a crate as well.
    assert_eq!(
        codes("#[http(get, \"/\")] async fn index(headers: serde::http::HeaderMap) -> serde::Json<u8> { todo() }"),
        [""; 0]
    );
}

#[test]
fn run_in_a_main_of_ones_own() {
    let text = "//- src/main.rs\nfn main() -> std::process::ExitCode { setup(); updraft::run!(audit) }\n//- audit/src/lib.rs\n#[updraft::http(get, \"/\")] async fn index() {}\n";
    let checked = check(text);
    assert_eq!((checked.diagnostics.len(), &checked.app.crates[..]), (0, &["audit".to_owned()][..]));
}
