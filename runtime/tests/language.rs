//! The attributes, as an application uses them.
#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test is no library")]

use object::{Object, ObjectSection};
use updraft::prelude::*;
use updraft::registry::{HANDLERS, RESOURCES};
use updraft_wire::Descriptor;

/// An order.
#[updraft::data]
pub struct Order {
    pub id: String,
    pub quantity: u32,
    pub region: String,
}

#[updraft::data]
pub struct OldOrder {
    pub id: String,
}

impl From<OldOrder> for Order {
    fn from(old: OldOrder) -> Self {
        Order { id: old.id, quantity: 1, region: String::new() }
    }
}

#[queue(message = Order, delay, accepts = [OldOrder])]
struct Orders;

/// Everything that a queue may ask for, as far as it goes together.
#[queue(message = Order, ordered = "region", dedup = "10m")]
struct Parcels;

#[topic(message = Order, attributes(region))]
struct Shipped;

#[store(key = String, value = u32, ttl = "1h")]
struct Stock;

#[bucket]
struct Reports;

#[secret]
struct Token;

#[secret(optional)]
struct Spare;

#[config(validate = check)]
struct Limits {
    #[default(100)]
    most: u32,
    #[default("dhl")]
    carrier: String,
}

fn check(limits: &Limits) -> Result<()> {
    if limits.most == 0 {
        return Err(Error::new(format!("{} carries nothing", limits.carrier)));
    }
    Ok(())
}

#[external(hosts = ["hooks.example.com:443"])]
struct Mailer;

struct User(String);

#[extractor]
async fn user(headers: HeaderMap, token: Secret<Token>) -> Result<User> {
    let _ = token.expose().await?;
    Ok(User(format!("{:?}", headers.get("x-user"))))
}

#[http(post, "/orders")]
async fn place(_user: User, orders: Queue<Orders>, Json(order): Json<Order>) -> Result<StatusCode> {
    orders.send(&order).await?;
    orders.send_after(&order, std::time::Duration::from_secs(3)).await?;
    Ok(StatusCode::ACCEPTED)
}

#[http(post, "/parcels")]
async fn parcel(parcels: Queue<Parcels>, Json(order): Json<Order>) -> Result<StatusCode> {
    parcels.send_as(&order.id, &order).await?;
    Ok(StatusCode::ACCEPTED)
}

#[consumer(Parcels, batch = 100)]
async fn pack(batch: Batch<Order>, stock: Store<Stock>) -> Result<()> {
    for order in &batch {
        match stock.put(&order.id, &order.quantity).await {
            Ok(()) => order.done(),
            Err(error) => order.fail(error),
        }
    }
    Ok(())
}

#[derive(Capabilities)]
struct Deps {
    stock: Store<Stock>,
    shipped: Topic<Shipped>,
}

#[consumer(Orders, retries = 2)]
async fn ship(order: Order, delivery: Delivery, With(deps): With<Deps>, quote: Function<quote>) -> Result<()> {
    let Deps { stock, shipped } = deps;
    let _ = (delivery.id(), quote.call(order.id.clone(), 1).await?);
    stock.put(&order.id, &order.quantity).await?;
    shipped.publish(&order).await?;
    Ok(())
}

#[subscriber(Shipped, when(region = "eu"))]
async fn mail(_order: Order, mailer: External<Mailer>, spare: Secret<Spare>, limits: Config<Limits>) -> Result<()> {
    let _ = (mailer.url("x"), spare.expose().await?, limits.most);
    Ok(())
}

#[schedule("0 3 * * *", timezone = "Europe/Berlin")]
async fn nightly(tick: Tick, stock: Store<Stock, ReadOnly>, reports: Bucket<Reports, WriteOnly>) -> Result<()> {
    let _ = (tick.scheduled, stock.get("1").await?);
    reports.put("x", "y").await?;
    Ok(())
}

#[function]
async fn quote(sku: String, quantity: u32, stock: Store<Stock, ReadOnly>) -> Result<u32> {
    Ok(quantity + stock.get(&sku).await?.unwrap_or_default())
}

#[object(Reports, created, suffix = ".csv")]
async fn filed(object: updraft::Object, reports: Bucket<Reports, ReadOnly>) -> Result<()> {
    let _ = reports.head(&object.key).await?;
    Ok(())
}

#[http(get, "/quotes/{sku}")]
async fn get_quote(Path(sku): Path<String>, user: Option<User>, quote: Function<quote>) -> Result<String> {
    let name = user.map_or("guest".to_owned(), |user| user.0);
    Ok(format!("{} for {name}", quote.call(sku, 1).await?))
}

mod elsewhere {
    use updraft::prelude::*;

    /// The descriptor names what an alias and another name resolve to, not what is written.
    #[store(partition = String, key = (u16, u8), value = u32)]
    pub(super) struct Ledger;
}
use elsewhere::Ledger as Book;
type Entries = Store<Book, ReadOnly>;

#[http(get, "/book/{id}", name = "language::book")]
async fn entry(Path(id): Path<String>, entries: Entries, again: Store<Book, ReadOnly>) -> Result<String> {
    Ok(format!("{:?} {:?}", entries.get(&(&*id, (1, 2))).await?, again.in_order(&id).all().await?))
}

