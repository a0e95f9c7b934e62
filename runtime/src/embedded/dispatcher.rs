//! Works the lanes: hands messages and runs to their handlers, and does with them what the outcome asks for.

use super::Embedded;
use super::lanes::Lease;
use super::schedules::{Fired, Schedules};
use super::topology::{Lane, LaneId};
use crate::ctx::{Ctx, Event, Verdict};
use crate::deadletter::DeadLetter;
use crate::dispatch::{self, Failure, FailureKind};
use crate::engine::EngineResult;
use crate::faults::Occasion;
use crate::inflight::InFlight;
use crate::registry::{Dispatch, Incoming, Tick};
use crate::telemetry::spans;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use updraft_wire::ids::{object_event_type, queue_event_type, topic_event_type};

/// Messages of one lane that are worked on at the same time.
const AT_ONCE: usize = 32;
/// How much longer than its handler's timeout a lease lasts.
const GRACE: Duration = Duration::from_secs(10);
/// Leases that have ended and entries past their life are looked for this often.
const SWEEP: SignedDuration = SignedDuration::from_secs(15);
/// How long a message that only a newer version of the program can read waits before it is looked at again.
const RETURN_PAUSE: Duration = Duration::from_secs(5);
/// How long a message waits of which another delivery runs, if its handler is for once.
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// The pause after the state could not be read or written.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// What works the lanes of one application. Clones share it.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    ctx: Ctx,
    engine: Embedded,
    in_flight: InFlight,
    schedules: tokio::sync::Mutex<Schedules>,
    slots: BTreeMap<LaneId, Arc<Semaphore>>,
    random: Mutex<Random>,
    /// What handlers with `once` have in hand.
    running: Mutex<BTreeSet<String>>,
}

impl Dispatcher {
    /// A dispatcher for `engine`'s lanes. `seed` decides the pauses between attempts.
    ///
    /// # Errors
    /// If a schedule's cron expression or time zone means nothing.
    pub fn new(ctx: Ctx, engine: Embedded, in_flight: InFlight, seed: u64) -> Result<Self, String> {
        let schedules = tokio::sync::Mutex::new(Schedules::of(ctx.app(), &engine)?);
        let slots =
            engine.topology().lanes().map(|lane| (lane.id.clone(), Arc::new(Semaphore::new(AT_ONCE)))).collect();
        let random = Mutex::new(Random(seed));
        Ok(Dispatcher(Arc::new(Inner { ctx, engine, in_flight, schedules, slots, random, running: Mutex::default() })))
    }

