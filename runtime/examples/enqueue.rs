//! How many messages a second the embedded engine takes durably, at 1, 64 and 256 clients, each waiting for its answer:
//!
//! ```text
//! cargo run --release -p updraft --example enqueue [seconds]
//! ```
//!
//! In a directory of its own under the system's temporary one (`TMPDIR`), which says what "durable" is worth.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft::clock::SystemClock;
use updraft::embedded::{Embedded, Topology};
use updraft::engine::{Channel, Message, Messaging};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    println!("{:>7}  {:>9}  {:>8}  {:>8}", "clients", "a second", "p50", "p99");
    for clients in [1, 64, 256] {
        let directory = std::env::temp_dir().join(format!("updraft-enqueue-{}-{clients}", std::process::id()));
        let engine = Embedded::open(&directory, Topology::default(), Arc::new(SystemClock))?;
        let begun = Instant::now();
        let until = begun + Duration::from_secs(seconds);
        let clients_of: Vec<_> = (0..clients).map(|client| tokio::spawn(send(engine.clone(), client, until))).collect();
        let mut times = Vec::new();
        for client in clients_of {
            times.extend(client.await?.map_err(|error| error.to_string())?);
        }
        let elapsed = begun.elapsed();
        times.sort();
        let rate = times.len() as f64 / elapsed.as_secs_f64();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{clients:>7}  {rate:>9.0}  {:>6.2}ms  {:>6.2}ms", millis(p50), millis(p99));
        drop(engine);
        std::fs::remove_dir_all(directory)?;
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Sends one message after another; how long each took.
async fn send(engine: Embedded, client: usize, until: Instant) -> updraft::engine::EngineResult<Vec<Duration>> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let message = Message {
            id: format!("{client}-{}", times.len()),
            source: "//bench/enqueue".into(),
            time: jiff::Timestamp::now(),
            schema: None,
            trace: None,
            attributes: BTreeMap::new(),
            body: Bytes::from_static(
                br#"{"id":"0190","sku":"tea","quantity":2,"note":"a body of a usual length, about a hundred bytes"}"#,
            ),
        };
        let begun = Instant::now();
        engine.publish(Channel::Queue("orders"), vec![message], Duration::ZERO).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