#[http(get, "/never")]
#[cfg(any())]
async fn never() -> String {
    String::new()
}

/// What the compiler reads from a linked program: here, from this test's own file.
fn section() -> Vec<Descriptor> {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let file = object::File::parse(&*program).unwrap();
    let name = if cfg!(target_vendor = "apple") { "__updraft" } else { updraft_wire::descriptor::ELF_SECTION };
    updraft_wire::descriptor::decode(file.section_by_name(name).unwrap().data().unwrap()).unwrap()
}

/// `kind id option=value … | kind resource access, …`
fn line(descriptor: &Descriptor) -> String {
    let options: String = descriptor.options.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let grants: Vec<_> =
        descriptor.grants.iter().map(|grant| format!("{} {} {}", grant.kind, grant.resource, grant.access)).collect();
    format!("{} {}{options} | {}", descriptor.kind, descriptor.id, grants.join(", "))
}

#[test]
fn the_file_tells_what_the_process_would_dispatch() {
    let registered = HANDLERS.iter().map(|handler| handler.descriptor);
    let registered = registered.chain(RESOURCES.iter().map(|resource| resource.descriptor));
    let mut registered: Vec<Descriptor> =
        registered.flat_map(|bytes| updraft_wire::descriptor::decode(bytes).unwrap()).collect();
    registered.sort();
    assert_eq!(section(), registered);
}

#[test]
fn descriptors_say_what_rustc_resolved() {
    let lines: Vec<String> = section().iter().map(line).collect();
    let expected = [
        "consumer language::pack batch=100 queue=parcels retries=5 skew=900 timeout=60 window=1 | store stock read-write",
        "consumer language::ship queue=orders retries=2 skew=900 timeout=60 | function language::quote call, store stock read-write, topic shipped write",
        "function language::quote arguments=sku,quantity idempotent=false timeout=10 | store stock read",
        "http language::book method=get path=/book/{id} timeout=30 | store ledger read",
        "http language::get_quote method=get path=/quotes/{sku} timeout=30 | function language::quote call, secret token read",
        "http language::parcel method=post path=/parcels timeout=30 | queue parcels write",
        "http language::place method=post path=/orders timeout=30 | queue orders write, secret token read",
        "object language::filed bucket=reports event=created retries=5 suffix=.csv timeout=60 | bucket reports read",
        "resource:bucket reports | ",
        "resource:config gate | ",
        "resource:config limits | ",
        "resource:config relays | ",
        "resource:config routes | ",
        "resource:external mailer hosts=hooks.example.com:443 | ",
        "resource:queue orders accepts=OldOrder delay=true message=Order | ",
        "resource:queue parcels dedup=600 message=Order ordered=region | ",
        "resource:secret spare optional=true | ",
        "resource:secret token | ",
        "resource:store ledger key=(u16, u8) partition=String value=u32 | ",
        "resource:store stock key=String ttl=3600 value=u32 | ",
        "resource:topic shipped attributes=region message=Order | ",
        "schedule language::nightly cron=0 3 * * * missed=skip overlap=false retries=5 timeout=300 timezone=Europe/Berlin | bucket reports write, store stock read",
        "subscriber language::mail retries=5 skew=900 timeout=60 topic=shipped when.region=eu | config limits read, external mailer call, secret spare read",
    ];
    let mut sorted = lines.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    let ship = section().into_iter().find(|descriptor| descriptor.id == "language::ship").unwrap();
    let source = include_str!("language.rs");
    assert!(source.lines().nth(ship.line as usize - 1).unwrap().starts_with("async fn ship("), "{}", ship.line);
    assert!(ship.file.ends_with("runtime/tests/language.rs"), "{}", ship.file);
}