    /// What is in progress.
    pub fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    /// When each schedule runs next.
    pub async fn upcoming(&self) -> BTreeMap<&'static str, Timestamp> {
        self.0.schedules.lock().await.upcoming(self.0.engine.now())
    }

    /// Works until dropped, many messages at a time. Handlers that have begun run on; wait for [`Dispatcher::in_flight`].
    pub async fn run(&self) {
        let mut swept = Timestamp::MIN;
        loop {
            let now = self.0.engine.now();
            let outcome = async {
                if now.duration_since(swept) >= SWEEP {
                    swept = now;
                    self.0.engine.expire_leases().await?;
                    self.0.engine.sweep_stores().await?;
                }
                self.fire().await?;
                self.start_due().await
            };
            match outcome.await {
                Ok(next) => {
                    let until = next.unwrap_or(Timestamp::MAX).min(now.saturating_add(SWEEP).unwrap_or(Timestamp::MAX));
                    tokio::select! {
                        () = self.0.engine.work() => {}
                        () = self.0.ctx.clock().sleep_until(until) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "trying again");
                    tokio::time::sleep(AFTER_AN_ERROR).await;
                }
            }
        }
    }

    /// Whether nothing is left to do: no handler runs and no message waits for one (a schedule's future runs don't count).
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn idle(&self) -> EngineResult<bool> {
        // A handler that ends after its message was looked for has sent what it sends: so first who runs, then what waits.
        if self.0.in_flight.count() > 0 {
            return Ok(false);
        }
        for lane in self.0.engine.topology().lanes() {
            if !self.0.engine.is_empty(&lane.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Works off, one after another, what is due by the clock as it stands, and what follows from that. How many attempts
    /// that took.
    ///
    /// # Errors
    /// If the state can't be read or written.
    pub async fn drain(&self) -> EngineResult<usize> {
        Ok(self.drain_at_most(usize::MAX).await?.unwrap_or(usize::MAX))
    }

    /// [`Dispatcher::drain`] that gives up (`None`) after so many attempts.
    ///
    /// # Errors
    /// If the state can't be read or written.
    pub async fn drain_at_most(&self, most: usize) -> EngineResult<Option<usize>> {
        let mut attempts = 0;
        while attempts < most {
            self.0.in_flight.idle().await;
            self.tidy().await?;
            let before = attempts;
            for lane in self.0.engine.topology().lanes() {
                let leases = self.take(lane).await?;
                attempts += leases.len();
                self.work(lane, leases).await?;
            }
            if attempts == before {
                return Ok(Some(attempts));
            }
        }
        Ok(None)
    }

    /// Does what the time that has passed asks for: leases that have ended, entries past their life, schedules.
    pub(crate) async fn tidy(&self) -> EngineResult<()> {
        self.0.engine.expire_leases().await?;
        self.0.engine.sweep_stores().await?;
        self.fire().await
    }

    /// Whether a message of this lane is due.
    pub(crate) fn is_due(&self, lane: &Lane) -> EngineResult<bool> {
        Ok(self.0.engine.next_due(&lane.id)?.is_some_and(|due| due <= self.0.engine.now()))
    }

    /// The work of one attempt at this lane, if some is due.
    pub(crate) async fn take(&self, lane: &Lane) -> EngineResult<Vec<Lease>> {
        if !self.is_due(lane)? {
            return Ok(Vec::new());
        }
        // What is due is due: nobody waits here for a batch to be filled.
        match lane.batch() {
            Some((most, _)) => self.0.engine.lease_batch(&lane.id, most, hold(lane)).await,
            None => self.0.engine.lease(&lane.id, 1, hold(lane)).await,
        }
    }

    /// When something is due next: a message that is held back, or a schedule's run.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn next_due(&self) -> EngineResult<Option<Timestamp>> {
        Ok(self.next_message()?.into_iter().chain(self.0.schedules.lock().await.next()).min())
    }

    /// When the next message that is held back is due.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn next_message(&self) -> EngineResult<Option<Timestamp>> {
        let mut next = None;
        for lane in self.0.engine.topology().lanes() {
            next = next.into_iter().chain(self.0.engine.next_due(&lane.id)?).min();
        }
        Ok(next)
    }

    async fn fire(&self) -> EngineResult<()> {
        for (handler, fired) in self.0.schedules.lock().await.fire(&self.0.engine).await? {
            match fired {
                Fired::Due => {}
                Fired::StillRunning => tracing::warn!(handler, "skips this run: the last one still goes on"),
                Fired::Missed => tracing::warn!(handler, "skips the runs that were missed"),
            }
        }
        Ok(())
    }

    /// Starts what is due and has a slot; when the next message is due that has one.
    async fn start_due(&self) -> EngineResult<Option<Timestamp>> {
        let mut next = self.0.schedules.lock().await.next();
        for lane in self.0.engine.topology().lanes() {
            let slots = &self.0.slots[&lane.id];
            let batch = lane.batch();
            loop {
                let free = slots.available_permits();
                let enough = batch.map_or(1, |(most, _)| most.min(AT_ONCE));
                let due = if free >= enough { self.0.engine.next_due(&lane.id)? } else { None };
                let Some(due) = due else { break };
                if due > self.0.engine.now() {
                    next = next.into_iter().chain([due]).min();
                    break;
                }
                if let Some((most, window)) = batch {
                    let Some((count, since)) = self.0.engine.due(&lane.id, most)? else { break };
                    let until = since.saturating_add(window).unwrap_or(Timestamp::MAX);
                    if count < most && until > self.0.engine.now() {
                        next = next.into_iter().chain([until]).min();
                        break;
                    }
                    let leases = self.0.engine.lease_batch(&lane.id, most, hold(lane)).await?;
                    if leases.is_empty() {
                        break;
                    }
                    self.start(lane, slots, leases).await;
                    continue;
                }
                for lease in self.0.engine.lease(&lane.id, free, hold(lane)).await? {
                    self.start(lane, slots, vec![lease]).await;
                }
            }
        }
        Ok(next)
    }

    /// Begins to work messages that have slots.
    async fn start(&self, lane: &Lane, slots: &Arc<Semaphore>, leases: Vec<Lease>) {
        let taken = u32::try_from(leases.len().min(AT_ONCE)).unwrap_or(1);
        let Ok(slot) = slots.clone().acquire_many_owned(taken).await else { return };
        let (this, lane, running) = (self.clone(), lane.clone(), self.0.in_flight.enter());
        tokio::spawn(async move {
            if let Err(error) = this.work(&lane, leases).await {
                // The lease ends, and the message is tried again.
                tracing::error!(handler = lane.handler.id, %error, "the outcome could not be kept");
            }
            drop((slot, running));
            this.0.engine.woken();
        });
    }

    /// One attempt, to its end: at one message, or at several that are taken together.
    pub(crate) async fn work(&self, lane: &Lane, leases: Vec<Lease>) -> EngineResult<()> {
        let started = Instant::now();
        let (leases, _alone) = self.unmet(lane, leases).await?;
        let Some(first) = leases.first() else { return Ok(()) };
        let last = leases.iter().any(|lease| lease.attempt > lane.retries);
        let occasion = Occasion { last, ..occasion(lane, first) };
        let Some(outcomes) = self.0.ctx.attempted(&occasion, self.attempt(lane, &leases)).await else {
            for lease in leases {
                self.lost(lease).await?;
            }
            return Ok(());
        };
        let elapsed = started.elapsed();
        let settled =
            leases.into_iter().zip(outcomes).map(|(lease, outcome)| self.settle(lane, lease, outcome, elapsed));
        // Side by side, so that they share a commit.
        futures_util::future::join_all(settled).await.into_iter().collect()
    }

    /// What a handler with `once` has neither done nor in hand. Nothing else runs at it while the second value lives.
    async fn unmet(&self, lane: &Lane, leases: Vec<Lease>) -> EngineResult<(Vec<Lease>, Vec<Alone>)> {
        if lane.once.is_none() {
            return Ok((leases, Vec::new()));
        }
        let (mut unmet, mut all) = (Vec::new(), Vec::new());
        for lease in leases {
            match self.alone(lane, &lease) {
                None => drop(self.0.engine.put_back_uncounted(lease, BUSY_PAUSE, None).await?),
                Some(_) if self.0.engine.completed(lane.handler.id, &lease.message.id)? => {
                    tracing::debug!(handler = lane.handler.id, message = lease.message.id, "came again, and was done");
                    self.0.engine.ack(lease).await?;
                }
                Some(alone) => {
                    unmet.push(lease);
                    all.push(alone);
                }
            }
        }
        Ok((unmet, all))
    }

    async fn attempt(&self, lane: &Lane, leases: &[Lease]) -> Vec<Result<(), Failure>> {
        let ctx = &self.0.ctx;
        let spent = |lease: &Lease| lease.attempt > lane.retries.saturating_add(1);
        let incoming = |lease: &Lease| Incoming { message: lease.message.clone(), attempt: Some(lease.attempt) };
        match (&lane.handler.dispatch, leases) {
            (_, [lease]) if spent(lease) => {
                let reason =
                    "none of its attempts came to an end: each ended the process, or outlived its lease".into();
                vec![Err(Failure { kind: FailureKind::Timeout, reason })]
            }
            (Dispatch::Schedule { .. }, [lease]) => {
                let tick = Tick { scheduled: lease.message.time, attempt: Some(lease.attempt) };
                vec![dispatch::run(ctx, lane.handler, tick, lease.message.trace.clone()).await]
            }
            (Dispatch::Batch { .. }, leases) => {
                dispatch::deliver_batch(ctx, lane.handler, leases.iter().map(incoming).collect()).await
            }
            (
                Dispatch::Consumer { .. }
                | Dispatch::Subscriber { .. }
                | Dispatch::Object { .. }
                | Dispatch::Schedule { .. }
                | Dispatch::Http { .. }
                | Dispatch::Function { .. }
                | Dispatch::Routes { .. }
                | Dispatch::Layer { .. }
                | Dispatch::Shared { .. },
                leases,
            ) => {
                let mut outcomes = Vec::with_capacity(leases.len());
                for lease in leases {
                    outcomes.push(dispatch::deliver(ctx, lane.handler, incoming(lease)).await);
                }
                outcomes
            }
        }
    }

    /// Does with a message what its outcome asks for.
    async fn settle(
        &self,
        lane: &Lane,
        lease: Lease,
        outcome: Result<(), Failure>,
        elapsed: Duration,
    ) -> EngineResult<()> {
        let Inner { ctx, engine, .. } = &*self.0;
        let verdict = outcome.as_ref().err().map(|failure| (failure, self.verdict(lane, &lease, failure)));
        ctx.observe(&Event::Finished {
            handler: lane.handler.id,
            trigger: trigger(lane),
            message: Some(&lease.message.id),
            attempt: lease.attempt,
            elapsed,
            failure: verdict,
        });
        if !ctx.told(occasion(lane, &lease)).await {
            return self.lost(lease).await;
        }
        match verdict {
            None => match lane.once {
                Some(keep) => engine.complete(lease, lane.handler.id, keep).await,
                None => engine.ack(lease).await,
            },
            Some((_, Verdict::Retry(pause))) => engine.put_back(lease, pause).await,
            Some((failure, Verdict::Return(pause))) => {
                engine.put_back_uncounted(lease, pause, failure.kind.returned_until()).await
            }
            Some((failure, Verdict::DeadLetter | Verdict::Answer)) => {
                let (kind, reason) = (failure.kind.as_str(), failure.reason.as_str());
                spans::dead_letter(ctx, lane.handler.id, lane.resource, &lease.message, (kind, reason));
                let letter = letter(ctx, lane, &lease, failure);
                let buried = engine.bury(lease, letter).await;
                if matches!(buried, Ok(true)) {
                    ctx.observe(&Event::Buried { handler: lane.handler.id, resource: lane.resource, kind });
                }
                buried
            }
        }
        .map(|_| ())
    }

    /// The only delivery of this message to its handler; `None` if another one runs.
    fn alone(&self, lane: &Lane, lease: &Lease) -> Option<Alone> {
        let key = crate::once::key(lane.handler.id, &lease.message.id);
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(key.clone()).then(|| Alone(self.clone(), key))
    }

    /// An attempt whose end nobody hears of, because a fault took the process or its last words: the message comes again.
    /// In a simulation when its lease ends; where people wait, as after a failure.
    async fn lost(&self, lease: Lease) -> EngineResult<()> {
        if self.0.ctx.simulates() {
            return Ok(());
        }
        let pause = dispatch::backoff(lease.attempt, self.random());
        self.0.engine.put_back(lease, pause).await.map(|_| ())
    }

    fn verdict(&self, lane: &Lane, lease: &Lease, failure: &Failure) -> Verdict {
        match failure.kind {
            FailureKind::Skew { until: Some(until) } => {
                let left = Duration::try_from(self.0.engine.now().duration_until(until)).unwrap_or_default();
                return Verdict::Return(left.min(RETURN_PAUSE));
            }
            FailureKind::Skew { until: None } | FailureKind::Permanent => return Verdict::DeadLetter,
            FailureKind::Error | FailureKind::Panic | FailureKind::Timeout if lease.attempt > lane.retries => {
                return Verdict::DeadLetter;
            }
            FailureKind::Error | FailureKind::Panic | FailureKind::Timeout => {}
        }
        Verdict::Retry(dispatch::backoff(lease.attempt, self.random()))
    }

    fn random(&self) -> f64 {
        self.0.random.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// A delivery of a message that is handled once.
struct Alone(Dispatcher, String);

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What an attempt at this message is, for faults.
fn occasion<'a>(lane: &Lane, lease: &'a Lease) -> Occasion<'a> {
    let last = lease.attempt > lane.retries;
    Occasion { handler: lane.handler.id, message: Some(&lease.message.id), number: lease.attempt, last }
}

