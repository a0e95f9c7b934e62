//! Codes of what can be wrong with `Updraft.toml`: contracts, unique, never reused.

use updraft_syntax::codes::Page;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal, $wrong:literal, $right:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// What `explain` says. The examples are the file itself.
        pub const PAGES: &[Page] = &[$(Page {
            code: $code,
            title: $title,
            text: $text,
            wrong: concat!("//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n", $wrong),
            right: concat!("//- src/main.rs\nuse updraft::prelude::*;\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n", $right),
        },)*];
    };
}

codes! {
    TOML = "UD0301", "Updraft.toml is no TOML",
        "The file can't be read from the marked place on.",
        "[app]\nname = shop",
        "[app]\nname = \"shop\"";
    KEY = "UD0302", "Updraft.toml has no such key",
        "Unknown keys are errors, because a misspelt one would otherwise be a setting that silently does nothing. \
         `updraft::settings`, a page of the documentation, has all that there are.",
        "[app]\nnmae = \"shop\"",
        "[app]\nname = \"shop\"";
    VALUE = "UD0303", "a setting's value is of the wrong kind",
        "Each key takes one kind of value: a text, a number, a list, a table, or one of a few words.",
        "[placement]\ndefault = \"modules\"",
        "[placement]\ndefault = \"module\"";
    ENV = "UD0304", "there is no such environment",
        "`--env prod` applies the overrides of `[env.prod]`, which may hold any setting again.",
        "//- env prod\n[env.production.app]\nname = \"shop\"",
        "//- env prod\n[env.prod.app]\nname = \"shop\"";
    ENGINE = "UD0305", "a binding's engine is unknown or incomplete",
        "A binding says which engine implements a resource, and what that engine needs to be reached. Credentials are ids of secrets, never values.",
        "[bindings]\nstore = { engine = \"redis\" }",
        "[bindings]\nstore = { engine = \"redis\", url_secret = \"redis-url\" }";
}
