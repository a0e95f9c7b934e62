//! Codes of what can go wrong while names are resolved: contracts, unique, never reused.

use updraft_syntax::codes::Page;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal, $wrong:literal, $right:literal;)*) => {
        $(#[doc = $title] pub(crate) const $name: &str = $code;)*

        /// What `explain` says.
        pub(crate) const PAGES: &[Page] = &[$(Page { code: $code, title: $title, text: $text, wrong: $wrong, right: $right },)*];
    };
}

codes! {
    ATTRIBUTE = "UD0110", "an attribute of updraft is not in scope",
        "Attributes are found by name resolution, as rustc finds them. One that is spelled like one of updraft's and comes from nowhere would \
         be overlooked, so it is refused.",
        "//- src/main.rs\nuse updraft::Tick;\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> updraft::Result<()> { Ok(()) }\n#[updraft::schedule(\"0 4 * * *\")]\nasync fn later(tick: Tick) -> updraft::Result<()> { Ok(()) }\nupdraft::main!();",
        "//- src/main.rs\nuse updraft::{Tick, schedule};\n#[schedule(\"0 3 * * *\")]\nasync fn nightly(tick: Tick) -> updraft::Result<()> { Ok(()) }\nupdraft::main!();";
    UNRESOLVED = "UD0111", "a resource can't be found",
        "A capability names its resource by its type: `Queue<Orders>`. The type must be in scope and be declared by an attribute of updraft, \
         outside of macros. What can't be found is an error, because a grant must never be overlooked.",
        "#[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String { String::new() }",
        "#[store(key = String, value = u32)]\nstruct Stock;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String { String::new() }";
    KIND = "UD0112", "a resource is of another kind",
        "Each kind of capability takes resources of that kind: a `Queue<…>` a `#[queue]`, a `Function<…>` a handler with `#[function]`. \
         A queue has consumers, a topic has subscribers.",
        "#[topic(message = u32, external = \"write\")]\nstruct Shipped;\n#[consumer(Shipped)]\nasync fn mail(shipped: u32) -> Result<()> { Ok(()) }\n#[subscriber(Shipped)]\nasync fn log(shipped: u32) -> Result<()> { Ok(()) }",
        "#[topic(message = u32, external = \"write\")]\nstruct Shipped;\n#[subscriber(Shipped)]\nasync fn mail(shipped: u32) -> Result<()> { Ok(()) }";
    TYPE = "UD0113", "a parameter's type can't be found",
        "A parameter's type decides what a handler may reach, so each must be found: imported, declared, or written as a whole path.",
        "//- src/main.rs\nuse updraft::{http, Store};\n#[updraft::store(key = String, value = u32)]\nstruct Stock;\n#[http(get, \"/\")]\nasync fn index(stock: Storage<Stock>) -> String { String::new() }\n#[http(get, \"/stock\")]\nasync fn stock(stock: Store<Stock>) -> String { String::new() }\nupdraft::main!();",
        "//- src/main.rs\nuse updraft::{http, Store};\n#[updraft::store(key = String, value = u32)]\nstruct Stock;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String { String::new() }\nupdraft::main!();";
    ACCESS = "UD0114", "a capability's access is none of updraft's",
        "The second part of a capability is `ReadOnly`, `WriteOnly` or `ReadWrite` of updraft, or an alias of one.",
        "struct Mine;\n#[store(key = String, value = u32)]\nstruct Stock;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock, Mine>) -> String { String::new() }\n#[http(get, \"/all\")]\nasync fn all(stock: Store<Stock>) -> String { String::new() }",
        "type Mine = ReadOnly;\n#[store(key = String, value = u32, external = \"write\")]\nstruct Stock;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock, Mine>) -> String { String::new() }";
    ALIASED = "UD0115", "a capability of a function hides behind an alias",
        "The macro tells a `#[function]`'s capabilities from the arguments that callers send by the name of their type. An alias hides it.",
        "#[store(key = String, value = u32)]\nstruct Stock;\ntype Pieces = Store<Stock>;\n#[function]\nasync fn left(sku: String, stock: Pieces) -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(stock: Store<Stock>) -> String { String::new() }",
        "#[store(key = String, value = u32)]\nstruct Stock;\n#[function]\nasync fn left(sku: String, stock: Store<Stock>) -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(left: Function<left>) -> String { String::new() }";
    GROUP = "UD0116", "`With` takes no group of capabilities",
        "`With<Deps>` takes a struct with `#[derive(Capabilities)]`, whose fields are what the handler may reach.",
        "#[store(key = String, value = u32)]\nstruct Stock;\nstruct Deps { stock: Store<Stock> }\n#[http(get, \"/\")]\nasync fn index(deps: With<Deps>) -> String { String::new() }\n#[http(get, \"/stock\")]\nasync fn stock(stock: Store<Stock>) -> String { String::new() }",
        "#[store(key = String, value = u32)]\nstruct Stock;\n#[derive(Capabilities)]\nstruct Deps { stock: Store<Stock> }\n#[http(get, \"/\")]\nasync fn index(deps: With<Deps>) -> String { String::new() }";
    EXTRACTED = "UD0117", "an extractor's type is not of its own crate",
        "An `#[extractor]` gives its type the grants of its own parameters, which Rust allows for types of the same crate only. \
         It is written by its own name, not through an alias.",
        "#[extractor]\nasync fn user(headers: HeaderMap) -> Result<String> { todo() }\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
        "struct User(String);\n#[extractor]\nasync fn user(headers: HeaderMap) -> Result<User> { todo() }\n#[http(get, \"/\")]\nasync fn index(user: User) -> String { String::new() }";
    INSIDE = "UD0118", "a declaration stands inside a function",
        "Handlers and resources are found by their path in a module; what is inside a function has none.",
        "fn setup() {\n    #[http(get, \"/inner\")]\n    async fn inner() -> String { String::new() }\n}\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
        "#[http(get, \"/inner\")]\nasync fn inner() -> String { String::new() }\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    PRIVATE = "UD0119", "updraft's private parts are used",
        "What the attributes expand to goes through `updraft::__private`. Written by hand it could grant anything to anyone, and it changes with every version.",
        "fn peek() { updraft::__private::v1::open() }\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    RENAMED = "UD0120", "updraft is a dependency under another name",
        "What the attributes expand to says `::updraft`, so that is what the dependency must be called.",
        "//- extern cloud = updraft\n//- src/main.rs\n#[cloud::http(get, \"/\")]\nasync fn index() -> String { String::new() }\ncloud::main!();",
        "//- src/main.rs\n#[updraft::http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();";
    MAIN = "UD0121", "the program never starts updraft",
        "A binary serves its handlers through `updraft::main!()`, which writes `fn main`, or `updraft::run!()` inside a `main` of its own. \
         Crates that hold handlers are named there, because Rust leaves out what nobody mentions.",
        "//- src/main.rs\n#[updraft::http(get, \"/\")]\nasync fn index() -> String { String::new() }\nfn main() {}",
        "//- src/main.rs\n#[updraft::http(get, \"/\")]\nasync fn index() -> String { String::new() }\nfn main() { updraft::run!() }";
    NAMED = "UD0122", "`main!` names a crate that can't hold handlers",
        "`main!` names the crates whose handlers belong to the program: dependencies of its package that use updraft themselves, and the package's own library.",
        "//- src/main.rs\n#[updraft::http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!(audit);",
        "//- src/main.rs\n#[updraft::http(get, \"/\")]\nasync fn index() -> String { String::new() }\nupdraft::main!();";
    SHARED_TWICE = "UD0133", "two functions make the same shared value",
        "A shared value is found by its type: `Shared<ApiClient>`. So one function makes a value of a type, and a second value of the same make \
         is given a type of its own, a struct round it.",
        "struct Client;\n#[shared]\nasync fn client() -> Result<Client> { Ok(Client) }\n#[shared]\nasync fn other() -> Result<Client> { Ok(Client) }\n#[http(get, \"/\")]\nasync fn index(client: Shared<Client>, other: Shared<Client>) -> String { String::new() }",
        "struct Client;\nstruct Other(Client);\n#[shared]\nasync fn client() -> Result<Client> { Ok(Client) }\n#[shared]\nasync fn other() -> Result<Other> { Ok(Other(Client)) }\n#[http(get, \"/\")]\nasync fn index(client: Shared<Client>, other: Shared<Other>) -> String { String::new() }";
}
