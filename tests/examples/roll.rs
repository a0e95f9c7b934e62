//! How many requests a public unit loses while it is rolled again and again: `tests/benches/roll.sh`.
//!
//! The shop in a played cluster; `wrk` asks its unit `web` through the front that stands for the cluster's, which retries only
//! what no pod can have seen. Each roll starts another pod and ends the old one by SIGTERM while requests still reach it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it measured")]

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::process::Command;
use updraft_tests::shop::Shop;

const CLIENTS: &str = "16";
/// Between two rolls.
const PAUSE: Duration = Duration::from_millis(200);

/// Orders of no pieces, each with an id of its own, so that a shelf never empties.
const PLACE: &str = r#"
local number = 0
request = function()
    number = number + 1
    local body = string.format('{"id":"%d-%d","sku":"teapot","quantity":0}', os.time(), number)
    return wrk.format("POST", "/orders", { ["Content-Type"] = "application/json" }, body)
end
"#;

/// What a run of wrk said.
#[derive(Default)]
struct Said {
    requests: u64,
    per_second: f64,
    lost: Vec<String>,
}

fn read(output: &str) -> Said {
    let mut said = Said::default();
    for line in output.lines().map(str::trim) {
        if let Some((requests, _)) = line.split_once(" requests in ") {
            said.requests = requests.parse().unwrap_or_default();
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            said.per_second = rate.trim().parse().unwrap_or_default();
        } else if line.starts_with("Non-2xx") || line.starts_with("Socket errors") {
            said.lost.push(line.to_owned());
        }
    }
    said
}

#[tokio::main]
async fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).unwrap_or_else(|| "10".to_owned());
    let Some(shop) = Shop::open().await else { return ExitCode::from(3) };
    shop.place("first", 1).await;
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("place.lua");
    std::fs::write(&script, PLACE).expect("a script");
    let script = script.display().to_string();
    let mut lost = false;
    for (name, path, more) in
        [("GET /quotes/{sku}", "/quotes/teapot?quantity=1", &[][..]), ("POST /orders", "/orders", &["-s", &script])]
    {
        let url = format!("{}{path}", shop.cluster.public("web"));
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c", CLIENTS, "-d", &format!("{seconds}s")]).args(more).arg(url).stdout(Stdio::piped());
        let started = Instant::now();
        let Ok(child) = wrk.spawn() else {
            eprintln!("wrk is not installed");
            return ExitCode::from(3);
        };
        let output = child.wait_with_output();
        tokio::pin!(output);
        let (mut rolls, mut codes) = (0, Vec::new());
        let output = loop {
            tokio::select! {
                output = &mut output => break output.expect("wrk's output"),
                () = tokio::time::sleep(PAUSE) => {
                    let code = shop.cluster.service("web").roll().await;
                    rolls += 1;
                    codes.extend(Some(code).filter(|code| *code != Some(0)));
                }
            }
        };
        let said = read(&String::from_utf8_lossy(&output.stdout));
        let Said { requests, per_second, lost: problems } = said;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{name}: {requests} requests ({per_second:.0}/s), {rolls} rolls in {seconds:.1} s, lost: {problems:?}"
        );
        if requests == 0 || rolls == 0 || !problems.is_empty() || !codes.is_empty() {
            println!("  exit codes other than 0: {codes:?}");
            lost = true;
        }
    }
    shop.close().await;
    if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
