//! Durable enqueue, dequeue and acknowledge per second of the embedded engine, Redis and NATS JetStream, on the same disk in
//! the same run. Rounds alternate between the three, so that a busy machine troubles all alike; a round's figures are of
//! little worth, their ratios' medians are. `tests/benches/queue.sh` builds and runs it.
//!
//! Each client enqueues one message and waits until that is durable, takes one (anybody's) and acknowledges it, and begins
//! again. What each system is asked for is what a careful user would ask for:
//!
//! - embedded: `publish`, `lease`, `ack`, as the dispatcher does it.
//! - Redis: `appendfsync always`; a stream with a consumer group: XADD, XREADGROUP, then XACK and XDEL in one go. One
//!   connection that all clients share, so that commands are pipelined.
//! - NATS: `sync_interval: always`, file storage, a work queue with explicit acknowledgement. Connections are shared by up to
//!   64 clients. The acknowledgement is sent and not waited for, which is what its clients do unless told otherwise.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod jetstream;
mod redis_stream;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft::clock::SystemClock;
use updraft::embedded::{Embedded, Topology, topology};
use updraft::engine::{BoxFuture, Channel, Message, Messaging};

/// A body of a usual length.
pub(crate) const BODY: &[u8] =
    br#"{"id":"0190","sku":"tea","quantity":2,"note":"a body of a usual length, about a hundred bytes"}"#;
/// Before the clock starts: connections, caches.
const WARM_UP: Duration = Duration::from_millis(300);
const CLIENTS: [usize; 3] = [1, 16, 256];

pub(crate) type Outcome<T> = Result<T, String>;

/// Enqueues, dequeues and acknowledges one message for the client of this number.
pub(crate) trait Queue: Send + Sync + 'static {
    fn cycle(&self, client: usize) -> BoxFuture<'_, Outcome<()>>;
}

struct Ours(Embedded);

impl Queue for Ours {
    fn cycle(&self, client: usize) -> BoxFuture<'_, Outcome<()>> {
        Box::pin(async move {
            let message = Message {
                id: format!("0190a5b2-7c4e-7d3a-9f10-{client:012x}"),
                source: "//bench/queue".into(),
                time: jiff::Timestamp::now(),
                schema: None,
                trace: None,
                attributes: BTreeMap::new(),
                body: Bytes::from_static(BODY),
            };
            let said = |error: updraft::engine::EngineError| error.to_string();
            self.0.publish(Channel::Queue("orders"), vec![message], Duration::ZERO).await.map_err(said)?;
            let leases =
                self.0.lease(&topology::queue_lane("orders"), 1, Duration::from_secs(60)).await.map_err(said)?;
            let lease = leases.into_iter().next().ok_or("nothing to take, though as many were sent as taken")?;
            if self.0.ack(lease).await.map_err(said)? { Ok(()) } else { Err("the lease had ended".into()) }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum System {
    Embedded,
    Redis,
    Nats,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let systems: Vec<System> = [
        (System::Embedded, true),
        (System::Redis, updraft_tests::servers::optional("redis-server").is_some()),
        (System::Nats, updraft_tests::servers::optional("nats-server").is_some()),
    ]
    .into_iter()
    .filter_map(|(system, there)| there.then_some(system))
    .collect();
    let place = std::env::temp_dir();
    println!(
        "cycles (enqueue, dequeue, acknowledge) per second, in {}, {rounds} rounds of {seconds} s",
        place.display()
    );
    for clients in CLIENTS {
        let mut rates: BTreeMap<System, Vec<f64>> = BTreeMap::new();
        for round in 0..rounds {
            for turn in 0..systems.len() {
                let system = systems[(turn + round) % systems.len()];
                let folder = tempfile::tempdir_in(&place)?;
                let rate = measure(system, clients, Duration::from_secs_f64(seconds), folder.path()).await?;
                rates.entry(system).or_default().push(rate);
            }
        }
        let ours = rates[&System::Embedded].clone();
        for (system, rates) in &rates {
            let ratios = ours.iter().zip(rates).map(|(ours, other)| ours / other).collect();
            let rate = median(rates.clone());
            match system {
                System::Embedded => println!("{clients:>4} clients  embedded {rate:>9.0}/s"),
                System::Redis | System::Nats => {
                    let name = format!("{system:?}").to_lowercase();
                    println!("{clients:>4} clients  {name:<8} {rate:>9.0}/s  embedded is {:.2} of it", median(ratios));
                }
            }
        }
    }
    Ok(())
}

async fn measure(system: System, clients: usize, time: Duration, folder: &Path) -> Outcome<f64> {
    match system {
        System::Embedded => {
            let engine = Embedded::open(folder, Topology::default(), Arc::new(SystemClock));
            cycles(Arc::new(Ours(engine.map_err(|error| error.to_string())?)), clients, time).await
        }
        System::Redis => {
            let (_server, queue) = redis_stream::start(folder).await?;
            cycles(Arc::new(queue), clients, time).await
        }
        System::Nats => {
            let (_server, queue) = jetstream::start(folder, clients).await?;
            cycles(Arc::new(queue), clients, time).await
        }
    }
}

/// Cycles per second of so many clients at once.
async fn cycles(queue: Arc<impl Queue>, clients: usize, time: Duration) -> Outcome<f64> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let client = |client: usize| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut done = 0u64;
            loop {
                queue.cycle(client).await?;
                match Instant::now() {
                    now if now < begin => {}
                    now if now < end => done += 1,
                    _ => return Outcome::Ok(done),
                }
            }
        })
    };
    let running: Vec<_> = (0..clients).map(client).collect();
    let mut done = 0;
    for client in running {
        done += client.await.map_err(|error| error.to_string())??;
    }
    Ok(done as f64 / time.as_secs_f64())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
