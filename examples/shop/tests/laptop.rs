//! The shop as a program on a laptop: how it starts, what it says when it can't, how it is reached and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use updraft::test::{Value, json};

/// A folder with the shop's settings, so that nothing of the clone is touched.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("Updraft.toml");
    std::fs::copy(settings, folder.path().join("Updraft.toml")).unwrap();
    folder
}

fn shop(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command
        .env_clear()
        .env("CARGO_MANIFEST_DIR", folder)
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct Running {
    child: Child,
    address: String,
    /// Read all the time, so that a long log holds up nobody.
    output: JoinHandle<String>,
}

fn start(command: &mut Command) -> Running {
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let Some((_, address)) = line.trim().split_once("http://") else {
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("it says {line:?} and {errors}");
    };
    let address = address.to_owned();
    let output = std::thread::spawn(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        rest
    });
    Running { address, child, output }
}

impl Running {
    fn request(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn place(&self, id: &str) {
        let order = json!({ "id": id, "sku": "tea", "quantity": 1 }).to_string();
        let answer = self.request("POST /orders HTTP/1.1\r\nhost: localhost", &order);
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    fn order(&self, id: &str) -> String {
        self.request(&format!("GET /orders/{id} HTTP/1.1\r\nhost: localhost"), "")
    }

    /// SIGTERM, and what it said until it ended well.
    fn end(mut self) -> String {
        let signalled = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(signalled.success());
        assert!(self.child.wait().unwrap().success());
        self.output.join().unwrap()
    }
}

fn control(state: &Path, command: Value) -> Value {
    let mut socket = UnixStream::connect(state.join("control.sock")).unwrap();
    writeln!(socket, "{command}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.parse().unwrap()
}

fn refused(output: &Output, reason: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains(reason), "`{reason}` is not in: {errors}");
}

#[test]
fn serves_keeps_its_state_and_ends_well() {
    let folder = folder();
    let running = start(&mut shop(folder.path()));
    running.place("1");
    let log = running.end();
    assert!(log.contains("POST /orders"), "{log}");
    let state = folder.path().join(".updraft");
    assert!(!state.join("control.sock").exists());
    assert_eq!(std::fs::read_to_string(state.join(".gitignore")).unwrap(), "*\n");

    // What was acknowledged is there after the next start, shipped by either of the two.
    let output = shop(folder.path()).env("UPDRAFT_ONCE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let running = start(&mut shop(folder.path()));
    assert!(running.order("1").contains(r#""status":"shipped""#));
    running.end();
}

#[test]
fn only_this_machine_and_its_owner_reach_it() {
    let folder = folder();
    let mut running = start(&mut shop(folder.path()));
    let rebound = running.request("GET /orders/1 HTTP/1.1\r\nhost: evil.example", "");
    assert!(rebound.starts_with("HTTP/1.1 421"), "{rebound}");

    let state = folder.path().join(".updraft");
    let mode = std::fs::metadata(state.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ping = control(&state, json!({ "do": "ping" }));
    assert_eq!((&ping["ok"]["app"], &ping["ok"]["pid"]), (&json!("shop"), &json!(running.child.id())));

    let invoke = |handler: &str, input| control(&state, json!({ "do": "invoke", "handler": handler, "input": input }));
    let quote = invoke("shop::pricing::quote", json!({ "sku": "tea", "quantity": 2 }));
    assert_eq!(quote, json!({ "ok": { "cents": 1_980 } }));
    assert_eq!(invoke("shop::pricing::quote", json!({ "sku": 1 }))["kind"], "usage");
    assert_eq!(invoke("shop::orders::ship", json!({ "id": "x" }))["kind"], "usage");
    assert_eq!(invoke("shop::nobody", json!(null))["kind"], "usage");
    assert_eq!(invoke("shop::reports::nightly_report", json!(null)), json!({ "ok": null }));
    let too_many = json!({ "id": "2", "sku": "tea", "quantity": 1_000 });
    assert_eq!(invoke("shop::orders::ship", too_many.clone())["kind"], "failed");

    let headers = json!({ "content-type": "application/json" });
    let placed = json!({ "do": "request", "method": "POST", "uri": "/orders", "headers": headers, "body": too_many.to_string() });
    assert_eq!(control(&state, placed)["ok"]["status"], 202);
    let dead_letters = |command| control(&state, json!({ "do": "dead-letters", "command": command }));
    let letters = || dead_letters(json!({ "do": "list" }))["ok"]["letters"].as_array().unwrap().clone();
    let begun = Instant::now();
    while letters().is_empty() {
        assert!(begun.elapsed().as_secs() < 20, "the order is not given up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let letter = &letters()[0];
    assert_eq!((&letter["handler"], &letter["kind"]), (&json!("shop::orders::ship"), &json!("permanent")));
    let id = &letter["id"];
    let whole = dead_letters(json!({ "do": "show", "id": id }));
    assert_eq!((&whole["ok"]["id"], whole["ok"]["attempts"].as_u64()), (id, Some(1)));
    assert_eq!(dead_letters(json!({ "do": "show", "id": "nothing" }))["kind"], "usage");
    assert_eq!(dead_letters(json!({ "do": "drop", "handler": "shop::nobody" }))["ok"]["done"], 0);
    assert_eq!(dead_letters(json!({ "do": "redrive", "id": id }))["ok"], json!({ "done": 1, "failed": [] }));
    while letters().is_empty() {
        assert!(begun.elapsed().as_secs() < 20, "the order is not given up again");
        std::thread::sleep(Duration::from_millis(20));
    }
    let drop = json!({ "do": "drop", "handler": "shop::orders::ship", "newer_than": 3600 });
    assert_eq!(dead_letters(drop)["ok"], json!({ "done": 1, "failed": [] }));
    assert!(letters().is_empty());

    // A second one on the same state is refused, and says who has it.
    let pid = format!("pid {}", running.child.id());
    refused(&shop(folder.path()).output().unwrap(), &pid);
    assert!(running.child.try_wait().unwrap().is_none());
    running.end();
}

#[test]
fn says_why_it_can_not_start() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&shop(folder().path()).env("PORT", &port).output().unwrap(), &format!("port {port} is taken"));

    let unwritable = folder();
    std::fs::write(unwritable.path().join("file"), "").unwrap();
    let below = unwritable.path().join("file/state");
    refused(&shop(unwritable.path()).env("UPDRAFT_STATE_DIR", below).output().unwrap(), "UPDRAFT_STATE_DIR");

    let bare = tempfile::tempdir().unwrap();
    let output = shop(bare.path()).output().unwrap();
    refused(&output, "UPDRAFT_SECRET_MAILER_KEY");
    refused(&output, "updraft.secrets.toml");
    let sample = bare.path().join("updraft.secrets.toml");
    assert_eq!(std::fs::metadata(sample).unwrap().permissions().mode() & 0o777, 0o600);

    let wrong = folder();
    std::fs::write(wrong.path().join("Updraft.toml"), "[config.warehouse]\ninitial = \"many\"").unwrap();
    refused(&shop(wrong.path()).output().unwrap(), "[config.warehouse]");
    refused(
        &shop(folder().path()).env("UPDRAFT_NOW", "shop::nobody").output().unwrap(),
        "shop::reports::nightly_report",
    );
}

#[test]
fn runs_a_schedule_and_ends_when_nothing_is_left() {
    let folder = folder();
    let mut command = shop(folder.path());
    let output = command.args(["--once", "--now", "shop::reports::nightly_report"]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(log.lines().any(|line| line.contains("shop::reports::nightly_report") && line.contains("done")), "{log}");
}

#[test]
fn ends_with_whoever_started_it() {
    let folder = folder();
    let mut running = start(shop(folder.path()).env("UPDRAFT_PARENT", "stdin").stdin(Stdio::piped()));
    drop(running.child.stdin.take());
    assert!(running.child.wait().unwrap().success());
}

#[test]
fn under_chaos_each_order_comes_to_its_end_and_the_log_says_what_went_wrong() {
    let folder = folder();
    let running = start(shop(folder.path()).args(["--chaos", "7"]));
    let begun = Instant::now();
    let in_time = || assert!(begun.elapsed().as_secs() < 60, "an order does not come to its end");
    // Two are more than there are. A customer who gets no answer asks again.
    let orders: Vec<(String, u32)> = (0..20).map(|at| (format!("c{at}"), if at < 2 { 1_000 } else { 1 })).collect();
    let mut broke_off = 0;
    for (id, quantity) in &orders {
        let order = json!({ "id": id, "sku": "tea", "quantity": quantity }).to_string();
        while !running.request("POST /orders HTTP/1.1\r\nhost: localhost", &order).starts_with("HTTP/1.1 202") {
            broke_off += 1;
            in_time();
        }
    }
    for (id, quantity) in &orders {
        let end = if *quantity > 1 { r#""status":"failed""# } else { r#""status":"shipped""# };
        while !running.order(id).contains(end) {
            in_time();
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let log = running.end();
    let chaos: Vec<&str> =
        log.lines().filter_map(|line| line.get(14..)).filter(|line| line.starts_with("chaos ")).collect();
    let at_requests = chaos.iter().filter(|line| line.contains("shop::orders::place_order")).count();
    // What befalls the requests follows from the seed alone.
    assert!(broke_off > 0 && at_requests >= broke_off, "{broke_off} of {at_requests}: {log}");
    assert!(chaos.iter().any(|line| line.contains("message ")), "{log}");

    // Whatever was still under way is finished without chaos, and nothing was given up but what can't be shipped.
    let output = shop(folder.path()).arg("--once").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let running = start(&mut shop(folder.path()));
    for (id, quantity) in &orders {
        let end = if *quantity > 1 { r#""status":"failed""# } else { r#""status":"shipped""# };
        assert!(running.order(id).contains(end), "{id}");
    }
    let list = json!({ "do": "dead-letters", "command": { "do": "list" } });
    let letters = control(&folder.path().join(".updraft"), list);
    let letters = letters["ok"]["letters"].as_array().unwrap();
    assert!(!letters.is_empty() && letters.iter().all(|letter| letter["kind"] == "permanent"), "{letters:?}");
    running.end();
}

#[test]
fn secrets_rotate_while_it_runs() {
    let folder = folder();
    let running = start(&mut shop(folder.path()));
    let allowed = |key: &str| {
        let head = format!("PUT /admin/stock/tea HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}");
        let answer = running.request(&head, &json!({ "left": 1 }).to_string());
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 401"), "{answer}");
        answer.starts_with("HTTP/1.1 200")
    };
    assert!(allowed("letmein"), "what `[dev.secrets]` says");
    let file = folder.path().join("updraft.secrets.toml");
    std::fs::write(&file, "admin-key = \"one\"\n").unwrap();
    assert!(allowed("one") && !allowed("letmein"));
    // As a careful editor does, which puts a new file into its place.
    let new = folder.path().join("new");
    std::fs::write(&new, "admin-key = \"two\"\n").unwrap();
    std::fs::rename(&new, &file).unwrap();
    assert!(allowed("two") && !allowed("one"));
    std::fs::remove_file(&file).unwrap();
    assert!(allowed("letmein") && !allowed("two"));
    running.end();
}

#[test]
fn each_mistake_of_a_config_is_told_at_once() {
    let folder = folder();
    let settings = std::fs::read_to_string(folder.path().join("Updraft.toml")).unwrap();
    let settings = settings.replace("initial = 100", "initial = \"many\"\nspare = 3");
    std::fs::write(folder.path().join("Updraft.toml"), settings).unwrap();
    let output = shop(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    for part in [
        r#"`initial` is "many": invalid type: string "many", expected u32"#,
        "help: `initial` stands in `[config.warehouse]` of Updraft.toml",
        "unknown field `spare`: there are `initial`",
    ] {
        assert!(errors.contains(part), "`{part}` is not in: {errors}");
    }
}
