//! Copies the shop's sources, and the outbox's relay, each time with one mistake. A place that is gone is an error: then the
//! mistake is planted elsewhere.

use std::path::Path;
use std::{env, fs};

/// What is replaced by what.
type Replacement = (&'static str, &'static str);

/// Name, file, and how it is planted there.
const MISTAKES: [(&str, &str, &[Replacement]); 4] = [
    // Two that read at the same time both write, and one of the writes is lost.
    (
        "read_then_write",
        "warehouse",
        &[
            (
                "let shelf = stock.update(&order.sku, |shelf| {",
                "let found = stock.get(&order.sku).await?; let change = |shelf: Option<Shelf>| {",
            ),
            (
                "    });\n    Ok(shelf.await?.taken",
                "    };\n    let shelf = change(found);\n    stock.put(&order.sku, &shelf).await?;\n    Ok(shelf.taken",
            ),
        ],
    ),
    // The order may be shipped before it is written down as placed, which it is for ever then.
    (
        "effect_before_check",
        "orders",
        &[(
            "progress.insert_new(&order.id, &Status::Placed).await?;\n    orders.send(&order).await?;",
            "orders.send(&order).await?;\n    progress.put(&order.id, &Status::Placed).await?;",
        )],
    ),
    // A message that comes again takes its pieces again.
    (
        "not_idempotent",
        "warehouse",
        &[(
            "if enough && shelf.taken.insert(order.id.clone()) {",
            "if enough {\n            shelf.taken.insert(order.id.clone());",
        )],
    ),
    // A delivery that was slow notes a failure though another one has shipped the order meanwhile.
    (
        "late_write",
        "orders",
        &[(
            "if advance(&progress, &order.id, Status::Failed).await? == Status::Shipped {\n            return Ok(());\n        }",
            "progress.put(&order.id, &Status::Failed).await?;",
        )],
    ),
];

/// What a copy of the relay needs in place of the rest of the runtime.
const RELAY_AROUND: &str = "
/// Stands in for the database.
pub struct Postgres {
    id: &'static str,
    relay: updraft::sqlx::PgPool,
    generation: Generation,
}

impl Postgres {
    pub fn new(id: &'static str, relay: updraft::sqlx::PgPool) -> Self {
        Postgres { id, relay, generation: Generation }
    }

    fn id(&self) -> &str {
        self.id
    }
}

/// Its URL does not change.
struct Generation;

impl Generation {
    fn count(&self) -> u64 {
        0
    }
}

/// Nobody looks.
mod spans {
    pub(super) fn dead_letter(
        _: &updraft::ctx::Ctx,
        _: &str,
        _: &str,
        _: &updraft::engine::Message,
        _: (&str, &str),
    ) {
    }

    pub(super) fn hand_on(_: &updraft::ctx::Ctx, _: updraft::engine::Channel, _: &updraft::engine::Message) {}

    pub(super) fn refused(_: &mut (), _: &updraft::engine::EngineError) {}
}
";

/// What has another name outside of the runtime.
const RELAY_COPIED: [Replacement; 2] = [
    ("telemetry::{TraceContext, spans}", "telemetry::TraceContext"),
    // Outside of it there may be more kinds.
    ("EngineError::Other(_) =>", "_ =>"),
];

/// Name, and how the mistake is planted in the relay.
const RELAY_MISTAKES: [(&str, &[Replacement]); 5] = [
    ("relay_as_it_is", &[]),
    // Whatever the broker says then, and wherever the process ends: the message is gone.
    (
        "relay_sent_before_taken",
        &[(
            "    publishing.await.map_err(|error| {",
            "    let _ = futures_util::FutureExt::now_or_never(publishing);\n    Ok(()).map_err(|error: EngineError| {",
        )],
    ),
    (
        "relay_letter_forgotten",
        &[(
            "give_up(ctx, channel, &message, &failure, row.refusals).await.map_err(Refusal::Waits)?;",
            "let _ = give_up(ctx, channel, &message, &failure, row.refusals).await;",
        )],
    ),
    (
        "relay_key_overtaken",
        &[(
            "outbox::wait(&mut transaction, &row, refused, reason, pause).await?;\n                    held.extend(lane);",
            "outbox::wait(&mut transaction, &row, refused, reason, pause).await?;",
        )],
    ),
    // A broker that is away for long has messages given up that it never refused.
    ("relay_outage_counts", &[("let refused = matches!(refusal, Refusal::Counts(_));", "let refused = true;")]),
];

fn main() {
    shop();
    relay();
}

fn relay() {
    let postgres = Path::new("../../runtime/src/engines/postgres");
    let module = |name: &str| {
        let file = postgres.join(format!("{name}.rs"));
        println!("cargo::rerun-if-changed={}", file.display());
        let source = without_tests(&fs::read_to_string(file).expect("a module of the runtime"));
        source.replace("crate::", "updraft::")
    };
    let (outbox, relay) = (module("outbox"), planted(&module("relay"), &RELAY_COPIED));
    for (name, mistake) in RELAY_MISTAKES {
        let relay = planted(&relay, mistake);
        let copy = format!(
            "#[allow(dead_code, unused_imports, clippy::all)]\nmod copied {{\n{RELAY_AROUND}\n\
             pub mod outbox {{\nuse updraft::sqlx;\n{outbox}}}\n\
             pub mod relay {{\nuse super::spans;\nuse updraft::sqlx;\n{relay}}}\n}}\n"
        );
        write(name, &copy);
    }
}

/// With each replaced, which is there once.
fn planted(source: &str, replacements: &[Replacement]) -> String {
    let mut source = source.to_owned();
    for (right, wrong) in replacements {
        assert_eq!(source.matches(right).count(), 1, "`{right}` is not there once");
        source = source.replace(right, wrong);
    }
    source
}

fn write(name: &str, copy: &str) {
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join(format!("{name}.rs")), copy).expect("written");
}

fn shop() {
    let shop = Path::new("../../examples/shop/src");
    println!("cargo::rerun-if-changed={}", shop.display());
    let library = fs::read_to_string(shop.join("lib.rs")).expect("the shop's library");
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for (name, file, replacements) in MISTAKES {
        let mut copy = String::new();
        for module in &modules {
            let source = fs::read_to_string(shop.join(format!("{module}.rs"))).expect("a module of the shop");
            let source = without_tests(&source);
            let source = if *module == file { planted(&source, replacements) } else { source };
            copy.push_str(&format!("pub mod {module} {{\n{source}}}\n"));
        }
        write(name, &copy);
    }
}

/// A module's items: what is said of the file can't stand inside of another, and its unit tests are the shop's.
fn without_tests(source: &str) -> String {
    let items = source.split("#[cfg(test)]").next().unwrap_or_default();
    items.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect()
}
