//! What the shop promises its customers, and a day on which it has much to do: for whoever makes things go wrong meanwhile.

use crate::shop::admin::{AdminKey, Count};
use crate::shop::mail::{Mailer, MailerKey};
use crate::shop::orders::{Order, Progress, Status};
use crate::shop::warehouse::{Stock, Warehouse};
use audit::Trail;
use std::collections::BTreeMap;
use updraft::test::{App, AppBuilder, json};

const TEA: u32 = 10;
const CUPS: u32 = 2;
/// The staff finds more cups while the last orders come in.
const FOUND: u32 = 9;
/// How often a client asks.
const PATIENCE: u32 = 30;

/// More tea is wanted than there is; cups are enough once the staff has counted them.
fn orders() -> Vec<Order> {
    let order = |at: u32, sku: &str, quantity| Order { id: format!("{sku}-{at}"), sku: sku.into(), quantity };
    let tea = (1..=6).map(|at| order(at, "tea", 1 + at % 4));
    let cups = (1..=4).map(|at| order(at, "cup", 1 + at % 2));
    cups.chain(tea).collect()
}

/// Asks again until the shop has taken it, as a customer's client does.
async fn place(app: &App, order: &Order) {
    for _ in 0..PATIENCE {
        if app.post("/orders").json(order).await.status() == 202 {
            return;
        }
    }
    panic!("{} is never accepted", order.id);
}

/// Says how many there are, until the shop has heard it; how often that took. Each time may have been heard.
async fn count(app: &App, sku: &str, left: u32) -> u32 {
    for times in 1..=PATIENCE {
        if app.put(&format!("/admin/stock/{sku}")).bearer("letmein").json(&Count { left }).await.status() == 200 {
            return times;
        }
    }
    panic!("{sku} is never counted");
}

/// What the shop promises, looked at when nothing is left to do. There were never more cups than so many.
async fn promises_hold(app: &App, orders: &[Order], most_cups: u32) {
    let mails = app.requests_to::<Mailer>();
    let mailed = |id: &str| mails.iter().any(|mail| mail.headers["idempotency-key"] == id);
    let mut shipped = BTreeMap::<&str, u32>::new();
    for Order { id, sku, quantity } in orders {
        let written = app.bucket::<Trail>().get(&format!("shipments/{id}.txt")).await.unwrap();
        let shelf = app.store::<Stock>().get(sku).await.unwrap().unwrap();
        match app.store::<Progress>().get(id).await.unwrap() {
            Some(Status::Shipped) => {
                assert!(mailed(id), "{id} is shipped and nobody told the customer");
                assert_eq!(written.expect("a shipment is audited").body, format!("{quantity} × {sku}\n"));
                assert!(shelf.taken.contains(id), "{id} is shipped and lies on its shelf");
                *shipped.entry(sku).or_default() += quantity;
            }
            Some(Status::Failed) => {
                assert!(!mailed(id) && written.is_none(), "{id} has failed and is on its way");
                assert!(!shelf.taken.contains(id), "{id} has failed and left its shelf");
                let letters = app.dead_letters();
                assert!(
                    letters
                        .iter()
                        .any(|letter| letter.message().body.starts_with(format!("{{\"id\":\"{id}\"").as_bytes()))
                );
            }
            status => panic!("{id} was accepted and is {status:?}"),
        }
    }
    assert!(app.dead_letters().iter().all(|letter| letter.kind == "permanent"), "only what can't be met is given up");
    let tea = app.store::<Stock>().get("tea").await.unwrap().unwrap();
    assert_eq!(shipped["tea"] + tea.left, TEA, "tea came from nowhere or went there");
    let cups = app.store::<Stock>().get("cup").await.unwrap().unwrap();
    assert!(shipped.get("cup").unwrap_or(&0) + cups.left <= most_cups, "more cups than there ever were");
}

/// Orders come in side by side while the staff counts, when some have been turned down for want of cups; then everything has
/// ended, and all promises hold. What was given up is tried again then, and is met.
pub async fn hold(shop: AppBuilder) {
    let shop = shop.secret::<AdminKey>("letmein").secret::<MailerKey>("development");
    let app = shop.config::<Warehouse>(json!({ "initial": 0 })).start().await;
    count(&app, "tea", TEA).await;
    count(&app, "cup", CUPS).await;
    let orders = orders();
    let placing = async |orders: &[Order]| {
        for two in orders.chunks(2) {
            tokio::join!(place(&app, &two[0]), place(&app, &two[1]));
        }
    };
    let (first, last) = orders.split_at(orders.len() - 2);
    placing(first).await;
    let ((), counted) = tokio::join!(placing(last), count(&app, "cup", FOUND));
    let most_cups = CUPS + FOUND * counted;
    app.settle().await;
    promises_hold(&app, &orders, most_cups).await;

    for letter in app.dead_letters() {
        app.redrive(&letter).await;
    }
    app.settle().await;
    promises_hold(&app, &orders, most_cups).await;
    for order in orders.iter().filter(|order| order.sku == "cup") {
        assert_eq!(app.store::<Progress>().get(&order.id).await.unwrap(), Some(Status::Shipped));
    }
}