/// How long a lease of this lane lasts.
pub(crate) fn hold(lane: &Lane) -> Duration {
    Duration::from_millis(lane.handler.timeout_millis).saturating_add(GRACE)
}

fn trigger(lane: &Lane) -> &'static str {
    match lane.handler.dispatch {
        Dispatch::Http { .. } => "http",
        Dispatch::Consumer { .. } | Dispatch::Batch { .. } => "consumer",
        Dispatch::Subscriber { .. } => "subscriber",
        Dispatch::Schedule { .. } => "schedule",
        Dispatch::Object { .. } => "object",
        Dispatch::Function { .. } => "function",
        Dispatch::Routes { .. } => "routes",
        Dispatch::Layer { .. } => "layer",
        Dispatch::Shared { .. } => "shared",
    }
}

fn letter(ctx: &Ctx, lane: &Lane, lease: &Lease, failure: &Failure) -> DeadLetter {
    let event_type = match lane.handler.dispatch {
        Dispatch::Subscriber { topic, .. } => topic_event_type(ctx.app(), topic),
        Dispatch::Consumer { queue, .. } | Dispatch::Batch { queue, .. } => queue_event_type(ctx.app(), queue),
        Dispatch::Object { bucket, .. } => object_event_type(ctx.app(), bucket),
        Dispatch::Schedule { .. }
        | Dispatch::Http { .. }
        | Dispatch::Function { .. }
        | Dispatch::Routes { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => {
            format!("{}.schedule.{}", ctx.app(), updraft_wire::ids::dotted(lane.handler.id))
        }
    };
    let times = (lease.first, ctx.clock().now());
    DeadLetter::new(lane.handler, lane.resource, event_type, &lease.message, failure, Some(lease.attempt), times)
}

/// Numbers in 0..1 that a seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
