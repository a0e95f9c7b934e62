//! All state of one running application hangs on one [`Ctx`]; what a handler gets is a [`Scope`] of it. No globals: two
//! applications in one test don't meet.

use crate::database::Databases;
use crate::engine::{
    BoxFuture, BucketEngine, Channel, Clock, EngineError, EngineResult, Message, Messaging, SecretEngine, StoreEngine,
};
use crate::faults::{Attempt, Moment, Occasion, Step};
use crate::registry::Handler;
use crate::telemetry::{Held, Span, TraceContext, Tracer, spans};
use bytes::Bytes;
use futures_util::future::Either;
use jiff::Timestamp;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use crate::faults::{Faults, Operation};

/// The whole application at run time. Whoever holds one reaches everything, so user code never gets one.
#[derive(Clone)]
pub struct Ctx(Arc<Inner>);

struct Inner {
    app: String,
    engines: Engines,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// The observer's own, at hand.
    tracer: Option<Tracer>,
    faults: Option<Arc<dyn Faults>>,
    serialise_calls: bool,
    /// What `#[shared]` functions make.
    shared: crate::shared::Values,
    /// What is made once and kept: configs, clients.
    cache: Mutex<BTreeMap<(TypeId, &'static str), Arc<dyn Any + Send + Sync>>>,
}

/// What implements the resources of one application.
pub struct Engines {
    /// Queues and topics.
    pub messaging: Arc<dyn Messaging>,
    /// Stores.
    pub stores: Routed<dyn StoreEngine>,
    /// Buckets.
    pub buckets: Routed<dyn BucketEngine>,
    /// Databases.
    pub databases: Databases,
    /// Functions that another process runs; all others are called in this one.
    pub functions: Routed<dyn crate::function::Remote>,
    /// Secrets.
    pub secrets: Arc<dyn SecretEngine>,
    /// Config id → value, read at start.
    pub configs: BTreeMap<String, serde_json::Value>,
    /// External id → base URL, where it is not the declaration's first host.
    pub externals: BTreeMap<String, String>,
}

impl Engines {
    /// Queues and topics, and nothing else: what has more says so, `Engines { databases, ..Engines::only(messaging) }`.
    pub fn only(messaging: Arc<dyn Messaging>) -> Self {
        Engines {
            messaging,
            stores: Routed::default(),
            buckets: Routed::default(),
            databases: Databases::default(),
            functions: Routed::default(),
            secrets: Arc::new(NoSecrets),
            configs: BTreeMap::new(),
            externals: BTreeMap::new(),
        }
    }
}

/// Where there are no secrets.
struct NoSecrets;

impl SecretEngine for NoSecrets {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async { Ok(None) })
    }

    fn how_to_provide(&self, _: &str) -> String {
        "there are no secrets here".to_owned()
    }
}

/// An engine by resource id, with a default for the rest.
pub struct Routed<T: ?Sized> {
    /// For every resource that is not in `by_id`.
    pub default: Option<Arc<T>>,
    /// Exceptions.
    pub by_id: BTreeMap<String, Arc<T>>,
}

impl<T: ?Sized> Default for Routed<T> {
    fn default() -> Self {
        Routed { default: None, by_id: BTreeMap::new() }
    }
}

impl<T: ?Sized> Routed<T> {
    /// One engine for all.
    pub fn all(engine: Arc<T>) -> Self {
        Routed { default: Some(engine), by_id: BTreeMap::new() }
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Arc<T>> {
        self.by_id.get(id).or(self.default.as_ref())
    }
}

/// How a [`Ctx`] behaves beside its engines.
pub struct Options {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Makes operations fail, in tests.
    pub faults: Option<Arc<dyn Faults>>,
    /// Whether function calls inside the process go through serialisation, as tests want it.
    pub serialise_calls: bool,
}

impl Default for Options {
    /// The system's time; nobody watches, and nothing is made to fail.
    fn default() -> Self {
        let clock = Arc::new(crate::clock::SystemClock);
        Options { clock, observer: Arc::new(Unobserved), faults: None, serialise_calls: false }
    }
}

impl Ctx {
    /// An application called `app`.
    pub fn new(app: impl Into<String>, engines: Engines, options: Options) -> Self {
        let Options { clock, observer, faults, serialise_calls } = options;
        let (shared, cache) = Default::default();
        let tracer = observer.tracer();
        Ctx(Arc::new(Inner {
            app: app.into(),
            engines,
            clock,
            observer,
            tracer,
            faults,
            serialise_calls,
            shared,
            cache,
        }))
    }

