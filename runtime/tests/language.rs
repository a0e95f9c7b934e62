//! The attributes, as an application uses them.
#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(missing_docs, reason = "a test is no library")]

use updraft::prelude::*;

/// An order.
#[updraft::data]
pub struct Order {
    pub id: String,
    pub quantity: u32,
    pub region: String,
}

#[queue(message = Order, delay)]
struct Orders;

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

#[http(get, "/quotes/{sku}")]
async fn get_quote(Path(sku): Path<String>, user: Option<User>, quote: Function<quote>) -> Result<String> {
    let name = user.map_or("guest".to_owned(), |user| user.0);
    Ok(format!("{} for {name}", quote.call(sku, 1).await?))
}

#[test]
fn all_are_there() {
    assert_eq!(updraft::registry::handlers().unwrap().len(), 6);
}
