//! The program on a laptop: PostgreSQL started for it, and what is left if there is none.

mod program;

use ledger::Ledger;
use program::{Program, ask};
use std::path::Path;
use std::process::Command;

fn start(state: &Path, life: u32) -> Program {
    Program::start(command(state), state.join(format!("log-{life}")))
}

fn command(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
    command.args(["--port", "0"]).env("UPDRAFT_STATE_DIR", state);
    command
}

fn transfer(id: &str, cents: u32) -> String {
    format!(r#"{{"id":"{id}","source":"outside","target":"ada","cents":{cents}}}"#)
}

#[tokio::test]
async fn a_killed_program_keeps_its_rows_and_their_messages() {
    // Says so and skips where there is no PostgreSQL.
    let Some(_) = updraft::test::database::<Ledger>().await else { return };
    let state = tempfile::tempdir().unwrap();
    let mut program = start(state.path(), 1);
    let address = program.address();
    assert_eq!(ask(&address, "PUT", "/accounts/ada", ""), Some((201, String::new())));
    assert_eq!(ask(&address, "POST", "/transfers", &transfer("first", 100)), Some((201, String::new())));
    program.kill();

    // What was committed is there, once, and what follows from it still comes.
    let mut program = start(state.path(), 2);
    let address = program.address();
    let (status, account) = ask(&address, "GET", "/accounts/ada", "").unwrap();
    assert_eq!((status, account.as_str()), (200, r#"{"id":"ada","cents":100}"#));
    assert_eq!(ask(&address, "POST", "/transfers", &transfer("first", 100)), Some((200, String::new())));
    let lines = |address: &str| ask(address, "GET", "/accounts/ada/statement", "").map(|(_, lines)| lines);
    program.wait(|_| lines(&address).filter(|lines| lines == "[100]"));
    assert_eq!(ask(&address, "POST", "/transfers", &transfer("second", 50)), Some((201, String::new())));
    program.kill();

    let mut program = start(state.path(), 3);
    let address = program.address();
    program.wait(|_| lines(&address).filter(|lines| lines == "[100,50]"));
    // The server ends with the program, and before it.
    assert!(state.path().join("postgres/data/postmaster.pid").exists());
    assert!(program.terminate().success(), "{}", program.log());
    assert!(!state.path().join("postgres/data/postmaster.pid").exists());
}

#[test]
fn without_postgresql_the_rest_runs_and_says_how_to_get_it() {
    let state = tempfile::tempdir().unwrap();
    let mut command = command(state.path());
    command.env("PATH", "").env("UPDRAFT_POSTGRES_BIN", "/nowhere");
    let mut program = Program::start(command, state.path().join("log"));
    let address = program.address();
    let help = "PostgreSQL is not installed on this machine: install it";
    let told = program.log();
    assert!(told.contains("No database `ledger`; what takes it answers 503") && told.contains(help), "{told}");
    for (method, path, body) in [
        ("GET", "/accounts/ada", String::new()),
        ("PUT", "/accounts/ada", String::new()),
        ("POST", "/transfers", transfer("first", 1)),
    ] {
        let (status, problem) = ask(&address, method, path, &body).unwrap();
        assert!(status == 503 && problem.contains(help), "{method} {path}: {status} {problem}");
    }
    // What takes no database is as it always is.
    let (status, motto) = ask(&address, "GET", "/", "").unwrap();
    assert_eq!((status, motto.as_str()), (200, "Money only moves."));
    assert_eq!(ask(&address, "GET", "/nowhere", "").unwrap().0, 404);
    assert!(program.terminate().success(), "{}", program.log());
    assert!(!state.path().join("postgres").exists());
}
