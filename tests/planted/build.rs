//! Copies the shop's sources, each time with one mistake. A place that is gone is an error: then the mistake is planted
//! elsewhere.

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

fn main() {
    let shop = Path::new("../../examples/shop/src");
    println!("cargo::rerun-if-changed={}", shop.display());
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    let library = fs::read_to_string(shop.join("lib.rs")).expect("the shop's library");
    let modules: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for (name, file, replacements) in MISTAKES {
        let mut copy = String::new();
        for module in &modules {
            let source = fs::read_to_string(shop.join(format!("{module}.rs"))).expect("a module of the shop");
            let mut source = without_tests(&source);
            if *module == file {
                for (right, wrong) in replacements {
                    assert_eq!(source.matches(right).count(), 1, "{module}.rs: `{right}` is not there once");
                    source = source.replace(right, wrong);
                }
            }
            copy.push_str(&format!("pub mod {module} {{\n{source}}}\n"));
        }
        fs::write(Path::new(&out).join(format!("{name}.rs")), copy).expect("written");
    }
}

/// A module's items: what is said of the file can't stand inside of another, and its unit tests are the shop's.
fn without_tests(source: &str) -> String {
    let items = source.split("#[cfg(test)]").next().unwrap_or_default();
    items.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect()
}