    /// The app's name.
    pub fn app(&self) -> &str {
        &self.0.app
    }

    /// Time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// When something that may take `timeout` from now is given up.
    pub fn deadline(&self, timeout: Duration) -> Timestamp {
        self.clock().now().saturating_add(timeout).unwrap_or(Timestamp::MAX)
    }

    /// All engines.
    pub fn engines(&self) -> &Engines {
        &self.0.engines
    }

    /// What `#[shared]` functions make.
    pub(crate) fn shared(&self) -> &crate::shared::Values {
        &self.0.shared
    }

    /// Whether function calls are serialised.
    pub fn serialises_calls(&self) -> bool {
        self.0.serialise_calls
    }

    /// The `T` of this name, made at the first call. (Two that race may both make one; all get the first.)
    pub(crate) fn cached<T: Send + Sync + 'static>(&self, name: &'static str, make: impl FnOnce() -> T) -> Arc<T> {
        let lock = || self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (TypeId::of::<T>(), name);
        let found = lock().get(&key).cloned();
        let any = match found {
            Some(any) => any,
            None => {
                let made: Arc<dyn Any + Send + Sync> = Arc::new(make()); // outside the lock: it may panic, or ask again
                lock().entry(key).or_insert(made).clone()
            }
        };
        any.downcast().unwrap_or_else(|_| unreachable!("the key holds the type's id"))
    }

    /// Forgets what was made once and kept, as the start of a process does.
    #[cfg(not(updraft_slim))]
    pub(crate) fn forget_cached(&self) {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Tells the observer.
    pub fn observe(&self, event: &Event<'_>) {
        self.0.observer.observe(event);
    }

    /// What makes spans, if anything is traced here.
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.0.tracer.as_ref()
    }

    /// Whether somebody wants to know of each operation of an engine.
    pub(crate) fn watches_operations(&self) -> bool {
        self.0.tracer.is_some() || self.0.faults.is_some() || self.0.observer.watches_operations()
    }

    /// What stands for an attempt that begins, where there are faults.
    pub(crate) fn begin(&self, occasion: &Occasion<'_>) -> Option<Arc<Attempt>> {
        self.0.faults.as_ref()?.begin(occasion)
    }

    /// Returns after `timeout`, by the clock that keeps deadlines.
    pub(crate) fn timer(&self, timeout: Duration) -> BoxFuture<'static, ()> {
        match self.simulates() {
            true => self.clock().sleep_until(self.deadline(timeout)),
            false => Box::pin(tokio::time::sleep(timeout)),
        }
    }

    /// Runs `work` as one attempt; `None` if a fault ended it as the end of the process would.
    #[cfg(not(updraft_slim))]
    pub(crate) async fn attempted<F: Future>(&self, occasion: &Occasion<'_>, work: F) -> Option<F::Output> {
        match self.begin(occasion) {
            Some(attempt) => attempt.run(work).await,
            None => Some(work.await),
        }
    }

    /// Whether the engine learns how an attempt ended.
    #[cfg(not(updraft_slim))]
    pub(crate) async fn told(&self, occasion: Occasion<'_>) -> bool {
        match &self.0.faults {
            Some(faults) => faults.told(occasion).await,
            None => true,
        }
    }

    /// Runs `work` until `deadline`, which is `timeout` from now; `None` if it took longer.
    pub(crate) async fn within<F: Future>(
        &self,
        (timeout, deadline): (Duration, Timestamp),
        work: F,
    ) -> Option<F::Output> {
        if !self.simulates() {
            return tokio::time::timeout(timeout, work).await.ok();
        }
        let (work, over) = (std::pin::pin!(work), self.clock().sleep_until(deadline));
        match futures_util::future::select(work, over).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Whether deadlines are kept by the application's clock.
    pub(crate) fn simulates(&self) -> bool {
        self.0.faults.as_ref().is_some_and(|faults| faults.simulates())
    }

    /// A new message's id.
    fn message_id(&self) -> String {
        let given = self.0.faults.as_ref().and_then(|faults| faults.message_id(self.clock().now()));
        given.unwrap_or_else(|| uuid::Uuid::now_v7().to_string())
    }

    /// Whether the observer wants to be told of requests.
    pub(crate) fn watches_requests(&self) -> bool {
        self.0.observer.watches_requests()
    }

    /// Fails the attempt that a test wants to fail.
    pub(crate) fn fault(&self, handler: &Handler) -> Result<(), crate::error::Error> {
        if let Some(reason) = self.0.engines.databases.reason(handler) {
            return Err(crate::error::Error::new(EngineError::Unavailable(reason.to_owned())));
        }
        self.0.faults.as_ref().map_or(Ok(()), |faults| faults.attempt(handler.id))
    }

    /// The application as `handler` may use it, for one request, message, run or call.
    pub fn scope(&self, handler: &'static Handler, invocation: Invocation) -> Scope {
        Scope(Arc::new(ScopeInner { ctx: self.clone(), handler, invocation }))
    }
}

