//! Codes of what can go wrong while files are read: contracts, unique, never reused.

use updraft_syntax::codes::Page;

/// [`PAGES`] says what.
pub const SYNTAX: &str = "UD0101";
/// [`PAGES`] says what.
pub const DEPTH: &str = "UD0102";
/// [`PAGES`] says what.
pub const MODULE: &str = "UD0103";

/// What `explain` says.
pub const PAGES: &[Page] = &[
    Page {
        code: SYNTAX,
        title: "a file is no Rust",
        text: "The file can't be read as Rust from the marked place on. `cargo check` says the same, often in more words. \
               Nothing else of the file is known until then, so handlers in it are missing from every other message.",
        wrong: "#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) ",
        right: "#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) }",
    },
    Page {
        code: DEPTH,
        title: "a file is nested too deeply",
        text: "Delimiters nest more than 200 deep, or one type or attribute goes on for thousands of tokens. No hand writes that; \
               generated code can go into a file of its own that `include!` takes in, which the source view does not read.",
        wrong: "fn f() {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{ }}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) }",
        right: "fn f() { {{ }} }\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) }",
    },
    Page {
        code: MODULE,
        title: "a module has no file",
        text: "`mod orders;` in `src/main.rs` stands for `src/orders.rs` or `src/orders/mod.rs`, `#[path = \"…\"]` for the file that it names. \
               The file must exist, be UTF-8 and not be the declaring file itself.",
        wrong: "mod orders;\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) }",
        right: "mod orders {}\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> Result<()> { Ok(()) }",
    },
];
