//! Codes of this crate's diagnostics: contracts, unique, never reused. Each has a page, which `explain` prints and whose
//! examples are tests: the wrong one gives exactly that code, the right one nothing.

/// What `cargo updraft explain CODE` says.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// `UD0001`.
    pub code: &'static str,
    /// A line.
    pub title: &'static str,
    /// A paragraph or two.
    pub text: &'static str,
    /// A program that gets this code and no other.
    pub wrong: &'static str,
    /// The same program as it should be.
    pub right: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $text:literal, $wrong:literal, $right:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// All pages, by code.
        pub const PAGES: &[Page] = &[
            $(Page { code: $code, title: $title, text: $text, wrong: $wrong, right: $right },)*
        ];
    };
}

/// A database has no migrations. Its page, like those of the next two, is the rule's of the source view, which shows files.
pub const NO_MIGRATIONS: &str = "UD0220";
/// A migration's file has no name of one.
pub const MIGRATION_NAME: &str = "UD0221";
/// Migrations' numbers have a gap, or one twice.
pub const MIGRATION_ORDER: &str = "UD0222";

codes! {
    ARGUMENTS = "UD0001", "something in an attribute's parentheses is no option",
        "After what comes first (a method and a path, a queue, a cron expression), everything in an attribute's parentheses is an option: \
         `name = value`, `name(…)`, or a flag's name alone, separated by commas.",
        "#[consumer(Orders, 5)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders, retries = 5)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    UNKNOWN_OPTION = "UD0002", "an attribute has no such option",
        "Options that are not known are refused rather than ignored: a misspelt `timeout` must not become the default.",
        "#[consumer(Orders, retires = 5)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders, retries = 5)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    MISSING = "UD0003", "an attribute lacks something that it needs",
        "Some parts have no sensible default: a queue's message type, a route's path, a schedule's time.",
        "#[queue]\nstruct Orders;",
        "#[queue(message = Order)]\nstruct Orders;";
    TWICE = "UD0004", "an option is given twice",
        "Which of the two should hold?",
        "#[consumer(Orders, retries = 5, retries = 3)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders, retries = 3)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    VALUE = "UD0005", "an option's value is of the wrong kind",
        "Each option takes one kind of value: a text in quotes, a number, a type, a list.",
        "#[consumer(Orders, retries = \"5\")]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders, retries = 5)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    ITEM = "UD0006", "an attribute stands on the wrong kind of item",
        "Triggers stand on functions. Resources stand on unit structs, because a resource is a name and holds no data; \
         only a config is a struct with fields, which are its values.",
        "#[queue(message = Order)]\nstruct Orders { size: u32 }",
        "#[queue(message = Order)]\nstruct Orders;";
    NAME = "UD0007", "a `name = \"…\"` can't be a name",
        "`name` keeps an id when the item is renamed. Resources are named in kebab case (`mailer-key`), \
         handlers by a path (`shop::orders::ship`).",
        "#[queue(message = Order, name = \"Old Orders\")]\nstruct Orders;",
        "#[queue(message = Order, name = \"old-orders\")]\nstruct Orders;";
    DURATION = "UD0008", "a text is no duration, or one that is too long",
        "A duration is a whole number and a unit: `30s`, `5m`, `1h`, `2d`. Nothing is shorter than a second.",
        "#[http(get, \"/\", timeout = \"30\")]\nasync fn index() -> String { String::new() }",
        "#[http(get, \"/\", timeout = \"30s\")]\nasync fn index() -> String { String::new() }";
    CRON = "UD0009", "a cron expression can't be read, or never fires",
        "A schedule has five fields: minute, hour, day of the month, month, day of the week. A field is `*`, a number, a range `1-5`, \
         any of these with a step `*/15`, or a list of those; months and days of the week have names (`jan`, `mon`), and Sunday is 0 or 7. \
         If both days are restricted, the schedule fires on either. A day that no month has is refused.",
        "#[schedule(\"0 25 * * *\")]\nasync fn nightly() -> Result<()> { Ok(()) }",
        "#[schedule(\"0 3 * * *\")]\nasync fn nightly() -> Result<()> { Ok(()) }";
    TIMEZONE = "UD0010", "there is no such time zone",
        "Time zones are named as in the IANA database, by continent and city; `UTC` is the default.",
        "#[schedule(\"0 3 * * *\", timezone = \"Berlin\")]\nasync fn nightly() -> Result<()> { Ok(()) }",
        "#[schedule(\"0 3 * * *\", timezone = \"Europe/Berlin\")]\nasync fn nightly() -> Result<()> { Ok(()) }";
    ROUTE = "UD0011", "a route's path can't be read",
        "A path starts with `/`. `{id}` stands for one segment, `{*rest}` at the end for all that is left; both are whole segments. \
         What is under `/_updraft` belongs to the runtime.",
        "#[http(get, \"/orders/:id\")]\nasync fn order(id: Path<String>) -> String { id.0 }",
        "#[http(get, \"/orders/{id}\")]\nasync fn order(id: Path<String>) -> String { id.0 }";
    METHOD_NAME = "UD0012", "a route's method is unknown",
        "Methods are written in lower case: `get`, `post`, `put`, `patch`, `delete`, `head`, `options`.",
        "#[http(GET, \"/\")]\nasync fn index() -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    HOST = "UD0013", "an external's host can't be read",
        "Hosts are names with a port (443 if none is given), without a scheme and a path: they become rules for what may leave the app.",
        "#[external(hosts = [\"https://api.example.com/v1\"])]\nstruct Api;",
        "#[external(hosts = [\"api.example.com:443\"])]\nstruct Api;";
    TOPIC_ATTRIBUTE = "UD0014", "a topic's attribute can't be named so",
        "Attributes are fields of the message that travel beside it, as CloudEvents extensions, so that brokers can filter on them. \
         Their names have lower-case letters and digits only, 20 at most, and are not those of an event's own fields.",
        "#[topic(message = Shipment, attributes(ship_region))]\nstruct Shipped;",
        "#[topic(message = Shipment, attributes(region))]\nstruct Shipped;";
    SYNC = "UD0020", "a handler or extractor is not async",
        "Handlers run side by side on a few threads, so they never block one: they are `async fn`s.",
        "#[http(get, \"/\")]\nfn index() -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    GENERIC = "UD0021", "a handler or extractor is generic",
        "Updraft calls handlers, and it has no types to choose. This holds for `impl Trait` as well.",
        "#[consumer(Orders)]\nasync fn ship(order: impl Into<Order>) -> Result<()> { Ok(()) }",
        "#[consumer(Orders)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    METHOD = "UD0022", "a handler or extractor is a method",
        "There is no value to call a method on. What a handler needs, it takes as parameters.",
        "#[http(get, \"/\")]\nasync fn index(&self) -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    BORROWED = "UD0023", "a parameter is borrowed",
        "A handler is called with values of its own. Helpers that it calls may borrow them.",
        "#[consumer(Orders)]\nasync fn ship(order: &Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    PLAIN = "UD0024", "a handler or extractor is not a plain function",
        "No `unsafe`, no `extern`, no conditional parameters: updraft calls it knowing its parameters, and nothing else.",
        "#[http(get, \"/\")]\nasync unsafe fn index() -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }";
    WRAPPED = "UD0025", "a capability stands inside another type",
        "A parameter is a capability or it is none, so that a signature says what a handler reaches. For a secret that may be absent \
         there is `#[secret(optional)]`; several capabilities in one parameter are a struct with `#[derive(Capabilities)]`, taken as `With<Deps>`.",
        "#[http(get, \"/\")]\nasync fn index(key: Option<Secret<Key>>) -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index(key: Secret<Key>) -> String { String::new() }";
    CAPABILITY = "UD0026", "a capability's name or access can't be read",
        "A capability is `Kind<Name>` or, for a store and a bucket, `Kind<Name, Access>` with `ReadOnly`, `WriteOnly` or `ReadWrite`.",
        "#[http(get, \"/\")]\nasync fn index(stock: Store<Stock, Read>) -> String { String::new() }",
        "#[http(get, \"/\")]\nasync fn index(stock: Store<Stock, ReadOnly>) -> String { String::new() }";
    MESSAGE_FIRST = "UD0027", "the message is not the first parameter",
        "Consumers and subscribers take their message first, and then what else they need; so do handlers with `#[object]` the `Object` \
         that they run for.",
        "#[consumer(Orders)]\nasync fn ship(stock: Store<Stock>, order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders)]\nasync fn ship(order: Order, stock: Store<Stock>) -> Result<()> { Ok(()) }";
    BODY_LAST = "UD0028", "an extractor that reads the body is not the last parameter",
        "A request's body can be read once. The parameter that reads it comes last.",
        "#[http(post, \"/\")]\nasync fn place(order: Json<Order>, orders: Queue<Orders>) -> String { String::new() }",
        "#[http(post, \"/\")]\nasync fn place(orders: Queue<Orders>, order: Json<Order>) -> String { String::new() }";
    ARGUMENT_NAME = "UD0029", "an argument of a function has no plain name",
        "The arguments of a `#[function]` travel by name, so each parameter that is no capability is a name and not a pattern.",
        "#[function]\nasync fn quote((sku, quantity): (String, u32)) -> Result<u32> { Ok(quantity) }",
        "#[function]\nasync fn quote(sku: String, quantity: u32) -> Result<u32> { Ok(quantity) }";
    TRIGGERS = "UD0030", "a function has triggers that do not go together",
        "A handler has triggers of one kind, since each kind decides what the parameters mean. Several of the same kind are several \
         handlers, and each but one needs an id of its own. A `#[function]` has one.",
        "#[http(get, \"/\")]\n#[schedule(\"0 3 * * *\")]\nasync fn report() -> Result<()> { Ok(()) }",
        "#[http(get, \"/\")]\n#[http(get, \"/report\", name = \"shop::report_by_name\")]\nasync fn report() -> Result<()> { Ok(()) }";
    EXTRACTOR = "UD0031", "an extractor's return type does not say what it makes",
        "An `#[extractor]` returns `Result<T>` or `Result<T, E>`. `T` is a type of the same crate: handlers take it as a parameter, \
         and with it they have the grants of the extractor's own parameters.",
        "#[extractor]\nasync fn user(headers: HeaderMap) -> User { User }",
        "#[extractor]\nasync fn user(headers: HeaderMap) -> Result<User> { Ok(User) }";
    GROUP = "UD0032", "a group of capabilities has the wrong shape",
        "`#[derive(Capabilities)]` stands on a struct with named fields and without generics. Handlers take it as `With<Deps>`.",
        "#[derive(Capabilities)]\nstruct Deps(Store<Stock>);",
        "#[derive(Capabilities)]\nstruct Deps { stock: Store<Stock> }";
    TYPE_NAME = "UD0033", "a function's type would hide a type of the language",
        "`#[function]` puts a type of the function's name beside it, so that `Function<quote>` can be written. Under a name such as `str` \
         that type would hide the language's own, so it gets another one: `type = …`. The same helps where the name is taken: \
         `mod quote; pub use quote::quote;` has a module and a function's type of one name.",
        "#[function]\nasync fn char(code: u32) -> Result<String> { Ok(String::new()) }",
        "#[function(type = CharFn)]\nasync fn char(code: u32) -> Result<String> { Ok(String::new()) }";
    OUTCOME = "UD0034", "a handler does not say whether it failed",
        "Consumers, subscribers, schedules and functions return a `Result`: an error is retried, or told to the caller. A consumer that \
         can't fail returns `Ok(())`.",
        "#[consumer(Orders)]\nasync fn ship(order: Order) {}",
        "#[consumer(Orders)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }";
    QUEUE_OPTIONS = "UD0035", "options of a queue that contradict each other",
        "An ordered queue delivers the messages of a key in the order in which they were sent. A message that is held back for a time of its \
         own would hold back all that was sent after it, so `delay` and `ordered` don't go together.",
        "#[queue(message = Order, delay, ordered = \"customer\")]\nstruct Orders;",
        "#[queue(message = Order, ordered = \"customer\")]\nstruct Orders;";
    BATCH = "UD0036", "something of a batch where one message is taken, or the other way about",
        "A consumer gets several messages at once if its first parameter is a `Batch<T>`; `batch = 100` and `window = \"1s\"` say how many \
         at most, and how long it waits for them. Each item has a delivery of its own and is reported by itself. Subscribers take one \
         message at a time.",
        "#[consumer(Orders, batch = 100)]\nasync fn ship(order: Order) -> Result<()> { Ok(()) }",
        "#[consumer(Orders, batch = 100)]\nasync fn ship(orders: Batch<Order>) -> Result<()> { orders.done(); Ok(()) }";
    MIGRATIONS_FOLDER = "UD0040", "a folder of migrations is not below the package",
        "A database's migrations lie in a folder of the package, because they are built into the program. `migrations` names it, \
         relative to the package's Cargo.toml; `migrations` is also what it is called unless the attribute says otherwise.",
        "#[database(migrations = \"../sql\")]\nstruct Ledger;",
        "#[database(migrations = \"sql\")]\nstruct Ledger;";
    WAITS = "UD0045", "a layer or router is made by an async function",
        "`#[layer]` and `#[routes]` make something once, before the application is ready, and have nothing to wait for. What takes time \
         (a connection, a key that is read) is made by a `#[shared]` function, which is async, and taken as a parameter: `Shared<…>`.",
        "#[routes(\"/legacy\")]\nasync fn legacy() -> Router { Router::new() }",
        "#[routes(\"/legacy\")]\nfn legacy() -> Router { Router::new() }";
    PREFIX = "UD0046", "a layer's or router's path is not plain",
        "A layer stands round the routes under a path, and an adopted router is mounted under one. Such a path is text alone: `/admin`, \
         or `/` for the whole application. It has no parameters and does not end with a slash.",
        "#[routes(\"/legacy/{rest}\")]\nfn legacy() -> Router { Router::new() }",
        "#[routes(\"/legacy\")]\nfn legacy() -> Router { Router::new() }";
    MAKES = "UD0047", "a function does not say what it makes",
        "`#[shared]` is on a function that returns `Result<T>` or `Result<T, E>`; `T` is a type of the same crate, and handlers take it as \
         `Shared<T>`. `#[layer]` is on one that returns a layer, `impl Layer` or its type, and `#[routes]` on one that returns axum's `Router`.",
        "struct Clients;\n#[shared]\nasync fn clients() -> Clients { Clients }",
        "struct Clients;\n#[shared]\nasync fn clients() -> Result<Clients> { Ok(Clients) }";
    SIZE = "UD0048", "a text is no size",
        "A size is a whole number and a unit: `512KiB`, `2MiB`, `1GiB`. Nothing is larger than 1024 GiB, and nothing is zero.",
        "#[http(post, \"/\", body = \"2MB\")]\nasync fn upload(body: Bytes) -> String { String::new() }",
        "#[http(post, \"/\", body = \"2MiB\")]\nasync fn upload(body: Bytes) -> String { String::new() }";
}
