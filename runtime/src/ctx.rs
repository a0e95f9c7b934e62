//! All state of one running application hangs on one [`Ctx`]; what a handler gets is a [`Scope`] of it. No globals: two
//! applications in one test don't meet.

mod observer;
mod scope;

use crate::database::Databases;
use crate::engine::{BoxFuture, BucketEngine, Clock, EngineError, EngineResult, Messaging, SecretEngine, StoreEngine};
use crate::faults::{Attempt, Occasion};
use crate::registry::Handler;
use crate::telemetry::Tracer;
use futures_util::future::Either;
use jiff::Timestamp;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use crate::faults::{Faults, Operation};
pub use observer::{Event, Observer, Unobserved, Verdict};
pub use scope::{Invocation, Scope};

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
        Scope::new(self.clone(), handler, invocation)
    }
}
