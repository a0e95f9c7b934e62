//! The whole application in memory.

use super::faults::Fault;
use super::outside::{Received, StandIns};
use super::script::{Script, Storm};
use super::simulation::Simulation;
use super::trace::Trace;
use super::units::{GivenSecrets, log};
use super::{held, http, seeds, sound};
use crate::capability::{
    Bucket, BucketResource, ConfigResource, ExternalResource, Queue, QueueResource, ResourceError, SecretResource,
    Store, StoreResource, Topic, TopicResource,
};
use crate::chaos::Chaos;
use crate::clock::ManualClock;
use crate::ctx::{Ctx, Engines, Options, Routed, Unobserved};
use crate::database::Databases;
use crate::deadletter::DeadLetter;
use crate::dispatch::{self, Failure, FailureKind};
use crate::embedded::{Depth, Dispatcher, Embedded, Topology, topology};
use crate::engine::Clock;
use crate::faults::Occasion;
use crate::function::{Function, FunctionResource};
use crate::inflight::InFlight;
use crate::local::{presigned, settings};
use crate::registry::{self, Dispatch, Handler, Tick};
use crate::router::router;
use axum::Router;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Drains this often without end: then messages make messages for ever.
const TOO_MANY: usize = 100_000;

/// How a test wants its application. Secrets and configs are the laptop's (`Updraft.toml`: `[config.<id>]`,
/// `[dev.secrets]`) unless the test gives its own.
#[must_use = "`start().await` makes the application"]
pub struct AppBuilder {
    package: &'static str,
    secrets: BTreeMap<String, String>,
    configs: BTreeMap<String, Value>,
    externals: BTreeMap<&'static str, Router>,
    start: Timestamp,
    seed: u64,
    chaos: Option<Chaos>,
}

impl AppBuilder {
    /// The application that `package` holds; `updraft::test::app!` calls this.
    pub fn new(package: &'static str) -> Self {
        AppBuilder {
            package,
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            externals: BTreeMap::new(),
            start: Timestamp::from_second(1_767_268_800).unwrap_or_default(), // noon of the first day of 2026, UTC
            seed: 0,
            chaos: None,
        }
    }

    /// Gives a secret its value.
    pub fn secret<R: SecretResource>(mut self, value: impl Into<String>) -> Self {
        self.secrets.insert(R::ID.to_owned(), value.into());
        self
    }

    /// Gives a config its values: `.config::<Warehouse>(json!({"initial": 3}))`.
    pub fn config<R: ConfigResource>(mut self, values: Value) -> Self {
        self.configs.insert(R::ID.to_owned(), values);
        self
    }

    /// Puts a router in an external's place. (One without answers every request with 202.)
    pub fn external<R: ExternalResource>(mut self, stand_in: Router) -> Self {
        self.externals.insert(R::ID, stand_in);
        self
    }

    /// The time at the start, RFC 3339; noon of 1 January 2026 in UTC otherwise.
    ///
    /// # Panics
    /// If that is no time.
    #[track_caller]
    pub fn at(mut self, time: &str) -> Self {
        self.start = time.parse().unwrap_or_else(|error| panic!("`{time}` is no time: {error}"));
        self
    }

    /// What decides the pauses between attempts and the ids of messages.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the application if its databases can be had: `let Some(app) = … .start_with_databases().await else { return };`.
    /// `None`, which is said in plain sight, where this machine has no PostgreSQL.
    ///
    /// Each database is an empty one of the test's own, with its migrations run. After [`AppBuilder::start`] too; but where
    /// there is none, that one starts without, and what takes it answers 503, as on a laptop.
    ///
    /// # Panics
    /// As [`AppBuilder::start`]; and if there is none and `UPDRAFT_E2E=required`.
    #[cfg(feature = "postgres")]
    pub async fn start_with_databases(self) -> Option<App> {
        let app = self.start().await;
        let absent = app.ctx.engines().databases.absent().next().map(|(_, reason)| reason.to_owned());
        match absent {
            Some(reason) => {
                super::postgres::skipped(&reason);
                None
            }
            None => Some(app),
        }
    }

