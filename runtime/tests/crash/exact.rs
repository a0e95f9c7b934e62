//! What must be exact: a schedule's runs, and handlers with `once`. They have a state of their own, on a clock that the child
//! moves on minute by minute, each time once the last minute's run is done.

use super::*;
use tokio::sync::watch;
use updraft::registry::Tick;
use updraft_wire::Record;

/// When minute 0 is.
const BEGIN: Timestamp = Timestamp::constant(1_767_225_600, 0);
const DAY_MILLIS: u64 = 86_400_000;
const CHARGERS: u64 = 2;

static MINUTELY: Handler = Handler {
    timeout_millis: DAY_MILLIS,
    ..handler(
        "minutely",
        Dispatch::Schedule {
            cron: "* * * * *",
            timezone: "UTC",
            overlap: true,
            run_missed: true,
            retries: 5,
            run: minutely,
        },
    )
};
const RECORD: Record = Record {
    id: "charge",
    kind: "consumer",
    file: "crash.rs",
    line: 1,
    options: &[("once", "3600000")],
    grants: Grants::None,
};
static DESCRIPTOR: [u8; RECORD.encoded_len()] = RECORD.encode();
static CHARGE: Handler = Handler {
    descriptor: &DESCRIPTOR,
    timeout_millis: DAY_MILLIS,
    ..handler("charge", Dispatch::Consumer { queue: "charges", retries: 5, deliver: charge })
};

/// The last minute whose run is done.
static DONE: LazyLock<watch::Sender<i64>> = LazyLock::new(|| watch::Sender::new(0));

fn minute_of(time: Timestamp) -> i64 {
    (time.as_second() - BEGIN.as_second()) / 60
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(BEGIN.as_second() + minute * 60).expect("a time")
}

fn minutely(scope: Scope, tick: Tick) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let minute = minute_of(tick.scheduled);
        if is_child() {
            say(&format!("ran {minute} {}", tick.attempt.unwrap_or(0)));
        }
        let key = format!("minute/{minute}");
        scope.store("exact")?.put("exact", key.as_bytes(), filled(1), Expect::Anything, None).await?;
        DONE.send_if_modified(|last| *last < minute && std::mem::replace(last, minute) < minute);
        Ok(())
    })
}

/// Counts its effects.
fn charge(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let id = incoming.message.id;
        if is_child() {
            say(&format!("charging {id}"));
        }
        let store = scope.store("exact")?;
        let key = format!("charge/{id}");
        let effects = store.get("exact", key.as_bytes()).await?.map_or(0, |entry| number(&entry.value));
        store.put("exact", key.as_bytes(), filled(effects + 1), Expect::Anything, None).await?;
        if incoming.attempt == Some(1) && hash(&id).is_multiple_of(10) {
            return Err(Error::new("charged, and yet it failed"));
        }
        Ok(())
    })
}

fn start_exact(directory: &Path, clock: &ManualClock) -> (Embedded, Dispatcher) {
    start_with(&directory.join("exact"), Arc::new(clock.clone()), Topology::of([&MINUTELY, &CHARGE]))
}

async fn effects(engine: &Embedded, id: &str) -> u64 {
    let entry = StoreEngine::get(engine, "exact", format!("charge/{id}").as_bytes()).await.expect("read");
    entry.map_or(0, |entry| number(&entry.value))
}

/// The child's part, from the last minute that it has told of.
pub(super) async fn live(directory: &Path, life: u64, minute: i64) {
    let clock = ManualClock::new(at(minute));
    let (engine, dispatcher) = start_exact(directory, &clock);
    // From when on there are runs is kept with the first look.
    dispatcher.drain().await.expect("worked");
    for charger in 0..CHARGERS {
        tokio::spawn(charge_often(engine.clone(), life, charger));
    }
    let ticking = async {
        let mut done = DONE.subscribe();
        for next in minute.. {
            say(&format!("minute {next}"));
            clock.set(at(next));
            done.wait_for(|done| *done >= next).await.expect("it is static");
        }
    };
    tokio::join!(ticking, dispatcher.run());
}

/// Each message is sent again once it is known to be complete.
async fn charge_often(engine: Embedded, life: u64, charger: u64) {
    for round in 0.. {
        let id = format!("{life}-{charger}-{round}");
        let sent = || engine.publish(Channel::Queue("charges"), vec![message(&id)], Duration::ZERO);
        sent().await.expect("published");
        say(&format!("charge {id}"));
        while !engine.completed(CHARGE.id, &id).expect("read") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        say(&format!("charged {id} {}", effects(&engine, &id).await));
        sent().await.expect("published");
    }
}

#[derive(Default)]
pub(super) struct Acknowledged {
    /// The last minute that the clock was set to.
    pub(super) minute: i64,
    /// The last attempt at each run.
    ran: BTreeMap<i64, u32>,
    charges: BTreeSet<String>,
    /// How often each was charged that is complete.
    charged: BTreeMap<String, u64>,
}

impl Acknowledged {
    /// Whether the line is about what is exact.
    pub(super) fn heard(&mut self, line: &str) -> bool {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["minute", minute] => self.minute = minute.parse().expect("a number"),
            ["ran", minute, attempt] => {
                let attempt = attempt.parse().expect("a number");
                let last = self.ran.insert(minute.parse().expect("a number"), attempt);
                assert!(
                    last.is_none_or(|last| attempt > last),
                    "minute {minute}: attempt {attempt} came after {last:?}: it was fired twice"
                );
            }
            ["charge", id] => drop(self.charges.insert(id.to_owned())),
            ["charging", id] => {
                assert!(!self.charged.contains_key(id), "{id} is complete, and is charged again");
            }
            ["charged", id, effects] => {
                self.charged.insert(id.to_owned(), effects.parse().expect("a number"));
            }
            _ => return false,
        }
        true
    }

    /// Works off what is left, and looks whether each minute has run and nothing that was complete has run again.
    pub(super) async fn verify(&self, directory: &Path) -> (usize, usize) {
        let clock = ManualClock::new(at(self.minute));
        let (engine, dispatcher) = start_exact(directory, &clock);
        dispatcher.drain().await.expect("worked");
        while let Some(next) = dispatcher.next_message().expect("read") {
            clock.set(next.max(clock.now()));
            dispatcher.drain().await.expect("worked");
        }
        assert!(engine.dead_letters().expect("read").is_empty(), "nothing here fails twice");
        for minute in 1..=self.minute {
            let ran = StoreEngine::get(&engine, "exact", format!("minute/{minute}").as_bytes()).await.expect("read");
            number(&ran.unwrap_or_else(|| panic!("the clock was at minute {minute}, which never ran")).value);
        }
        for id in &self.charges {
            assert!(engine.completed(CHARGE.id, id).expect("read"), "{id} was acknowledged and never completed");
            assert!(effects(&engine, id).await > 0, "{id} was never charged");
        }
        for (id, before) in &self.charged {
            assert_eq!(effects(&engine, id).await, *before, "{id} was complete, and has run again");
        }
        (self.minute as usize, self.charged.len())
    }
}
