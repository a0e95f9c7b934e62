//! A crate with handlers that the program does not name: Rust would leave them out without a word.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0203",
        title: "a crate holds handlers that the program does not name",
        text: "A dependency that nobody mentions is not linked, and its handlers would vanish without a word: a package's own library too, \
               when main.rs holds only `updraft::main!()`. So the program names every crate with handlers.",
        wrong: "//- src/main.rs\nupdraft::main!();\n//- src/lib.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
        right: "//- src/main.rs\nupdraft::main!(shop);\n//- src/lib.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let Some(main) = &context.lowered.main else { return };
    let mut all: Vec<&str> = context.app.crates.iter().map(String::as_str).collect();
    all.extend(context.lowered.unnamed.keys().map(String::as_str));
    for (krate, handlers) in &context.lowered.unnamed {
        let count = match handlers.len() {
            1 => "a handler".to_owned(),
            many => format!("{many} handlers"),
        };
        let mut diagnostic = Diagnostic::error(
            RULE.page.code,
            format!("the crate `{krate}` holds {count}, but the program does not name it"),
        )
        .label(main, format!("`{krate}` is missing here"));
        if let Some(first) = handlers.first() {
            diagnostic = diagnostic.label(first, "would not be linked");
        }
        sink.push(diagnostic.help(format!("write `updraft::main!({});`", all.join(", "))));
    }
}