    /// Lets things go wrong, as a seed decides: `.chaos(17)`, `.chaos(Chaos::seed(17).duplicates(0.5))`. See the
    /// [module](crate::test#chaos).
    pub fn chaos(mut self, chaos: impl Into<Chaos>) -> Self {
        let chaos = chaos.into();
        self.seed = chaos.of_seed();
        self.chaos = Some(chaos);
        self
    }

    /// Starts the application.
    ///
    /// # Panics
    /// If it would not start on a laptop either, with the reason.
    pub async fn start(self) -> App {
        let refused = |reason: String| -> ! { panic!("the application does not start: {reason}") };
        crate::start::check(self.package).unwrap_or_else(|reason| refused(reason));
        let handlers = registry::handlers().unwrap_or_else(|reason| refused(reason));
        // cargo and nextest set it; without, there are no settings.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        let mut settings = settings::read(&folder, self.package).unwrap_or_else(|reason| refused(reason));
        settings.configs.extend(self.configs);
        settings.secrets.extend(self.secrets);
        if let Err(problems) = settings::validate(&settings.configs, settings::FILE) {
            refused(problems.join("\n"));
        }

        let clock = ManualClock::new(self.start);
        let topology = Topology::of(handlers.values().copied()).declared();
        let engine = Embedded::in_memory(topology, Arc::new(clock.clone()));
        let engine = engine.unwrap_or_else(|error| refused(error.to_string()));
        let storm = self.chaos.map(|chaos| {
            let (log, spared) = seeds::enlist();
            Arc::new(Storm::new(chaos, clock.clone(), log, spared))
        });
        let faults = Arc::new(Script::new(self.seed, storm.clone()));
        let stand_ins = StandIns::start(self.externals, storm.as_ref()).await;
        let databases = databases().await;
        let shared = Arc::new(engine.clone());
        let engines = Engines {
            messaging: shared.clone(),
            stores: Routed::all(shared.clone()),
            buckets: Routed::all(shared),
            databases,
            functions: Routed::default(),
            secrets: Arc::new(GivenSecrets(settings.secrets)),
            configs: settings.configs,
            externals: stand_ins.urls(),
        };
        let options = Options {
            clock: Arc::new(clock.clone()),
            observer: if seeds::quiet() { Arc::new(Unobserved) } else { log() },
            faults: Some(faults.clone()),
            serialise_calls: true,
        };
        let ctx = Ctx::new(&settings.app, engines, options);
        let in_flight = InFlight::default();
        let dispatcher = Dispatcher::new(ctx.clone(), engine.clone(), in_flight.clone(), self.seed);
        let dispatcher = dispatcher.unwrap_or_else(|reason| refused(reason));
        let mine: Vec<_> = handlers.values().copied().collect();
        crate::shared::build_all(&ctx, &mine).await.unwrap_or_else(|reason| refused(reason));
        let router = router(&ctx, &mine, &[], &in_flight, settings.http.body).unwrap_or_else(|reason| refused(reason));
        let router = router.merge(presigned::router(engine.clone()));
        let simulation = storm.map(|storm| {
            let (ctx, engine, seed) = (ctx.clone(), engine.clone(), self.seed);
            Simulation::new(storm, engine.clone(), move || {
                ctx.forget_cached();
                let dispatcher = Dispatcher::new(ctx.clone(), engine.clone(), in_flight.clone(), seed);
                dispatcher.unwrap_or_else(|reason| panic!("the application does not start again: {reason}"))
            })
        });
        let app = App { ctx, engine, dispatcher, router, clock, faults, stand_ins, handlers, simulation };
        // Schedules look ahead from here.
        app.drain().await;
        app
    }
}

/// An application that runs in memory, on a clock that stands still until [`App::advance`].
pub struct App {
    ctx: Ctx,
    engine: Embedded,
    dispatcher: Dispatcher,
    router: Router,
    clock: ManualClock,
    faults: Arc<Script>,
    stand_ins: StandIns,
    handlers: BTreeMap<&'static str, &'static Handler>,
    simulation: Option<Simulation>,
}

impl App {
    /// A `GET` request to a route, through the real router: await it.
    pub fn get(&self, path: &str) -> http::Request {
        self.request("GET", path)
    }

    /// A `POST` request.
    pub fn post(&self, path: &str) -> http::Request {
        self.request("POST", path)
    }

