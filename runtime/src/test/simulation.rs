//! The simulation: one thread, one clock, one seed. Attempts at messages and requests are futures that lie in one list;
//! each step polls one of them, or starts the next attempt at a lane, and the seed chooses which. So they interleave
//! at each of their operations, in an order that nothing but the seed decides.
//!
//! An attempt that waits for something else than its turn (a request to a stand-in, a lock, a timer of its own) holds up
//! the others until that is over: how long it takes decides nothing then. If it seems to wait for one of the others, they
//! go on, and the trace says so.

use super::script::{Storm, Turn};
use super::sound;
use crate::chaos::Dice;
use crate::embedded::dispatcher::hold;
use crate::embedded::{Dispatcher, Embedded, Lane, Lease};
use crate::engine::{BoxFuture, Clock, EngineResult};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Attempts at one lane at the same time.
const AT_ONCE: usize = 32;
/// Whether work that waits for something outside was woken is looked at this often …
const GLANCE: Duration = Duration::from_millis(20);
/// … and after so many glances in which it was not, the others go on. (Glances and no time: a machine that stands still
/// takes none.)
const GLANCES: u32 = 50;

/// Clones share it.
#[derive(Clone)]
pub(super) struct Simulation(Arc<Inner>);

struct Inner {
    storm: Arc<Storm>,
    engine: Embedded,
    /// Makes the dispatcher anew, as the start of a process does.
    start: Box<dyn Fn() -> Dispatcher + Send + Sync>,
    /// One step at a time, whoever drives.
    steps: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    dispatcher: Dispatcher,
    work: BTreeMap<u64, Work>,
    /// How often each name was given.
    named: BTreeMap<String, u32>,
    /// How many attempts at each lane were started, by its place.
    taken: Vec<u64>,
    /// When what passes with time was last seen to.
    tidied: Option<Timestamp>,
    attempts: usize,
}

/// A request or an attempt at a message.
struct Work {
    name: Arc<str>,
    turns: u64,
    future: BoxFuture<'static, EngineResult<()>>,
    standing: Standing,
    /// The lane of a message's attempt.
    lane: Option<usize>,
    /// Until when the message is leased.
    lease: Option<Timestamp>,
    last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// For its next turn.
    Ready,
    /// Until then.
    Stalled(Timestamp),
    /// For something outside, and nothing else happens meanwhile.
    Waiting,
    /// For something outside that may be up to the others.
    Blocked,
}

/// How a turn ended.
enum Polled {
    Done(EngineResult<()>),
    Yielded,
    Blocked,
}

/// What is next.
enum Next {
    Work(u64),
    Lane(usize, Lane),
}