#[test]
fn a_config_knows_its_defaults_and_refuses_nonsense() {
    let limits = RESOURCES.iter().find(|resource| resource.id == "limits").unwrap();
    let validate = limits.validate.unwrap();
    let said = |value: &str| {
        let found = validate(&value.parse().unwrap()).err().unwrap_or_default();
        found.into_iter().map(|mistake| (mistake.key.unwrap_or_default(), mistake.reason)).collect::<Vec<_>>()
    };
    let at = |key: &str, reason: &str| (key.to_owned(), reason.to_owned());
    assert_eq!(said("{}"), []);
    assert_eq!(said(r#"{"most": 0}"#), [at("", "dhl carries nothing")]);
    // Each mistake, not the first alone.
    assert_eq!(
        said(r#"{"mst": 3, "most": "x", "carrier": -1}"#),
        [
            at("most", r#"`most` is "x": invalid type: string "x", expected u32"#),
            at("carrier", "`carrier` is -1: invalid type: integer `-1`, expected a string"),
            at("mst", "unknown field `mst`: there are `most`, `carrier`"),
        ]
    );
    assert_eq!(said("7").len(), 1);
}

/// Of what has no default, what may be absent, what is nested, and what nobody may see.
#[config]
#[allow(dead_code)]
struct Routes {
    depot: String,
    via: Option<String>,
    stops: Vec<u8>,
    #[default(SecretText("none".to_owned()))]
    code: SecretText,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
struct SecretText(#[allow(dead_code)] String);

impl TryFrom<String> for SecretText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > 3 { Ok(SecretText(text)) } else { Err(format!("{text} is too short")) }
    }
}

#[test]
fn a_config_tells_each_mistake_and_no_secret() {
    let routes = RESOURCES.iter().find(|resource| resource.id == "routes").unwrap();
    let said = |value: &str| routes.validate.unwrap()(&value.parse().unwrap()).err().unwrap_or_default();
    let reasons = |value: &str| said(value).into_iter().map(|mistake| mistake.reason).collect::<Vec<_>>();
    assert_eq!(reasons(r#"{"depot": "a", "stops": [1]}"#), [""; 0]);
    assert_eq!(
        reasons(r#"{"stops": [1, 2, 300], "code": "pin"}"#),
        [
            "`depot` is missing: expected String",
            "`stops` does not fit: at `[2]`: expected u8",
            "`code` does not fit; expected SecretText",
        ]
    );
}

/// A secret below a name that says nothing of it.
#[config]
#[allow(dead_code)]
struct Relays {
    main: Relay,
    others: std::collections::BTreeMap<String, Relay>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[allow(dead_code)]
struct Relay {
    port: u16,
    password: SecretText,
    mode: Mode,
}

#[derive(Clone, Debug, serde::Deserialize)]
enum Mode {
    Open,
    Closed,
}

/// Of which only serde knows what it is made of.
#[config]
#[serde(rename_all = "kebab-case")]
#[allow(dead_code)]
struct Gate {
    access_code: SecretText,
    open_from: u8,
    mode: Mode,
}

#[test]
fn no_value_is_shown_of_what_may_hold_a_secret() {
    let reasons = |id: &str, value: &str| {
        let config = RESOURCES.iter().find(|resource| resource.id == id).unwrap();
        let said = config.validate.unwrap()(&value.parse().unwrap()).err().unwrap_or_default();
        said.into_iter().map(|mistake| mistake.reason).collect::<Vec<_>>()
    };
    for (value, expected) in [
        (
            r#"{"main": {"port": 1, "password": "pin", "mode": "Open"}, "others": {}}"#,
            "`main` does not fit: at `password`; expected Relay",
        ),
        (
            r#"{"main": {"port": "hunter2", "password": "long enough", "mode": "Open"}, "others": {}}"#,
            "`main` does not fit: at `port`: expected u16",
        ),
        (
            r#"{"main": {"port": 1, "password": "long enough"}, "others": {}}"#,
            "`main` does not fit: missing field `mode`; expected Relay",
        ),
        (
            r#"{"main": {"port": 1, "password": "long enough", "mode": "hunter2, expected 3"}, "others": {}}"#,
            "`main` does not fit: at `mode`: expected `Open` or `Closed`",
        ),
        (
            r#"{"main": {"port": 1, "password": "long enough", "mode": "Closed"}, "others": {"a": {"port": 70000}}}"#,
            "`others` does not fit: at `a.port`: expected u16",
        ),
        (r#"{"main": ["hunter2"], "others": {}}"#, "`main` does not fit: at `[0]`: expected u16"),
    ] {
        let found = reasons("relays", value);
        assert_eq!(found, [expected], "{value}");
    }
    for (value, expected) in [
        (r#"{"access-code": "pin", "open-from": 1, "mode": "Open"}"#, "`access-code` does not fit"),
        (
            r#"{"access-code": "long enough", "open-from": 1, "mode": "hunter2"}"#,
            "`mode` does not fit: expected `Open` or `Closed`",
        ),
        (
            r#"{"access-code": "long enough", "open-from": 300, "mode": "Open"}"#,
            "`open-from` does not fit: expected u8",
        ),
        (r#"{"access-code": "long enough", "mode": "Open"}"#, "missing field `open-from`"),
        (r#""hunter2""#, "the values do not fit: expected struct Gate"),
    ] {
        assert_eq!(reasons("gate", value), [expected], "{value}");
    }
}

#[tokio::test]
async fn ids_and_keys_that_no_engine_can_carry_are_refused() {
    let (parcels, sent) = updraft::test::queue::<Parcels>();
    let order = |region: &str| Order { id: "1".into(), quantity: 1, region: region.into() };
    let (longest, longer) = ("x".repeat(128), "x".repeat(129));
    assert!(parcels.send_as("", &order("eu")).await.unwrap_err().to_string().contains("an empty text"));
    assert!(parcels.send_as(&longer, &order("eu")).await.unwrap_err().to_string().contains("129 bytes"));
    assert!(parcels.send_all(&[order("eu"), order(&longer)]).await.unwrap_err().to_string().contains("129 bytes"));
    assert!(sent.messages().is_empty(), "nothing was sent");
    parcels.send_as(&longest, &order(&longest)).await.unwrap();
    parcels.send(&order("")).await.unwrap();
    assert_eq!(sent.messages().len(), 2);
}