    /// A `PUT` request.
    pub fn put(&self, path: &str) -> http::Request {
        self.request("PUT", path)
    }

    /// A `DELETE` request.
    pub fn delete(&self, path: &str) -> http::Request {
        self.request("DELETE", path)
    }

    /// A request of any method.
    pub fn request(&self, method: &str, path: &str) -> http::Request {
        http::Request::new(self.router.clone(), method, path, self.simulation.clone())
    }

    /// Works off what is due now, and what follows from it; how many attempts that took. A retry waits for its time:
    /// [`App::advance`] or [`App::settle`].
    ///
    /// # Panics
    /// If messages make messages for ever.
    pub async fn drain(&self) -> usize {
        let mut all = 0;
        loop {
            let handed_on = self.ctx.engines().databases.flush(&self.ctx).await;
            let attempts = match &self.simulation {
                Some(simulation) => simulation.drain(TOO_MANY).await,
                None => sound(self.dispatcher.drain_at_most(TOO_MANY).await),
            };
            let attempts = attempts.filter(|_| all < TOO_MANY).unwrap_or_else(|| {
                panic!("{TOO_MANY} attempts, and there are still messages: do they feed themselves?")
            });
            all += attempts;
            // What handlers committed meanwhile is in an outbox now.
            if attempts == 0 && handed_on == 0 || self.ctx.engines().databases.is_empty() {
                return all;
            }
        }
    }

    /// Lets time pass, and does on the way what becomes due: retries, delayed messages, schedules.
    ///
    /// # Panics
    /// As [`App::drain`].
    pub async fn advance(&self, duration: Duration) {
        let until = self.now().saturating_add(duration).unwrap_or(Timestamp::MAX);
        loop {
            self.drain().await;
            let due = sound(self.dispatcher().next_due().await);
            match due.into_iter().chain(self.simulation.as_ref().and_then(Simulation::next)).min() {
                Some(next) if next <= until => self.clock.set(next),
                Some(_) | None => break,
            }
        }
        self.clock.set(until);
        self.drain().await;
    }

    /// Lets time pass until no message is left: each is delivered or among the dead letters.
    ///
    /// # Panics
    /// As [`App::drain`].
    pub async fn settle(&self) {
        loop {
            self.drain().await;
            let due = sound(self.dispatcher().next_message());
            let Some(next) = due.into_iter().chain(self.simulation.as_ref().and_then(Simulation::next)).min() else {
                break;
            };
            let left = Duration::try_from(self.now().duration_until(next)).unwrap_or_default();
            self.advance(left).await;
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes something fail.
    ///
    /// # Panics
    /// If it names no handler of the application, or several.
    #[track_caller]
    pub fn fail(&self, fault: Fault) {
        let fault = fault.resolve(|name| self.find(name).id);
        self.faults.injected.add(fault);
    }

    /// A store, to look into and to fill.
    pub fn store<R: StoreResource>(&self) -> Store<R> {
        held(&self.ctx)
    }

    /// A bucket, to look into and to fill.
    pub fn bucket<R: BucketResource>(&self) -> Bucket<R> {
        held(&self.ctx)
    }

    /// A database, to look into and to fill.
    #[cfg(feature = "postgres")]
    pub fn database<R: crate::capability::DatabaseResource>(&self) -> crate::capability::Database<R> {
        held(&self.ctx)
    }

    /// A queue, to send to and to look into.
    pub fn queue<R: QueueResource>(&self) -> TestQueue<'_, R> {
        TestQueue { app: self, resource: PhantomData }
    }

    /// A topic, to publish to.
    pub fn topic<R: TopicResource>(&self) -> Topic<R> {
        held(&self.ctx)
    }

    /// A function, to call as its callers do: through serialisation.
    pub fn function<F: FunctionResource>(&self) -> Function<F> {
        held(&self.ctx)
    }

    /// Runs a schedule now, once: `app.run("reports::nightly_report")`.
    ///
    /// # Errors
    /// Why the run failed.
    ///
    /// # Panics
    /// If that names no schedule of the application, or several.
    pub async fn run(&self, schedule: &str) -> Result<(), Failure> {
        let handler = self.find(schedule);
        assert!(matches!(handler.dispatch, Dispatch::Schedule { .. }), "`{}` is no schedule", handler.id);
        let tick = Tick { scheduled: self.now(), attempt: Some(1) };
        let Some(simulation) = &self.simulation else { return dispatch::run(&self.ctx, handler, tick, None).await };
        let ctx = self.ctx.clone();
        let run = async move {
            let occasion = Occasion { handler: handler.id, message: None, number: 1, last: false };
            ctx.attempted(&occasion, dispatch::run(&ctx, handler, tick, None)).await
        };
        let lost = || Failure { kind: FailureKind::Error, reason: "the process was lost (chaos)".to_owned() };
        simulation.run(handler.id, run).await.unwrap_or_else(|| Err(lost()))
    }

    /// Loses the process and starts it again: attempts that are under way end without an answer, what the application keeps
    /// is still there. (Only an application under chaos has attempts under way while the test goes on.)
    pub async fn restart(&self) {
        match &self.simulation {
            Some(simulation) => simulation.restart().await,
            None => self.ctx.forget_cached(),
        }
    }

    /// What happened so far, if the application is under chaos: the same seed gives the same trace.
    pub fn trace(&self) -> Trace {
        self.simulation.as_ref().map(|simulation| simulation.storm().log.read()).unwrap_or_default()
    }

    /// What was given up, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        sound(self.engine.dead_letters())
    }