/// What is known of one invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When it is given up.
    pub deadline: Timestamp,
    /// Its own span in the trace that it belongs to or, where nothing is traced, what caused it.
    pub trace: Option<TraceContext>,
}

/// The application as one invocation of one handler sees it: every reach is checked against the handler's grants, with
/// the compiler's words. (The types make that impossible to fail; the check is there for what types can't see.)
#[derive(Clone)]
pub struct Scope(Arc<ScopeInner>);

struct ScopeInner {
    ctx: Ctx,
    handler: &'static Handler,
    invocation: Invocation,
}

impl Scope {
    /// The handler that runs.
    pub fn handler(&self) -> &'static Handler {
        self.0.handler
    }

    /// The application. Not for user code.
    pub fn ctx(&self) -> &Ctx {
        &self.0.ctx
    }

    /// This invocation.
    pub fn invocation(&self) -> &Invocation {
        &self.0.invocation
    }

    /// Refuses what the handler has no grant for, and what a test wants to fail. Every capability's method begins so.
    ///
    /// # Errors
    /// If the grant is missing, or a test's fault strikes.
    pub fn check(&self, operation: Operation) -> EngineResult<()> {
        if !self.0.handler.grants(operation.kind, operation.resource, operation.access) {
            return Err(EngineError::Misconfigured(format!(
                "`{}` reaches {} `{}` ({}), but no parameter declares it",
                self.0.handler.id, operation.kind, operation.resource, operation.access
            )));
        }
        match &self.0.ctx.0.faults {
            Some(faults) => faults.before(self.0.handler.id, operation),
            None => Ok(()),
        }
    }

    /// A message of this body and schema as the handler sends it, with its metadata.
    pub fn envelope(&self, body: Bytes, schema: &str, attributes: BTreeMap<String, String>) -> Message {
        Message {
            id: self.ctx().message_id(),
            source: updraft_wire::ids::event_source(self.ctx().app(), self.handler().id),
            time: self.ctx().clock().now(),
            schema: Some(schema.to_owned()),
            trace: self.invocation().trace.clone(),
            attributes,
            body,
        }
    }

    /// Sends.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn publish(&self, channel: Channel, mut messages: Vec<Message>, delay: Duration) -> EngineResult<()> {
        let mut span = match self.ctx().tracer() {
            Some(tracer) => spans::send(tracer, self.invocation().trace.as_ref(), channel, &mut messages),
            None => Span::none(),
        };
        for message in &messages {
            self.ctx().observe(&Event::Sent { handler: self.handler().id, channel, message });
        }
        let sent = match &self.ctx().0.faults {
            Some(faults) => self.publish_with(faults, channel, messages, delay).await,
            None => self.ctx().engines().messaging.publish(channel, messages, delay).await,
        };
        sent.inspect_err(|error| spans::refused(&mut span, error))
    }

    /// Sends message by message, each as the faults have it travel.
    async fn publish_with(
        &self,
        faults: &Arc<dyn Faults>,
        channel: Channel,
        messages: Vec<Message>,
        delay: Duration,
    ) -> EngineResult<()> {
        let key = messages.first().map(|message| message.id.clone()).unwrap_or_default();
        let publish = async {
            for message in messages {
                let travel = faults.travel(channel, &message);
                let late = delay.saturating_add(travel.late);
                let messaging = &self.ctx().engines().messaging;
                messaging.publish(channel, vec![message.clone()], late).await?;
                if let Some(later) = travel.again {
                    messaging.publish(channel, vec![message], late.saturating_add(later)).await?;
                }
            }
            Ok(())
        };
        self.step(("publish", channel.id(), key.as_bytes()), publish).await
    }

    /// The engine of a store.
    ///
    /// # Errors
    /// If none is bound.
    pub fn store(&self, id: &'static str) -> EngineResult<Held<'_, dyn StoreEngine>> {
        let engine = self.ctx().engines().stores.find(id).ok_or_else(|| unbound("store", id))?;
        Ok(Held::store(self, engine, id))
    }

    /// The engine of a bucket.
    ///
    /// # Errors
    /// If none is bound.
    pub fn bucket(&self, id: &'static str) -> EngineResult<Held<'_, dyn BucketEngine>> {
        let engine = self.ctx().engines().buckets.find(id).ok_or_else(|| unbound("bucket", id))?;
        Ok(Held::bucket(self, engine, id))
    }

    /// One step of the attempt around `work`, which begins when the step does. Without faults, and where no attempt is under
    /// way (the test itself), it is the work alone.
    pub(crate) async fn step<T>(
        &self,
        (method, resource, key): (&'static str, &str, &[u8]),
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        let Some(faults) = &self.ctx().0.faults else { return work.await };
        let Some(attempt) = Attempt::current() else { return work.await };
        let step = Step { number: attempt.next_step(), method, resource, key };
        faults.step(&attempt, step, Moment::Before).await?;
        let answer = work.await?;
        faults.step(&attempt, step, Moment::After).await?;
        Ok(answer)
    }
}

fn unbound(kind: &str, id: &str) -> EngineError {
    EngineError::Misconfigured(format!("the binding names no engine for the {kind} `{id}`"))
}

/// Is told what happens: the live log of `dev`, the test harness, metrics.
pub trait Observer: Send + Sync + 'static {
    /// Something happened. Must be quick.
    fn observe(&self, event: &Event<'_>);

    /// What makes spans, where traces are wanted. Asked once, at the start.
    fn tracer(&self) -> Option<Tracer> {
        None
    }

    /// Whether [`Event::Operated`] is wanted: otherwise no operation of an engine is timed.
    fn watches_operations(&self) -> bool {
        false
    }

    /// Whether it wants to be told of each request ([`Event::Answered`]) just now. What that takes is spared otherwise.
    fn watches_requests(&self) -> bool {
        true
    }
}

/// An observer that looks away.
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: &Event<'_>) {}

    fn watches_requests(&self) -> bool {
        false
    }
}

/// What happens in an application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request was answered.
    Answered {
        /// The handler.
        handler: &'a str,
        /// `POST`.
        method: &'a str,
        /// `/orders`.
        path: &'a str,
        /// `202`.
        status: u16,
        /// From request to response head.
        elapsed: Duration,
    },
    /// A handler sent a message.
    Sent {
        /// The sender.
        handler: &'a str,
        /// Where to.
        channel: Channel,
        /// What.
        message: &'a Message,
    },
    /// A handler finished a message, a run or a call, well or not.
    Finished {
        /// The handler.
        handler: &'a str,
        /// `consumer`, `subscriber`, `schedule` or `function`.
        trigger: &'a str,
        /// The message's id, where there is one.
        message: Option<&'a str>,
        /// Counted from 1.
        attempt: u32,
        /// How long this attempt took.
        elapsed: Duration,
        /// What went wrong and what follows.
        failure: Option<(&'a crate::dispatch::Failure, Verdict)>,
    },
    /// A handler begins with messages or a run. (Requests and calls are told at their end alone.)
    Began {
        /// The handler.
        handler: &'a str,
        /// How long ago the oldest of the messages was sent, or the run was due.
        age: Duration,
    },
    /// An engine finished an operation.
    Operated {
        /// The handler.
        handler: &'a str,
        /// `store`, `bucket` or `external`.
        kind: &'static str,
        /// The resource's id.
        resource: &'a str,
        /// `get`, `put`, …
        method: &'static str,
        /// How long it took.
        elapsed: Duration,
        /// Why it failed, if it did.
        error: Option<&'a EngineError>,
    },
    /// A message is among the dead letters.
    Buried {
        /// Who gave it up.
        handler: &'a str,
        /// What it came from.
        resource: &'a str,
        /// `error`, `permanent`, `panic` or `timeout`.
        kind: &'a str,
    },
    /// Chaos made something go wrong.
    Injected {
        /// The handler, or the queue or topic.
        who: &'a str,
        /// What went wrong, in a word or two: `duplicated`, `crashed`, …
        fault: &'a str,
        /// Of which message or request, at which operation, and how.
        detail: &'a str,
    },
    /// A stand-in on this laptop took a request for an external.
    StoodIn {
        /// The external's id.
        external: &'a str,
        /// `POST`.
        method: &'a str,
        /// `/messages`.
        path: &'a str,
    },
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Another attempt after this pause.
    Retry(Duration),
    /// It waits so long for a version of the program that can read it; the attempt doesn't count.
    Return(Duration),
    /// It goes to the dead letters.
    DeadLetter,
    /// The caller is told.
    Answer,
}
