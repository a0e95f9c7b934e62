//! Whatever the source, it is reported or compiled: no panic, no overflow, no span outside a file.

use super::fixture;
use crate::render::{self, Style};
use crate::{Request, proof};
use proptest::prelude::*;

/// A program with a bit of everything.
const PROGRAM: &str = r#"//- src/main.rs
use updraft::prelude::*;
mod inner;
updraft::main!(audit);
//- src/inner.rs
//! Straße – 日本語
use super::*;
use audit::{self as other, Orders, *};
/// What is left.
#[store(key = String, value = u32, ttl = "5m", name = "left")]
pub struct Stock;
#[topic(message = u32, attributes(region))]
pub struct Shipped;
pub type Reader<T> = Store<T, ReadOnly>;
#[derive(Clone, Capabilities)]
pub struct Deps { stock: Reader<Stock>, #[cfg(feature = "mail")] orders: Queue<Orders> }
#[http(get, "/stock/{sku}", timeout = "5s")]
#[cfg_attr(unix, http(put, "/stock/{sku}", name = "shop::put"))]
pub async fn stock(Path(sku): Path<String>, With(deps): With<Deps>, quote: Function<quote>) -> Result<String> { if a < b { c } else { d } }
#[consumer(other::Orders, retries = 3)]
async fn ship(order: u32, shipped: Topic<Shipped>) -> Result<()> { m! { a => { b } }; Ok(()) }
#[subscriber(Shipped, when(region = "eu"))]
async fn mail(shipped: u32) -> Result<()> { Ok(()) }
#[schedule("0 3 * * 1-5", timezone = "Europe/Berlin")]
async fn nightly(tick: Tick, orders: Queue<Orders>) -> Result<()> { Ok(()) }
#[function(type = Quote)]
async fn quote(sku: String) -> Result<u32> { Ok(1) }
impl Stock { const A: [u8; 2] = [1, 2]; fn f<const N: usize>(&self) -> B<{ N }> { x } }
macro_rules! m { ($($x:tt)*) => {}; }
//- audit/src/lib.rs
#![allow(unused)]
use updraft::{queue, http as route, prelude::*};
#[queue(message = u32, delay)]
pub struct Orders;
struct User;
#[extractor]
async fn user(headers: HeaderMap) -> Result<User> { x }
#[route(get, "/audit")]
async fn audit(user: Option<User>) -> String { x }
//- Updraft.toml
[app]
name = "shop"
[bindings]
store = { engine = "redis", url_secret = "redis-url", network = { namespace = "data", pods = { app = "redis" } } }
[placement]
default = "module"
groups.front = ["shop::inner::stock"]
[target.knative]
scale = { min = 1 }
"#;

/// Everything that is made of a program is made, and every place lies in its file.
fn survives(text: &str) {
    let fixture = fixture(text);
    let checked = crate::check(&fixture.program, &Request::default(), &fixture);
    for diagnostic in &checked.diagnostics {
        assert!(!render::human(diagnostic, &checked.sources, &Style { color: false, width: 80 }).is_empty());
        for label in &diagnostic.labels {
            let file = checked.sources.text(&label.place.file).expect("a file that was read");
            assert!(file.get(label.place.start..label.place.end).is_some(), "{label:?}");
        }
        render::json(diagnostic);
    }
    crate::graph::views::tree(&checked);
    crate::graph::views::mermaid(&checked);
    crate::graph::views::dot(&checked);
    assert_eq!(proof::descriptors(&checked.app, crate::descriptors::of(&checked.app)), []);
}

#[test]
fn the_program_itself_is_right() {
    let checked = super::check(PROGRAM);
    let codes: Vec<&str> = checked.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    // `quote` is called by its function's name, but its type is `Quote`.
    assert_eq!(codes, ["UD0111"]);
}

/// Where something may be put in or taken out.
fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at % (text.len() + 1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_taken_out_put_in_and_swapped(edits in prop::collection::vec((any::<usize>(), 0..40usize, 0..14usize), 1..5)) {
        const PIECES: [&str; 14] =
            ["", "(", ")", "{", "}", "<", ">", "\"", "'", "#[", "]", "::", " r#\"", "\u{feff}ß日"];
        let mut text = PROGRAM.to_owned();
        for (at, length, piece) in edits {
            let start = boundary(&text, at);
            let end = text.floor_char_boundary((start + length).min(text.len())).max(start);
            text.replace_range(start..end, PIECES[piece]);
        }
        survives(&text);
    }

    #[test]
    fn lines_moved_about(from in any::<usize>(), to in any::<usize>(), count in 1..6usize) {
        let mut lines: Vec<&str> = PROGRAM.lines().collect();
        let from = from % lines.len();
        let moved: Vec<&str> = lines.drain(from..(from + count).min(lines.len())).collect();
        let to = to % (lines.len() + 1);
        lines.splice(to..to, moved);
        survives(&lines.join("\n"));
    }
}

#[test]
fn what_would_overflow_a_stack_is_refused() {
    let deep = |open: &str, middle: &str, close: &str| {
        let text = format!(
            "#[http(get, \"/\")]\nasync fn index() {{ {}{middle}{} }}",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        survives(&text);
        let text = format!("type A = {}{middle}{};", open.repeat(50_000), close.repeat(50_000));
        survives(&text);
        let text =
            format!("#[http(get, {}{middle}{})] async fn index() {{}}", open.repeat(50_000), close.repeat(50_000));
        survives(&text);
    };
    deep("(", "1", ")");
    deep("{", "", "}");
    deep("A<", "B", ">");
    deep("&", "u8", "");
    deep("!", "x", "");
    deep("[", "u8", "]");
    deep("fn() -> ", "u8", "");
    deep("if x {} else ", "{}", "");
    survives(&format!("use {}a{};", "a::{".repeat(50_000), "}".repeat(50_000)));
    survives(&format!("use {}a;", "a::".repeat(50_000)));
    survives(&format!("{} mod a {{ {} }}", "mod a {".repeat(150), "}".repeat(150)));
}

#[test]
fn circles_end() {
    for text in [
        "use self::a as b; use self::b as a; #[b(get, \"/\")] async fn x(y: a) {}",
        "type A = B; type B = A; #[http(get, \"/\")] async fn x(y: A, z: Store<A>) {}",
        "type A<T> = B<T>; type B<T> = A<A<T>>; #[http(get, \"/\")] async fn x(y: A<u8>) {}",
        "mod a { pub use super::b::*; } mod b { pub use super::a::*; } use a::*; #[http(get, \"/\")] async fn x(y: Nothing) {}",
        "#[derive(Capabilities)] struct A { a: With<A> } #[http(get, \"/\")] async fn x(y: With<A>) {}",
        "struct U; #[extractor] async fn u(u: U) -> Result<U> { x } #[http(get, \"/\")] async fn x(y: U) {}",
        "#[path = \"main.rs\"] mod again; #[http(get, \"/\")] async fn x() {}",
        "use super::super::x; use crate::super::y; use self::self::z; #[http(get, \"/\")] async fn x(a: super::B) {}",
    ] {
        survives(text);
    }
}
