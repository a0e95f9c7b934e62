//! An application under the strictest lints: every attribute, handlers made by a macro, names that expansions use too.
#![forbid(unsafe_code)]
#![deny(warnings)]
#![deny(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    missing_debug_implementations,
    unused_crate_dependencies,
    elided_lifetimes_in_paths,
    single_use_lifetimes,
    trivial_casts,
    unused_lifetimes,
    unused_results
)]

use updraft::prelude::*;

/// An order.
#[updraft::data]
#[derive(PartialEq)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Where it goes.
    pub region: String,
}

/// What an order was.
#[updraft::data]
pub struct OldOrder {
    /// Its id.
    pub id: String,
}

impl From<OldOrder> for Order {
    fn from(old: OldOrder) -> Self {
        Order { id: old.id, region: String::from("eu") }
    }
}

/// Orders.
#[queue(message = Order, delay, accepts = [OldOrder])]
#[derive(Debug)]
pub struct Orders;

/// Parcels, in the order of their region's.
#[queue(message = Order, ordered = "region", dedup = "10m")]
struct Parcels;

/// Nobody uses it: our own check speaks of that, not rustc.
#[store(key = (String, u32), value = Vec<Order>, ttl = "1h", external = "read")]
struct Unused;

#[topic(message = Order, accepts = [OldOrder], attributes(region))]
struct Shipped;

#[bucket(name = "old-reports")]
struct Reports;

#[secret(optional)]
struct Token;

#[config]
struct Limits {
    #[default(100)]
    most: u32,
    #[default("dhl")]
    carrier: String,
}

#[external(hosts = ["api.example.com"])]
struct Api;

struct User;

#[extractor]
async fn user(headers: HeaderMap, token: Secret<Token>) -> Result<User> {
    let (_, _) = (headers, token.expose().await?);
    Ok(User)
}

#[derive(Capabilities)]
struct Deps {
    stock: Store<Unused>,
    reports: Bucket<Reports, WriteOnly>,
    api: External<Api>,
}

/// Its parameters are called as an expansion's own variables are.
#[http(post, "/{request}")]
async fn serve(
    _user: User,
    Path(request): Path<String>,
    scope: Queue<Orders>,
    given: Config<Limits>,
    Json(parameter_0): Json<Order>,
) -> Result<String> {
    scope.send(&parameter_0).await?;
    Ok(format!("{request} {} {}", given.most, given.carrier))
}

#[consumer(Orders, retries = 0)]
async fn r#type(message: Order, incoming: Delivery, With(deps): With<Deps>, call: Function<StrFn>) -> Result<()> {
    let Deps { stock, reports, api } = deps;
    let _ = (incoming.attempt(), stock.get(&(message.id, 1)).await?, api.base_url());
    reports.put("a", call.call(1, String::new()).await?).await?;
    Ok(())
}

#[consumer(Parcels, batch = 20, window = "2s", timeout = "10s")]
async fn pack(message: Batch<Order>, With(report): With<Deps>) -> Result<()> {
    for incoming in &message {
        match report.stock.get(&(incoming.id.clone(), 1)).await {
            Ok(_) => incoming.done(),
            Err(error) => incoming.fail(error),
        }
    }
    Ok(())
}

/// Named as a type is, hence a name of its own for the type; its arguments are called as an expansion's variables are.
#[function(type = StrFn)]
async fn str(caller: u8, r#type: String, shipped: Topic<Shipped>) -> Result<String> {
    shipped.publish(&Order { id: r#type, region: caller.to_string() }).await?;
    Ok(String::new())
}

#[subscriber(Shipped, when(region = "eu"))]
async fn mail(_order: Order) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(())
}

#[schedule("0 3 * * mon-fri", timezone = "Europe/Berlin", overlap, missed = "run")]
async fn nightly(tick: Tick) -> Result<()> {
    let _ = tick.scheduled;
    Ok(())
}

macro_rules! page {
    ($name:ident, $path:literal, $text:expr) => {
        #[http(get, $path)]
        async fn $name() -> &'static core::primitive::str {
            $text
        }
    };
}
page!(imprint, "/imprint", "us");
page!(privacy, "/privacy", "nothing");

#[http(get, "/false")]
#[cfg(any())]
async fn below() -> String {
    String::new()
}

#[cfg(any())]
#[http(get, "/false")]
async fn above() -> String {
    String::new()
}

/// What every handler of this application may use.
#[derive(Clone, Debug)]
pub struct Rates {
    key: Secret<RateKey>,
}

#[secret]
struct RateKey;

#[shared(timeout = "5s", name = "strict::rates_of_today")]
async fn rates(key: Secret<RateKey>) -> Result<Rates> {
    Ok(Rates { key })
}

#[http(get, "/rates")]
async fn show(rates: Shared<Rates>) {
    drop(rates.key.clone());
}

#[layer("/", order = 1)]
fn made(_rates: Shared<Rates>) -> impl Layer {
    updraft::axum::middleware::from_fn(async |request, next: updraft::axum::middleware::Next| next.run(request).await)
}

#[routes("/old", timeout = "5s")]
fn scope(_rates: Shared<Rates>) -> updraft::axum::Router {
    updraft::axum::Router::new()
}
