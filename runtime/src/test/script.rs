//! How the test harness makes things fail: the faults that a test asks for, and (in a simulation) chaos.
//!
//! In a simulation each step of an attempt is a turn: the attempt waits there until the simulation polls it again, and
//! whatever befalls the step is decided and written down here.

use super::TESTER;
use super::faults::Injected;
use super::trace::Log;
use crate::chaos::{Chaos, Dice, Strike, of_message};
use crate::clock::ManualClock;
use crate::ctx::{Faults, Operation};
use crate::engine::{BoxFuture, Channel, Clock, EngineResult, Message};
use crate::error::Error;
use crate::faults::{Attempt, Moment, Occasion, Step, Travel};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

/// Everything that fails in one application.
pub(super) struct Script {
    pub(super) injected: Injected,
    seed: u64,
    /// Messages that no attempt sent.
    sent: AtomicU64,
    storm: Option<Arc<Storm>>,
}

/// Chaos, and what it and the simulation tell each other.
pub(super) struct Storm {
    pub(super) chaos: Chaos,
    pub(super) clock: ManualClock,
    pub(super) log: Log,
    /// Faults that are left out.
    spared: BTreeSet<u64>,
    /// Whose work is being polled, or waits for something outside the simulation.
    turn: Mutex<Option<Turn>>,
    /// Attempts that are under way, by key.
    attempts: Mutex<BTreeMap<u64, Weak<Attempt>>>,
    /// Last attempts that are under way: they are spared.
    pub(super) last: AtomicUsize,
    /// Whether the work that was polled waits for its next turn.
    yielded: AtomicBool,
    stalled: AtomicBool,
    restart: AtomicBool,
}

/// Whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) name: Arc<str>,
    pub(super) key: u64,
    /// Whether it works at a message or run, which has a lease.
    pub(super) leased: bool,
}

impl Script {
    pub(super) fn new(seed: u64, storm: Option<Arc<Storm>>) -> Self {
        Script { injected: Injected::default(), seed, sent: AtomicU64::new(0), storm }
    }
}

impl Storm {
    pub(super) fn new(chaos: Chaos, clock: ManualClock, log: Log, spared: BTreeSet<u64>) -> Self {
        Storm {
            chaos,
            clock,
            log,
            spared,
            turn: Mutex::default(),
            attempts: Mutex::default(),
            last: AtomicUsize::new(0),
            yielded: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            restart: AtomicBool::new(false),
        }
    }

    pub(super) fn say(&self, who: &Arc<str>, what: impl Into<String>) {
        self.log.write(self.clock.now(), who, what.into(), None);
    }

    /// Writes a fault down; whether it strikes.
    fn strikes(&self, who: &Arc<str>, id: Dice, what: String) -> bool {
        let strikes = !self.spared.contains(&id.value());
        if strikes {
            self.log.write(self.clock.now(), who, what, Some(id.value()));
        }
        strikes
    }

