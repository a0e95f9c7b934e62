//! The program as functions in an account of AWS's, as far as one can be had on this machine: MiniStack, which holds roles to
//! their policies, with the template that is expected of it; and a PostgreSQL that is somebody else's.

use ledger::{Ledger, Transfer};
use std::path::Path;
use std::time::{Duration, Instant};
use updraft::sqlx;
use updraft::test::{Value, json};
use updraft_tests::aws::{Account, Stack, deploy, zip};
use updraft_tests::http::Answer;

const PATIENCE: Duration = Duration::from_secs(60);

fn expected(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected/aws-lambda");
    std::fs::read_to_string(folder.join(name)).expect(name).parse().expect("JSON")
}

/// Asks through the API.
async fn ask(account: &Account, stack: &Stack, method: &str, path: &str, body: Option<Value>) -> Answer {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    account.ask(stack, method, path, &[("content-type", "application/json")], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_announced_and_reviewed() {
    let Some(ledger) = updraft::test::database::<Ledger>().await else { return };
    let Some(account) = Account::open() else { return };
    // The functions make the tables.
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(ledger.pool()).await.expect("emptied");
    let zip = zip(Path::new(env!("CARGO_BIN_EXE_ledger")), expected("binding.json").to_string().as_bytes());
    let stack = deploy(&account, "ledger", expected("template.json"), zip).await;
    let options = ledger.pool().connect_options();
    let (name, socket) = (options.get_database().expect("a name"), options.get_socket().expect("a socket"));
    let url = format!("postgres://updraft@localhost/{name}?host={}", socket.display());
    let secret = json!({ "SecretId": stack.physical("LedgerDatabaseUrl"), "SecretString": url,
        "ClientRequestToken": format!("{:0>36}", 1) });
    account.json("secretsmanager", "secretsmanager.PutSecretValue", &secret).await;

    let opened = ask(&account, &stack, "PUT", "/accounts/ada", None).await;
    assert_eq!(opened.status, 201, "{}", opened.text());
    let cents = 2_000_000;
    let transfer = Transfer { id: "t1".into(), source: "outside".into(), target: "ada".into(), cents };
    for status in [201, 200] {
        let made = ask(&account, &stack, "POST", "/transfers", Some(json!(transfer))).await;
        assert_eq!(made.status, status, "{}", made.text());
    }
    // By the topic to whoever keeps statements, by the queue to whoever looks at large ones.
    let since = Instant::now();
    loop {
        let lines = ask(&account, &stack, "GET", "/accounts/ada/statement", None).await;
        let reviewed = sqlx::query_scalar::<_, bool>("SELECT reviewed FROM transfer").fetch_one(ledger.pool());
        let (lines, reviewed) = (lines.text(), reviewed.await.expect("a transfer"));
        if (lines.as_str(), reviewed) == ("[2000000]", true) {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{lines}, reviewed: {reviewed}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let balance = ask(&account, &stack, "GET", "/accounts/ada", None).await;
    assert_eq!(balance.text(), r#"{"id":"ada","cents":2000000}"#);

    // What a process left behind is found when the scheduler has somebody look: here one left it that is gone.
    let (transferred, _) = updraft::test::topic::<ledger::transfers::Transferred>();
    let mut tx = ledger.begin().await.expect("a transaction");
    transferred.publish_in(&mut tx, &Transfer { id: "t2".into(), cents: 1, ..transfer }).await.expect("published");
    tx.commit().await.expect("committed");
    let input = expected("template.json")["Resources"]["LedgerOutboxTick"]["Properties"]["Target"]["Input"].clone();
    let input: Value = input.as_str().expect("a text").parse().expect("JSON");
    let looked = account.invoke(stack.physical("LedgerTransfersTransferFunction"), &input).await;
    assert_eq!(looked, Ok(json!(1)));
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM _updraft_outbox").fetch_one(ledger.pool()).await.expect("a count");
    assert_eq!(waiting, 0);
}
