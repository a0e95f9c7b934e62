//! Codes of placement: contracts, unique, never reused.

use updraft_syntax::codes::Page;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal, $wrong:literal, $right:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// What `explain` says.
        pub const PAGES: &[Page] = &[$(Page { code: $code, title: $title, text: $text, wrong: $wrong, right: $right },)*];
    };
}

codes! {
    MEMBER = "UD0310", "a group names nothing",
        "A group in `[placement]` holds handlers (`shop::billing::charge`), modules (`shop::billing`) or crates (`audit`), by their paths.",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.front = [\"shop::indx\"]",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.front = [\"shop::index\"]";
    TWICE = "UD0311", "a handler is in two groups",
        "A handler runs in one unit. Where a group names its module and another the handler itself, the handler's wins; \
         two groups with the same claim are an error. (A `#[function]` may run in several units, but a group gives it one.)",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.front = [\"shop::index\"]\ngroups.back = [\"shop::index\"]",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.front = [\"shop::index\"]\ngroups.back = []";
    NAME = "UD0312", "a unit's name can't be carried by a cloud",
        "Units name objects: services, accounts, policies. Names are kept as they are or refused, never cut or changed silently. \
         A unit takes its name from a group, a module, a crate or (with `default = \"handler\"`) a handler.",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.Front_End = [\"shop::index\"]",
        "//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[placement]\ngroups.front-end = [\"shop::index\"]";
    COLLISION = "UD0313", "two units would have one name",
        "Two different origins (a group and a module, two modules whose names differ only in `_`, the module `web` and the public routes) \
         would become one unit by accident, with the union of their grants.",
        "//- src/main.rs\nuse updraft::prelude::*;\nmod web {\n    use updraft::prelude::*;\n    #[schedule(\"0 3 * * *\")]\n    async fn nightly(tick: Tick) -> Result<()> { Ok(()) }\n}\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();",
        "//- src/main.rs\nuse updraft::prelude::*;\nmod reports {\n    use updraft::prelude::*;\n    #[schedule(\"0 3 * * *\")]\n    async fn nightly(tick: Tick) -> Result<()> { Ok(()) }\n}\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();";
}
