//! The shop as its customers and its staff see it: the whole application in memory, on a clock that the tests advance.

use audit::{Shipment, Shipped, Trail};
use shop::admin::Count;
use shop::mail::Mailer;
use shop::orders::{Order, Orders, Receipt, Status};
use shop::pricing::{Price, QuoteError, quote};
use shop::reports::Reports;
use shop::warehouse::{Stock, Warehouse};
use std::time::Duration;
use updraft::axum::Router;
use updraft::prelude::*;
use updraft::test::{App, AppBuilder, Fault, json};

/// A shop with ten pieces of everything.
fn shop() -> AppBuilder {
    updraft::test::app!(shop, audit).config::<Warehouse>(json!({ "initial": 10 }))
}

fn order(id: &str, quantity: u32) -> Order {
    Order { id: id.into(), sku: "tea".into(), quantity }
}

async fn place(app: &App, order: &Order) {
    assert_eq!(app.post("/orders").json(order).await.status(), 202);
}

async fn status(app: &App, id: &str) -> Status {
    app.get(&format!("/orders/{id}")).await.json::<Receipt>().status
}

#[tokio::test]
async fn an_order_is_shipped_mailed_and_audited() {
    let app = shop().start().await;
    place(&app, &order("1", 2)).await;
    assert_eq!(app.queue::<Orders>().len(), 1);
    assert_eq!(status(&app, "1").await, Status::Placed);

    app.drain().await;
    assert_eq!(status(&app, "1").await, Status::Shipped);
    assert_eq!(app.store::<Stock>().get("tea").await.unwrap().unwrap().left, 8);

    let mails = app.requests_to::<Mailer>();
    assert_eq!((mails.len(), mails[0].path.as_str()), (1, "/messages"));
    assert_eq!(mails[0].headers["idempotency-key"], "1");
    let written = app.bucket::<Trail>().get("shipments/1.txt").await.unwrap().unwrap();
    assert_eq!(written.body, "2 × tea\n");
    assert!(app.dead_letters().is_empty());
}

#[tokio::test]
async fn an_unknown_order_is_not_found() {
    let app = shop().start().await;
    let answer = app.get("/orders/nobodys").await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn an_order_placed_twice_takes_its_pieces_once() {
    let app = shop().start().await;
    place(&app, &order("1", 4)).await;
    place(&app, &order("1", 4)).await;
    app.drain().await;
    assert_eq!(app.store::<Stock>().get("tea").await.unwrap().unwrap().left, 6);
}

#[tokio::test]
async fn shipping_is_tried_again() {
    let app = shop().start().await;
    app.fail(Fault::on::<Stock>("update").by("ship").saying("the warehouse is closed"));
    place(&app, &order("1", 2)).await;
    assert_eq!(app.drain().await, 1);
    assert_eq!(status(&app, "1").await, Status::Placed);
    assert_eq!(app.queue::<Orders>().depth().later, 1);

    // The first pause is a second at most.
    app.advance(Duration::from_secs(1)).await;
    assert_eq!(status(&app, "1").await, Status::Shipped);
}

#[tokio::test]
async fn an_order_that_can_not_be_met_is_given_up_at_once() {
    let app = shop().start().await;
    place(&app, &order("1", 11)).await;
    app.drain().await;
    assert_eq!(status(&app, "1").await, Status::Failed);

    let [letter] = &app.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((letter.handler.as_str(), letter.kind.as_str()), ("shop::orders::ship", "permanent"));
    assert_eq!(letter.reason, "order 1: 11 × tea are more than there are");
    assert_eq!(letter.attempts, Some(1));

    // Once there are enough, the letter is worth another try.
    app.put("/admin/stock/tea").bearer("letmein").json(&Count { left: 50 }).await;
    app.redrive(letter).await;
    app.drain().await;
    assert_eq!(status(&app, "1").await, Status::Shipped);
    assert!(app.dead_letters().is_empty());
}

#[tokio::test]
async fn a_warehouse_that_stays_closed_ends_in_a_dead_letter() {
    let app = shop().start().await;
    app.fail(Fault::in_handler("orders::ship").always().saying("the warehouse burnt down"));
    place(&app, &order("1", 2)).await;
    app.settle().await;
    let [letter] = &app.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((letter.reason.as_str(), letter.attempts), ("the warehouse burnt down", Some(6)));
    assert_eq!(letter.message().body, r#"{"id":"1","sku":"tea","quantity":2}"#);
}

#[tokio::test]
async fn a_mailer_that_is_away_does_not_hold_up_the_audit() {
    let away = Router::new().fallback(|| async { StatusCode::SERVICE_UNAVAILABLE });
    let app = shop().external::<Mailer>(away).start().await;
    app.topic::<Shipped>().publish(&Shipment { order: "1".into(), sku: "tea".into(), quantity: 1 }).await.unwrap();
    app.settle().await;
    assert_eq!(app.requests_to::<Mailer>().len(), 9);
    assert!(app.bucket::<Trail>().get("shipments/1.txt").await.unwrap().is_some());
    let [letter] = &app.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((letter.handler.as_str(), letter.kind.as_str()), ("shop::mail::email_customer", "error"));
}

#[tokio::test]
async fn prices_follow_what_is_left() {
    let app = shop().start().await;
    assert_eq!(app.get("/quotes/tea?quantity=2").await.json::<Price>().cents, 1_980);
    place(&app, &order("1", 9)).await;
    app.drain().await;
    assert_eq!(app.get("/quotes/tea").await.json::<Price>().cents, 1_990);
    assert_eq!(app.get("/quotes/tea?quantity=2").await.status(), 409);

    let sold_out = app.function::<quote>().call("tea".into(), 2).await;
    assert!(matches!(sold_out, Err(CallError::Failed(QuoteError::SoldOut { left: 1 }))));
}

#[tokio::test]
async fn only_the_admin_counts_the_stock() {
    let app = shop().start().await;
    let count = Count { left: 3 };
    assert_eq!(app.put("/admin/stock/tea").json(&count).await.status(), 401);
    assert_eq!(app.put("/admin/stock/tea").bearer("guess").json(&count).await.status(), 401);
    assert_eq!(app.put("/admin/stock/tea").bearer("letmein").json(&count).await.status(), 200);
    assert_eq!(app.store::<Stock>().get("tea").await.unwrap().unwrap().left, 3);
}

#[tokio::test]
async fn a_report_is_written_every_night() {
    let app = shop().at("2026-03-01T12:00:00Z").start().await;
    place(&app, &order("1", 3)).await;
    app.advance(Duration::from_secs(2 * 24 * 60 * 60)).await;
    let reports = app.bucket::<Reports>().list("", None).await.unwrap().items;
    assert_eq!(reports, ["stock/2026-03-02.csv", "stock/2026-03-03.csv"]);
    let report = app.bucket::<Reports>().get("stock/2026-03-02.csv").await.unwrap().unwrap();
    assert_eq!(report.body, "sku,left\ntea,7\n");

    app.run("nightly_report").await.unwrap();
}