impl Simulation {
    pub(super) fn new(
        storm: Arc<Storm>,
        engine: Embedded,
        start: impl Fn() -> Dispatcher + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            dispatcher: start(),
            work: BTreeMap::new(),
            named: BTreeMap::new(),
            taken: vec![0; engine.topology().lanes().count()],
            tidied: None,
            attempts: 0,
        };
        let (steps, state) = (tokio::sync::Mutex::new(()), Mutex::new(state));
        Simulation(Arc::new(Inner { storm, engine, start: Box::new(start), steps, state }))
    }

    pub(super) fn storm(&self) -> &Arc<Storm> {
        &self.0.storm
    }

    pub(super) fn dispatcher(&self) -> Dispatcher {
        self.state().dispatcher.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` to its end, with all that goes on beside it.
    pub(super) async fn run<T: Send + 'static>(&self, name: &str, work: impl Future<Output = T> + Send + 'static) -> T {
        let output = Arc::new(Mutex::new(None));
        let given = output.clone();
        let future = Box::pin(async move {
            let done = work.await;
            *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            Ok(())
        });
        self.add(name.to_owned(), future, None);
        // Whoever is awaited together with this gets onto the list too.
        tokio::task::yield_now().await;
        loop {
            let _step = self.0.steps.lock().await;
            if let Some(done) = output.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return done;
            }
            self.step().await;
        }
    }

    /// Goes on until nothing is left to do at this time; how many attempts at messages that started, `None` if they were
    /// `most` and there is still something to do.
    pub(super) async fn drain(&self, most: usize) -> Option<usize> {
        tokio::task::yield_now().await;
        let before = self.state().attempts;
        loop {
            let _step = self.0.steps.lock().await;
            let goes_on = self.step().await;
            let begun = self.state().attempts - before;
            if !goes_on {
                return Some(begun);
            }
            if begun >= most {
                return None;
            }
        }
    }

    /// When something happens next that only waits for time: a lease's end, or an attempt that stands still.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let state = self.state();
        let stalled = state.work.values().filter_map(|work| match work.standing {
            Standing::Stalled(until) => Some(until),
            Standing::Ready | Standing::Waiting | Standing::Blocked => None,
        });
        stalled.chain(sound(self.0.engine.next_lease_end())).min()
    }

    /// Loses the process, with all that it has under way, and starts it again.
    pub(super) async fn restart(&self) {
        let lost: Vec<Work> = {
            let mut state = self.state();
            let keys: Vec<u64> =
                state.work.iter().filter(|(_, work)| work.lane.is_some()).map(|(key, _)| *key).collect();
            keys.into_iter().filter_map(|key| state.work.remove(&key)).collect()
        };
        for work in &lost {
            self.0.storm.say(&work.name, "is lost with the process");
            self.forget(work);
        }
        drop(lost);
        // A request's client is still there, and is told.
        for key in self.state().work.keys() {
            if let Some(attempt) = self.0.storm.attempt(*key) {
                attempt.crash();
            }
        }
        sound(self.0.engine.release_all().await);
        let dispatcher = (self.0.start)();
        let mut state = self.state();
        state.dispatcher = dispatcher;
        state.tidied = None;
    }

    fn add(&self, name: String, future: BoxFuture<'static, EngineResult<()>>, lease: Option<(usize, Timestamp, bool)>) {
        let mut state = self.state();
        let times = state.named.entry(name.clone()).or_default();
        *times += 1;
        let (key, name) = (
            Dice::new(0).with_text(&name).with((*times).into()).value(),
            match *times {
                1 => name.into(),
                times => format!("{name} ({times})").into(),
            },
        );
        let last = lease.is_some_and(|(.., last)| last);
        if last {
            self.0.storm.last.fetch_add(1, Ordering::Relaxed);
        }
        let (lane, lease) = (lease.map(|(lane, ..)| lane), lease.map(|(_, until, _)| until));
        let work = Work { name, turns: 0, future, standing: Standing::Ready, lane, lease, last };
        state.work.insert(key, work);
    }

    fn forget(&self, work: &Work) {
        if work.last {
            self.0.storm.last.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// One step; whether there was one to take.
    async fn step(&self) -> bool {
        let now = self.0.storm.clock.now();
        let (dispatcher, tidied) = {
            let state = self.state();
            (state.dispatcher.clone(), state.tidied)
        };
        if tidied != Some(now) {
            sound(dispatcher.tidy().await);
            self.state().tidied = Some(now);
        }
        match self.choose(&dispatcher, now) {
            None => false,
            Some(Next::Work(key)) => {
                self.poll(key).await;
                if self.0.storm.take_restart() {
                    self.restart().await;
                }
                true
            }
            Some(Next::Lane(place, lane)) => {
                let leases = sound(dispatcher.take(&lane).await);
                let mut state = self.state();
                state.taken[place] += 1;
                state.attempts += leases.len();
                drop(state);
                if !leases.is_empty() {
                    self.begin(place, &dispatcher, &lane, leases);
                }
                true
            }
        }
    }

    fn begin(&self, place: usize, dispatcher: &Dispatcher, lane: &Lane, leases: Vec<Lease>) {
        let mut name = lane.handler.id.to_owned();
        for lease in &leases {
            let id = &lease.message.id;
            let short = id.char_indices().rev().nth(7).map_or(&**id, |(at, _)| &id[at..]);
            name.push_str(&format!(" {short} #{}", lease.attempt));
        }
        let until = self.0.storm.clock.now().saturating_add(hold(lane)).unwrap_or(Timestamp::MAX);
        let last = leases.iter().any(|lease| lease.attempt > lane.retries);
        let (dispatcher, lane) = (dispatcher.clone(), lane.clone());
        let future = Box::pin(async move { dispatcher.work(&lane, leases).await });
        self.add(name, future, Some((place, until, last)));
    }

    /// Each piece of work and each lane has drawn a number for its next turn; the lowest is next.
    fn choose(&self, dispatcher: &Dispatcher, now: Timestamp) -> Option<Next> {
        let state = self.state();
        // Whoever was left in the middle of a turn goes on first.
        if let Some((key, _)) = state.work.iter().find(|(_, work)| work.standing == Standing::Waiting) {
            return Some(Next::Work(*key));
        }
        let seed = Dice::new(self.0.storm.chaos.of_seed());
        let mut lowest: Option<(u64, Next)> = None;
        let mut offer = |number: u64, next: Next| {
            if lowest.as_ref().is_none_or(|(lowest, _)| number < *lowest) {
                lowest = Some((number, next));
            }
        };
        let mut held = vec![0; state.taken.len()];
        for (key, work) in &state.work {
            if let Some(lane) = work.lane {
                held[lane] += 1;
            }
            match work.standing {
                Standing::Stalled(until) if until > now => {}
                Standing::Stalled(_) | Standing::Ready | Standing::Waiting | Standing::Blocked => {
                    offer(seed.with(*key).with(work.turns).value(), Next::Work(*key));
                }
            }
        }
        for (place, lane) in self.0.engine.topology().lanes().enumerate() {
            if held[place] < AT_ONCE && sound(dispatcher.is_due(lane)) {
                let number = seed.with_text(&lane.id).with(state.taken[place]).value();
                offer(number, Next::Lane(place, lane.clone()));
            }
        }
        lowest.map(|(_, next)| next)
    }

    /// One turn.
    async fn poll(&self, key: u64) {
        let Some(work) = self.state().work.remove(&key) else { return };
        let mut taken = Taken { simulation: self, key, work: Some(work) };
        let Some(work) = &mut taken.work else { return };
        let was_blocked = work.standing == Standing::Blocked;
        work.standing = Standing::Waiting;
        work.turns += 1;
        let storm = &self.0.storm;
        storm.set_turn(Some(Turn { name: work.name.clone(), key, leased: work.lease.is_some() }));
        let polled = polled(storm, work, was_blocked).await;
        storm.set_turn(None);
        match polled {
            Polled::Done(outcome) => {
                storm.say(&work.name, "ends");
                self.forget(work);
                taken.work = None;
                sound(outcome);
            }
            Polled::Yielded => {
                let stalled = storm.take_stalled();
                work.standing = match work.lease {
                    Some(until) if stalled => Standing::Stalled(until),
                    Some(_) | None => Standing::Ready,
                };
            }
            Polled::Blocked => {
                if !was_blocked {
                    storm.say(&work.name, "waits for something that the simulation can't see: the others go on");
                } else {
                    // What blocks it may need no turn of ours, but time.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                work.standing = Standing::Blocked;
            }
        }
    }
}

/// Polls until the work is done or waits for its next turn. While it waits for something else, so does everyone.
async fn polled(storm: &Storm, work: &mut Work, was_blocked: bool) -> Polled {
    let mut idle = 0;
    loop {
        let mut polls = 0;
        let turn = poll_fn(|context| {
            polls += 1;
            storm.take_yielded();
            match work.future.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Polled::Done(outcome)),
                Poll::Pending if storm.take_yielded() => Poll::Ready(Polled::Yielded),
                Poll::Pending if was_blocked => Poll::Ready(Polled::Blocked),
                Poll::Pending => Poll::Pending,
            }
        });
        match tokio::time::timeout(GLANCE, turn).await {
            Ok(polled) => return polled,
            // Once at first, once at the end of the glance: more is a sign of life.
            Err(_) if polls > 2 => idle = 0,
            Err(_) => idle += 1,
        }
        if idle >= GLANCES {
            return Polled::Blocked;
        }
    }
}

/// Work whose turn it is: back on the list, even if whoever drives goes away meanwhile.
struct Taken<'a> {
    simulation: &'a Simulation,
    key: u64,
    work: Option<Work>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.simulation.state().work.insert(self.key, work);
        }
    }
}