    /// Puts a dead letter before its handler again.
    pub async fn redrive(&self, letter: &DeadLetter) {
        sound(self.engine.redrive(&letter.handler, &letter.id).await);
    }

    /// The requests that an external has got, in their order.
    pub fn requests_to<R: ExternalResource>(&self) -> Vec<Received> {
        self.stand_ins.received(R::ID)
    }

    fn dispatcher(&self) -> Dispatcher {
        self.simulation.as_ref().map_or_else(|| self.dispatcher.clone(), Simulation::dispatcher)
    }

    /// A handler by its id or the end of it.
    #[track_caller]
    fn find(&self, name: &str) -> &'static Handler {
        let ends = |id: &str| id == name || id.strip_suffix(name).is_some_and(|rest| rest.ends_with("::"));
        let found: Vec<_> = self.handlers.values().filter(|handler| ends(handler.id)).collect();
        match found[..] {
            [handler] => handler,
            [] => {
                let all: Vec<_> = self.handlers.keys().copied().collect();
                panic!("no handler is called `{name}`; there are {}", all.join(", "))
            }
            _ => {
                let several: Vec<_> = found.iter().map(|handler| handler.id).collect();
                panic!("`{name}` may be any of {}", several.join(", "))
            }
        }
    }
}

/// A database of the test's own for each that the program declares.
#[cfg(feature = "postgres")]
async fn databases() -> Databases {
    let mut databases = Databases::default();
    for (id, migrations) in crate::database::declared() {
        match super::postgres::database(id, migrations).await {
            Ok(database) => databases.add(database),
            Err(reason) => databases.without(id, reason),
        }
    }
    databases
}

/// Without the feature no program declares one.
#[cfg(not(feature = "postgres"))]
async fn databases() -> Databases {
    Databases::default()
}

/// A queue as a test sees it.
pub struct TestQueue<'a, R> {
    app: &'a App,
    resource: PhantomData<fn() -> R>,
}

impl<R: QueueResource> TestQueue<'_, R> {
    /// Sends a message.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub async fn send(&self, message: &R::Message) -> Result<(), ResourceError> {
        held::<Queue<R>>(&self.app.ctx).send(message).await
    }

    /// How many messages wait, those that are held back included.
    pub fn len(&self) -> usize {
        self.depth().total()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are due, and how many are held back.
    pub fn depth(&self) -> Depth {
        sound(self.app.engine.depth(&topology::queue_lane(R::ID)))
    }

    /// The messages that wait, in the order in which they came.
    ///
    /// # Panics
    /// If one is no message of this queue.
    pub fn messages(&self) -> Vec<R::Message> {
        let waiting = sound(self.app.engine.waiting(&topology::queue_lane(R::ID)));
        let read = |message: crate::engine::Message| {
            R::forms().read(&message).unwrap_or_else(|unread| panic!("no message of `{}`: {}", R::ID, unread.error))
        };
        waiting.into_iter().map(read).collect()
    }
}
