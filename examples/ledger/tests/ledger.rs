//! The ledger as a whole, on a database of each test's own.

use ledger::accounts::Account;
use ledger::transfers::Transferred;
use ledger::{Ledger, Transfer};
use updraft::sqlx;
use updraft::test::{App, Fault};

async fn app() -> Option<App> {
    let app = updraft::test::app!(ledger).start_with_databases().await?;
    for account in ["ada", "bob"] {
        assert_eq!(app.put(&format!("/accounts/{account}")).await.status(), 201);
    }
    assert_eq!(transfer(&app, "first", "outside", "ada", 100).await, 201);
    Some(app)
}

async fn transfer(app: &App, id: &str, source: &str, target: &str, cents: i64) -> u16 {
    let transfer = Transfer { id: id.into(), source: source.into(), target: target.into(), cents };
    app.post("/transfers").json(&transfer).await.status().as_u16()
}

async fn sum(app: &App) -> i64 {
    let ledger = app.database::<Ledger>();
    sqlx::query_scalar("SELECT sum(cents)::bigint FROM account").fetch_one(ledger.pool()).await.unwrap()
}

async fn balance(app: &App, account: &str) -> i64 {
    app.get(&format!("/accounts/{account}")).await.json::<Account>().cents
}

#[tokio::test]
async fn money_moves_once_and_statements_follow() {
    let Some(app) = app().await else { return };
    assert_eq!(transfer(&app, "lunch", "ada", "bob", 30).await, 201);
    assert_eq!(transfer(&app, "lunch", "ada", "bob", 30).await, 200, "asked twice, moved once");
    assert_eq!((balance(&app, "ada").await, balance(&app, "bob").await), (70, 30));
    app.drain().await;
    let lines: Vec<i64> = app.get("/accounts/ada/statement").await.json();
    assert_eq!(lines, [100, -30]);
    assert_eq!(app.get("/accounts/eve/statement").await.status(), 404);
    app.run("accounts::audit").await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_announced_to_nobody() {
    let Some(app) = app().await else { return };
    app.drain().await;
    for (id, source, target, cents, status) in [
        ("a", "ada", "bob", 101, 409),
        ("b", "ada", "eve", 1, 404),
        ("c", "ada", "ada", 1, 400),
        ("d", "ada", "bob", -1, 400),
    ] {
        assert_eq!(transfer(&app, id, source, target, cents).await, status, "{id}");
    }
    assert_eq!(app.drain().await, 0, "no message without its commit");
    assert_eq!(sum(&app).await, 0);
}

#[tokio::test]
async fn a_large_transfer_is_reviewed() {
    let Some(app) = app().await else { return };
    assert_eq!(transfer(&app, "house", "outside", "bob", 20_000_000).await, 201);
    app.drain().await;
    let ledger = app.database::<Ledger>();
    let reviewed = "SELECT id FROM transfer WHERE reviewed";
    let reviewed: Vec<String> = sqlx::query_scalar(reviewed).fetch_all(ledger.pool()).await.unwrap();
    assert_eq!(reviewed, ["house"]);
}

/// Whatever order transfers come in, however many are refused or fail halfway: all accounts together hold nothing.
#[tokio::test]
async fn sums_stay_zero() {
    let Some(app) = app().await else { return };
    let accounts = ["ada", "bob", "outside"];
    let mut random = 7u64;
    let mut draw = |most: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % most
    };
    let mut made = 0;
    for round in 0..60 {
        if draw(4) == 0 {
            app.fail(Fault::on::<Transferred>("publish_in"));
        }
        let (source, target) = (accounts[draw(3) as usize], accounts[draw(3) as usize]);
        made += u32::from(transfer(&app, &round.to_string(), source, target, 1 + draw(80) as i64).await == 201);
        assert_eq!(sum(&app).await, 0, "after transfer {round}");
    }
    assert!(made > 10, "{made} transfers were made");
    app.settle().await;
    let ledger = app.database::<Ledger>();
    let transfers: i64 = sqlx::query_scalar("SELECT count(*) FROM transfer").fetch_one(ledger.pool()).await.unwrap();
    assert_eq!(transfers, i64::from(made) + 1);
    let lines = app.store::<ledger::statements::Lines>().scan(()).all().await.unwrap();
    assert_eq!(lines.iter().map(|(_, cents)| cents).sum::<i64>(), 0);
    assert_eq!(lines.len(), 2 * (made as usize + 1), "a line for both accounts of each");
}

#[tokio::test]
async fn a_handler_is_called_as_the_function_it_is() {
    let Some(ledger) = updraft::test::database::<Ledger>().await else { return };
    let (topic, published) = updraft::test::topic::<Transferred>();
    // A reader's sessions refuse to write, whatever the handler's own SQL says.
    let reader = ledger.read_only();
    let refused = sqlx::query("UPDATE account SET cents = 1").execute(reader.pool()).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("25006"));
    let transfer = Transfer { id: "1".into(), source: "outside".into(), target: "x".into(), cents: 1 };
    let mut tx = ledger.begin().await.unwrap();
    topic.publish_in(&mut tx, &transfer).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(published.messages().is_empty(), "the outbox hands on, and nobody committed");
}
