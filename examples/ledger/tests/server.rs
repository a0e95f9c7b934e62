//! The program in server mode, as a cluster runs it, against PostgreSQL.

mod program;

use ledger::transfers::Transferred;
use ledger::{Ledger, Transfer};
use program::{PATIENCE, Program, ask};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use updraft::axum::Router;
use updraft::axum::extract::State;
use updraft::axum::http::{HeaderMap, StatusCode};
use updraft::prelude::Database;
use updraft::sqlx;
use updraft::test::{Value, json};

/// The URL of a test's database, for the role `user`, through the folder `socket` if that is not its own.
fn url(ledger: &Database<Ledger>, user: &str, socket: Option<&Path>) -> String {
    let options = ledger.pool().connect_options();
    let socket = socket.unwrap_or(options.get_socket().expect("a socket"));
    format!("postgres://{user}@localhost/{}?host={}", options.get_database().expect("a name"), socket.display())
}

/// A unit that reads accounts and nothing else.
struct Unit {
    program: Program,
    address: String,
    _folder: TempDir,
}

impl Unit {
    fn start(url: &str, broker: &str) -> Unit {
        let folder = tempfile::tempdir().expect("a folder");
        let binding = json!({
            "format": 1, "app": "ledger", "graph": updraft::registry::graph_hash().expect("descriptors"),
            "units": { "accounts": { "handlers": ["ledger::accounts::balance"] } },
            "resources": { "database": { "ledger": { "engine": "postgres", "url_secret": "postgres-url" } } },
            "broker_url": broker,
        });
        std::fs::write(folder.path().join("binding.json"), binding.to_string()).expect("a binding");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
        command.env_clear().current_dir(folder.path()).env("PORT", port.to_string());
        command.env("UPDRAFT_BINDING", "binding.json").env("UPDRAFT_UNIT", "accounts");
        command.env("UPDRAFT_SECRET_POSTGRES_URL", url);
        let program = Program::start(command, folder.path().join("log"));
        Unit { program, address: format!("127.0.0.1:{port}"), _folder: folder }
    }

    fn readiness(&self) -> Option<u16> {
        ask(&self.address, "GET", "/_updraft/readyz", "").map(|(status, _)| status)
    }
}

/// What a broker took: ids and bodies.
type Taken = Arc<Mutex<Vec<(String, Value)>>>;

/// A broker's ingress.
async fn broker() -> (String, Taken) {
    let taken = Taken::default();
    let take = async |State(taken): State<Taken>, headers: HeaderMap, body: String| {
        let id = headers["ce-id"].to_str().expect("text").to_owned();
        taken.lock().expect("unpoisoned").push((id, body.parse().expect("JSON")));
        StatusCode::ACCEPTED
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(take).with_state(taken.clone());
    tokio::spawn(async move { updraft::axum::serve(listener, router).await });
    (format!("http://{address}/"), taken)
}

/// Its unit need not be running, or ever come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_only_reads_hands_on_what_another_committed() {
    let Some(ledger) = updraft::test::database::<Ledger>().await else { return };
    let (transferred, _) = updraft::test::topic::<Transferred>();
    let transfer = |id: &str| Transfer { id: id.into(), source: "outside".into(), target: "ada".into(), cents: 1 };
    let ids = ["a", "b", "c"];
    for id in ids {
        let mut tx = ledger.begin().await.unwrap();
        transferred.publish_in(&mut tx, &transfer(id)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let held: Vec<String> = sqlx::query_scalar("SELECT head::json->>'id' FROM _updraft_outbox ORDER BY number")
        .fetch_all(ledger.pool())
        .await
        .unwrap();
    let (broker, taken) = broker().await;
    let mut unit = Unit::start(&url(&ledger, "updraft", None), &broker);
    let since = Instant::now();
    let waiting = || sqlx::query_scalar("SELECT count(*) FROM _updraft_outbox").fetch_one(ledger.pool());
    while 0i64 < waiting().await.unwrap() {
        assert!(since.elapsed() < PATIENCE, "{}", unit.program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sent = held.into_iter().zip(ids.map(|id| json!(transfer(id)))).collect::<Vec<_>>();
    assert_eq!(*taken.lock().unwrap(), sent, "in order, under their ids");
    assert_eq!(unit.readiness(), Some(200));
    assert_eq!(ask(&unit.address, "GET", "/accounts/outside", ""), Some((200, r#"{"id":"outside","cents":0}"#.into())));
    assert!(unit.program.terminate().success(), "{}", unit.program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_postgresql_answers() {
    let Some(ledger) = updraft::test::database::<Ledger>().await else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let socket = elsewhere.path().join("socket");
    let mut unit = Unit::start(&url(&ledger, "updraft", Some(&socket)), "http://127.0.0.1:1/");
    let (address, away) = (unit.address.clone(), "not reached yet, trying on");
    unit.program.wait(|program| program.log().contains(away).then_some(()));
    let ready = || ask(&address, "GET", "/_updraft/readyz", "").map(|(status, _)| status);
    assert_eq!(ready(), Some(503));
    assert_eq!(ask(&address, "GET", "/_updraft/livez", "").map(|(status, _)| status), Some(200));
    std::os::unix::fs::symlink(ledger.pool().connect_options().get_socket().unwrap(), &socket).unwrap();
    unit.program.wait(|_| ready().filter(|status| *status == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_refuses_ends_the_program() {
    let Some(ledger) = updraft::test::database::<Ledger>().await else { return };
    let good = url(&ledger, "updraft", None);
    let (server, query) = good.split_once('?').unwrap();
    let no_database = format!("{}/nowhere?{query}", server.rsplit_once('/').unwrap().0);
    for (url, said) in [
        (url(&ledger, "stranger", None), "role \"stranger\" does not exist"),
        (no_database, "database \"nowhere\" does not exist"),
        ("mysql://updraft@localhost/ledger".to_owned(), "starts with `postgres://`"),
    ] {
        refused(&url, said);
    }
    let edit = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2";
    sqlx::query(edit).execute(ledger.pool()).await.unwrap();
    refused(&good, "the migration `migrations/0002_transfers.sql` was edited");
}

fn refused(url: &str, said: &str) {
    let mut unit = Unit::start(url, "http://127.0.0.1:1/");
    let code = unit.program.ended().code();
    assert!(code == Some(3) && unit.program.log().contains(said), "{code:?}, not {said}:\n{}", unit.program.log());
}
