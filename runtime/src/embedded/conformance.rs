//! The engine keeps the promises of queues and topics: in memory and on disk, drained by a test and worked as a laptop does.

use super::topology::Topology;
use super::{Dispatcher, Embedded};
use crate::clock::ManualClock;
use crate::conformance::messaging::handlers::{ALL, Note, Task, batched, notes};
use crate::conformance::messaging::{Declares, Rig, WINDOW, message as task, messaging};
use crate::ctx::{Ctx, Engines, Options, Routed};
use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, Clock, Messaging};
use crate::inflight::InFlight;
use crate::registry::Handler;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the work may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Laptop {
    engine: Embedded,
    clock: ManualClock,
    dispatcher: Dispatcher,
    /// Whether the dispatcher runs by itself; else it is drained.
    runs: bool,
}

fn topology() -> Topology {
    Topology::of(&ALL).dedup("known", WINDOW).dedup("known-too", WINDOW)
}

fn laptop(engine: Embedded, clock: ManualClock, runs: bool) -> Laptop {
    let shared = Arc::new(engine.clone());
    let engines =
        Engines { stores: Routed::all(shared.clone()), buckets: Routed::all(shared.clone()), ..Engines::only(shared) };
    let options = Options { clock: Arc::new(clock.clone()), ..Options::default() };
    let ctx = Ctx::new("conformance", engines, options);
    let dispatcher = Dispatcher::new(ctx, engine.clone(), InFlight::default(), 7).expect("no schedules");
    if runs {
        let dispatcher = dispatcher.clone();
        tokio::spawn(async move { dispatcher.run().await });
    }
    Laptop { engine, clock, dispatcher, runs }
}

impl Rig for Laptop {
    fn declares(&self) -> Declares {
        Declares {
            attempts: true,
            exclusive: true,
            backoff: true,
            delay: true,
            ordered: true,
            dedup: true,
            batch: usize::MAX,
            redrive: true,
            crash: false, // the kill test's: `tests/crash.rs`
        }
    }

    fn messaging(&self) -> Arc<dyn Messaging> {
        Arc::new(self.engine.clone())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        self.clock.advance(time);
        Box::pin(async {})
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let started = Instant::now();
            while !self.dispatcher.idle().expect("the state") {
                assert!(started.elapsed() < PATIENCE, "there is always something left");
                if self.runs {
                    // What is due is begun without being asked; then only time helps.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                } else {
                    self.dispatcher.drain().await.expect("the state");
                }
                let next = self.dispatcher.next_message().expect("the state");
                if let Some(next) = next.filter(|_| self.dispatcher.in_flight().count() == 0) {
                    self.clock.set(next);
                }
            }
        })
    }

    fn notes(&self) -> BoxFuture<'_, Vec<Note>> {
        Box::pin(notes(&self.engine))
    }

    fn letters(&self) -> BoxFuture<'_, Vec<DeadLetter>> {
        Box::pin(async { self.engine.dead_letters().expect("the state") })
    }

    fn redrive<'a>(&'a self, letter: &'a DeadLetter) -> BoxFuture<'a, ()> {
        Box::pin(async { self.engine.redrive(&letter.handler, &letter.id).await.expect("redriven") })
    }

    fn crash(&self) -> BoxFuture<'_, ()> {
        unreachable!("not declared")
    }
}

#[tokio::test]
async fn in_memory_and_drained() {
    let clock = ManualClock::new(Timestamp::now());
    let engine = Embedded::in_memory(topology(), Arc::new(clock.clone())).expect("memory");
    messaging(&laptop(engine, clock, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_disk_and_running() {
    let (directory, clock) = (tempfile::tempdir().expect("a folder"), ManualClock::new(Timestamp::now()));
    let engine = Embedded::open(directory.path(), topology(), Arc::new(clock.clone())).expect("a disk");
    messaging(&laptop(engine, clock, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_to_be_filled_and_no_longer() {
    static PATIENT: Handler = batched(3, 10_000);
    let clock = ManualClock::new(Timestamp::now());
    let engine = Embedded::in_memory(Topology::of([&PATIENT]), Arc::new(clock.clone())).expect("memory");
    let laptop = laptop(engine, clock, true);
    let send = async |messages: usize| {
        let messages = (0..messages).map(|_| task(&Task::default(), &[])).collect();
        laptop.engine.publish(Channel::Queue("batched"), messages, Duration::ZERO).await.expect("published");
    };
    let ended = async |count: usize| {
        let started = Instant::now();
        loop {
            let notes = laptop.notes().await;
            if notes.iter().filter(|note| note.end.is_some()).count() == count {
                return notes.last().map_or(0, |note| note.together);
            }
            assert!(started.elapsed() < PATIENCE, "{notes:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    send(2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(ended(0).await, 0, "it waits for a third");
    laptop.clock.advance(Duration::from_secs(10));
    assert_eq!(ended(2).await, 2, "but no longer than it may");
    send(3).await;
    assert_eq!(ended(5).await, 3, "what is full does not wait");
}
