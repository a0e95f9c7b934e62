//! Single capabilities, for tests that call a handler directly. Each stands on an engine of its own, in memory.

use super::held;
use crate::capability::{
    Bucket, BucketResource, Config, ConfigResource, External, ExternalResource, Queue, QueueResource, Secret,
    SecretResource, Store, StoreResource, Topic, TopicResource,
};
#[cfg(feature = "postgres")]
use crate::capability::{Database, DatabaseResource};
use crate::clock::SystemClock;
use crate::ctx::{Ctx, Engines, Observer, Options, Routed};
use crate::database::Databases;
use crate::embedded::{Embedded, Topology};
use crate::engine::{BoxFuture, Channel, EngineResult, Message, Messaging, SecretEngine};
use crate::function::{Answer, Function, FunctionResource, Outcome};
use crate::local::log::LiveLog;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An empty store.
pub fn store<R: StoreResource>() -> Store<R> {
    held(&Unit::default().ctx())
}

/// An empty bucket.
pub fn bucket<R: BucketResource>() -> Bucket<R> {
    held(&Unit::default().ctx())
}

/// An empty database, with its migrations run: `let Some(ledger) = test::database::<Ledger>().await else { return };`. `None`,
/// which is said in plain sight, where this machine has no PostgreSQL.
///
/// # Panics
/// If there is none and `UPDRAFT_E2E=required`; if the migrations fail.
#[cfg(feature = "postgres")]
pub async fn database<R: DatabaseResource>() -> Option<Database<R>> {
    match super::postgres::database(R::ID, R::MIGRATIONS).await {
        Ok(database) => {
            let mut databases = Databases::default();
            databases.add(database);
            Some(held(&Unit { databases, ..Unit::default() }.ctx()))
        }
        Err(reason) => {
            super::postgres::skipped(&reason);
            None
        }
    }
}

/// A secret of this value.
pub fn secret<R: SecretResource>(value: &str) -> Secret<R> {
    held(&Unit { secrets: BTreeMap::from([(R::ID.to_owned(), value.to_owned())]), ..Unit::default() }.ctx())
}

/// A config of these values.
pub fn config<C: ConfigResource>(values: C) -> Config<C> {
    Config::of(values)
}

/// An external that is at `base_url`.
pub fn external<R: ExternalResource>(base_url: &str) -> External<R> {
    held(&Unit { externals: BTreeMap::from([(R::ID.to_owned(), base_url.to_owned())]), ..Unit::default() }.ctx())
}

/// A queue, and what is sent to it: `let (orders, sent) = test::queue::<Orders>();`.
pub fn queue<R: QueueResource>() -> (Queue<R>, Sent<R::Message>) {
    let unit = Unit::default();
    let sent = Sent { messages: unit.sent.clone(), message: PhantomData };
    (held(&unit.ctx()), sent)
}

/// A topic, and what is published on it.
pub fn topic<R: TopicResource>() -> (Topic<R>, Sent<R::Message>) {
    let unit = Unit::default();
    let sent = Sent { messages: unit.sent.clone(), message: PhantomData };
    (held(&unit.ctx()), sent)
}

/// A function that a closure answers: `test::function::<quote>(|sku, quantity| Ok(Price { cents: 1 }))`.
pub fn function<F: FunctionResource>(
    answer: impl Answer<F::Arguments, Outcome<F>> + Send + Sync + 'static,
) -> Function<F> {
    Function::stub(move |arguments| answer.answer(arguments))
}

/// What was sent to a queue or published on a topic.
pub struct Sent<M> {
    messages: Arc<Mutex<Vec<Message>>>,
    message: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Sent<M> {
    /// The messages, in their order.
    ///
    /// # Panics
    /// If one can't be read back.
    #[track_caller]
    pub fn messages(&self) -> Vec<M> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |message: &Message| {
            serde_json::from_slice(&message.body)
                .unwrap_or_else(|error| panic!("a message can't be read back: {error}"))
        };
        messages.iter().map(read).collect()
    }
}

/// What a single capability stands on.
#[derive(Default)]
struct Unit {
    databases: Databases,
    secrets: BTreeMap<String, String>,
    externals: BTreeMap<String, String>,
    sent: Arc<Mutex<Vec<Message>>>,
}

impl Unit {
    fn ctx(self) -> Ctx {
        let engine = Embedded::in_memory(Topology::default(), Arc::new(SystemClock));
        let engine = Arc::new(engine.unwrap_or_else(|error| panic!("{error}")));
        let engines = Engines {
            messaging: Arc::new(Kept(self.sent)),
            stores: Routed::all(engine.clone()),
            buckets: Routed::all(engine),
            databases: self.databases,
            functions: Default::default(),
            secrets: Arc::new(GivenSecrets(self.secrets)),
            configs: BTreeMap::new(),
            externals: self.externals,
        };
        let options = Options { clock: Arc::new(SystemClock), observer: log(), faults: None, serialise_calls: true };
        Ctx::new("test", engines, options)
    }
}

/// Keeps what is sent.
struct Kept(Arc<Mutex<Vec<Message>>>);

impl Messaging for Kept {
    fn publish(&self, _: Channel, messages: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(messages);
        Box::pin(async { Ok(()) })
    }
}

/// Secrets that a test gives.
pub(super) struct GivenSecrets(pub(super) BTreeMap<String, String>);

impl SecretEngine for GivenSecrets {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async { Ok(self.0.get(secret).cloned()) })
    }

    fn how_to_provide(&self, _: &str) -> String {
        "give the test one, `test::app!(…).secret::<Name>(\"…\")`, or put one into `[dev.secrets]` of Updraft.toml"
            .into()
    }
}

/// The live log, where the test's harness shows it: only if the test fails.
pub(super) fn log() -> Arc<dyn Observer> {
    // An error says that there is a subscriber already.
    let _ = tracing_subscriber::fmt().compact().without_time().with_target(false).with_test_writer().try_init();
    Arc::new(LiveLog::new(Box::new(Captured), false, jiff::tz::TimeZone::UTC))
}

/// Standard output as the harness captures it: it does so for `print!` alone.
struct Captured;

impl Write for Captured {
    #[expect(clippy::print_stdout, reason = "the harness captures nothing else")]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        print!("{}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