    pub(super) fn set_turn(&self, turn: Option<Turn>) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    fn whose_turn(&self) -> Option<Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn take_yielded(&self) -> bool {
        self.yielded.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_stalled(&self) -> bool {
        self.stalled.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_restart(&self) -> bool {
        self.restart.swap(false, Ordering::Relaxed)
    }

    /// The attempt of this key, if it is under way.
    pub(super) fn attempt(&self, key: u64) -> Option<Arc<Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?.upgrade()
    }

    /// Waits for the next turn.
    async fn next_turn(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            self.yielded.store(true, Ordering::Relaxed);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn step(&self, attempt: &Attempt, step: Step<'_>, moment: Moment) -> EngineResult<()> {
        let Step { number, method, resource, key } = step;
        let what = || {
            let key = if key.is_empty() { String::new() } else { format!(" {}", shown(key)) };
            format!("{method} {resource}{key}")
        };
        if moment == Moment::Before {
            self.next_turn().await;
            self.say(attempt.name(), what());
        }
        let Some(strike) = self.chaos.at_step(attempt, number, moment) else { return Ok(()) };
        match strike {
            Strike::Stall if !self.whose_turn().is_some_and(|turn| turn.leased) => return Ok(()),
            Strike::Restart if self.last.load(Ordering::Relaxed) > 0 => return Ok(()),
            _ => {}
        }
        let id = Dice::new(attempt.key()).with(number.into()).with(moment as u64);
        if !self.strikes(attempt.name(), id, format!("{}: {strike}", what())) {
            return Ok(());
        }
        if strike == Strike::Restart {
            self.restart.store(true, Ordering::Relaxed);
        }
        if strike == Strike::Stall {
            self.stalled.store(true, Ordering::Relaxed);
            self.next_turn().await;
        }
        strike.befall(attempt).await
    }

    /// What befalls a request to a stand-in, which comes from whoever waits for something outside. `true`: it fails.
    pub(super) fn outside(&self, external: &str, moment: Moment) -> bool {
        let attempt = self.whose_turn().and_then(|turn| self.attempt(turn.key));
        let Some(attempt) = attempt else { return false };
        let number = attempt.next_step();
        let what = match moment {
            Moment::Before => "fails: unavailable",
            Moment::After => "took effect, but its answer is lost",
        };
        let Some(Strike::Unavailable | Strike::AnswerLost) = self.chaos.at_step(&attempt, number, moment) else {
            return false;
        };
        let id = Dice::new(attempt.key()).with(number.into()).with(moment as u64);
        self.strikes(attempt.name(), id, format!("request to {external}: {what}"))
    }
}

/// A key as a person reads it.
fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        // Ids of messages begin with the time: their end tells them apart.
        Ok(text) if text.len() == 36 => text[28..].to_owned(),
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        Ok(_) | Err(_) => key.escape_ascii().to_string(),
    }
}

impl Faults for Script {
    fn before(&self, by: &str, operation: Operation) -> EngineResult<()> {
        self.injected.before(by, operation)
    }

    fn attempt(&self, by: &str) -> Result<(), Error> {
        self.injected.attempt(by)
    }

    fn begin(&self, occasion: &Occasion<'_>) -> Option<Arc<Attempt>> {
        let storm = self.storm.as_ref()?;
        let turn = storm.whose_turn()?;
        let attempt = Attempt::new(turn.name, turn.key, occasion.last);
        let mut attempts = storm.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, attempt| attempt.strong_count() > 0);
        attempts.insert(turn.key, Arc::downgrade(&attempt));
        Some(attempt)
    }

    fn step<'a>(&'a self, by: &'a Arc<Attempt>, step: Step<'a>, moment: Moment) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            match &self.storm {
                Some(storm) => storm.step(by, step, moment).await,
                None => Ok(()),
            }
        })
    }

    fn told<'a>(&'a self, occasion: Occasion<'a>) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(storm) = &self.storm else { return true };
            let Some(turn) = storm.whose_turn() else { return true };
            storm.next_turn().await;
            // Of several messages that are taken together, each has an end of its own.
            let id = Dice::new(turn.key).with_text("end").with_text(occasion.message.unwrap_or_default());
            let lost = !occasion.last && storm.chaos.at_end(id.value());
            !(lost && storm.strikes(&turn.name, id, Strike::EndLost.to_string()))
        })
    }

    fn travel(&self, channel: Channel, message: &Message) -> Travel {
        let Some(storm) = &self.storm else { return Travel::default() };
        let key = of_message(channel, &message.id);
        let mut travel = storm.chaos.travel(key.value());
        let who: Arc<str> = format!("{} {}", channel.id(), shown(message.id.as_bytes())).into();
        let strikes = |strike: Strike, kind| storm.strikes(&who, key.with_text(kind), strike.to_string());
        if !travel.late.is_zero() && !strikes(Strike::Late(travel.late), "late") {
            travel.late = Default::default();
        }
        travel.again = travel.again.filter(|later| strikes(Strike::Again(*later), "again"));
        travel
    }

    fn message_id(&self, now: Timestamp) -> Option<String> {
        let dice = Dice::new(self.seed);
        let mut dice = match Attempt::current() {
            Some(attempt) => dice.with(attempt.key()).with(attempt.next_sent().into()),
            None => dice.with_text(TESTER).with(self.sent.fetch_add(1, Ordering::Relaxed)),
        };
        let mut random = [0; 10];
        for byte in &mut random {
            *byte = (dice.roll() * 256.0) as u8;
        }
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        Some(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }

    fn simulates(&self) -> bool {
        self.storm.is_some()
    }
}
