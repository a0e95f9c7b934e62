//! Server mode with Knative's broker keeps the promises of queues and topics that it declares: the suite's own handlers in a
//! played cluster, from manifests that the target wrote, with a broker that retries, delivers twice and now and then refuses.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use updraft::conformance::messaging::handlers::{ALL, NOTES, Note, notes};
use updraft::conformance::messaging::{Declares, Rig, messaging};
use updraft::deadletter::DeadLetter;
use updraft::engine::{BoxFuture, Messaging, StoreEngine};
use updraft::engines::redis::{Connection, RedisStore};
use updraft::registry::Dispatch;
use updraft_knative::Knative;
use updraft_model::settings::{self, BoundEngine};
use updraft_model::{
    Access, App, Grant, Handler, Kind, Place, Plan, Resource, Settings, Sink, Target, Trigger, Unit, ZERO_DIGEST,
};
use updraft_tests::cluster::{Cluster, World};
use updraft_tests::servers::{Redis, Secrets};
use updraft_wire::binding::Engine;

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The hash of a program without descriptors: blake3 of nothing.
const GRAPH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

fn place() -> Place {
    Place { file: "conformance.rs".into(), line: 1, column: 1, start: 0, end: 1 }
}

/// The suite's handlers, as the compiler would see them.
fn app() -> App {
    let (mut resources, mut handlers) = (BTreeSet::from([(Kind::Store, NOTES.to_owned())]), Vec::new());
    for handler in &ALL {
        let (trigger, retries) = match &handler.dispatch {
            Dispatch::Consumer { queue, retries, .. } | Dispatch::Batch { queue, retries, .. } => {
                resources.insert((Kind::Queue, (*queue).to_owned()));
                (Trigger::Consumer { queue: (*queue).to_owned() }, *retries)
            }
            Dispatch::Subscriber { topic, when, retries, .. } => {
                resources.insert((Kind::Topic, (*topic).to_owned()));
                let when = when.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                (Trigger::Subscriber { topic: (*topic).to_owned(), when }, *retries)
            }
            Dispatch::Http { .. }
            | Dispatch::Schedule { .. }
            | Dispatch::Object { .. }
            | Dispatch::Function { .. }
            | Dispatch::Routes { .. }
            | Dispatch::Layer { .. }
            | Dispatch::Shared { .. } => {
                unreachable!("the suite's handlers take messages")
            }
        };
        handlers.push(Handler {
            id: handler.id.to_owned(),
            krate: "conformance".to_owned(),
            module: String::new(),
            trigger,
            grants: BTreeSet::from([Grant {
                kind: Kind::Store,
                resource: NOTES.to_owned(),
                access: Access::ReadWrite,
            }]),
            timeout: u32::try_from(handler.timeout_millis.div_ceil(1_000)).expect("seconds"),
            retries,
            options: BTreeMap::new(),
            about: None,
            place: place(),
        });
    }
    handlers.sort_by(|a, b| a.id.cmp(&b.id));
    let resource = |(kind, id): (Kind, String)| Resource {
        path: format!("conformance::{id}"),
        id,
        kind,
        external: None,
        options: BTreeMap::new(),
        hosts: Vec::new(),
        about: None,
        place: place(),
    };
    App {
        format: updraft_model::app::FORMAT,
        name: "conformance".to_owned(),
        package: "conformance".to_owned(),
        crates: vec!["conformance".to_owned()],
        handlers,
        resources: resources.into_iter().map(resource).collect(),
    }
}

/// What `build --target knative` would write for them.
fn write_manifests(folder: &Path) {
    let app = app();
    let redis = Engine::Redis { url_secret: "redis-url".to_owned(), prefix: None };
    let bound = BoundEngine { engine: redis.clone(), network: None, server_connections: None };
    let engine = |kind| if kind == Kind::Store { redis.clone() } else { Engine::Broker {} };
    let plan = Plan {
        graph: GRAPH.to_owned(),
        units: vec![Unit { id: "work".to_owned(), handlers: ALL.iter().map(|it| it.id.to_owned()).collect() }],
        engines: app.resources.iter().map(|it| ((it.kind, it.id.clone()), engine(it.kind))).collect(),
        app,
        settings: Settings {
            bindings: BTreeMap::from([("store".to_owned(), bound.clone())]),
            knative: settings::Knative {
                broker: settings::Broker { class: Some("Kafka".to_owned()), ..settings::Broker::default() },
                dead_letters: Some(bound),
                ..settings::Knative::default()
            },
            ..Settings::default()
        },
        image: "registry.example.com/conformance".to_owned(),
        digest: ZERO_DIGEST.to_owned(),
    };
    let mut sink = Sink::default();
    let artifacts = Knative.compile(&plan, &mut sink);
    let artifacts = artifacts.unwrap_or_else(|| panic!("{:?}", sink.into_sorted()));
    for (path, artifact) in artifacts.iter() {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, &artifact.bytes).expect("a file");
    }
}

/// The played cluster. Dropped in this order.
struct Knatives {
    cluster: Cluster,
    store: RedisStore,
    messaging: Arc<dyn Messaging>,
    crashed: AtomicBool,
    _redis: Redis,
}

impl Rig for Knatives {
    fn declares(&self) -> Declares {
        Declares {
            attempts: false,
            exclusive: false,
            backoff: false,
            delay: false,
            ordered: false,
            dedup: false,
            batch: 1,
            redrive: false,
            crash: true,
        }
    }

    fn messaging(&self) -> Arc<dyn Messaging> {
        self.messaging.clone()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.cluster.quiet(PATIENCE))
    }

    fn notes(&self) -> BoxFuture<'_, Vec<Note>> {
        Box::pin(notes(&self.store))
    }

    fn letters(&self) -> BoxFuture<'_, Vec<DeadLetter>> {
        Box::pin(async {
            let page = self.store.scan("dead-letters", b"", None, 10_000).await.expect("the dead letters");
            assert_eq!(page.next, None);
            page.items.iter().map(|(_, entry)| serde_json::from_slice(&entry.value).expect("a dead letter")).collect()
        })
    }

    fn redrive<'a>(&'a self, _: &'a DeadLetter) -> BoxFuture<'a, ()> {
        unreachable!("not declared")
    }

    fn crash(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.cluster.service("work").crash();
            self.crashed.store(true, Ordering::Relaxed);
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn knatives_broker_keeps_what_it_declares() {
    let Some(redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    write_manifests(folder.path());
    let secret = BTreeMap::from([("value".to_owned(), redis.url())]);
    let world = World {
        program: env!("CARGO_BIN_EXE_conformance").into(),
        secrets: BTreeMap::from([("conformance-redis-url".to_owned(), secret)]),
        ..World::default()
    };
    let cluster = Cluster::apply(folder.path(), world).await;
    let messaging_engine = updraft::server::publisher("conformance", &cluster.broker().ingress()).expect("an address");
    let connection = Arc::new(Connection::new(Arc::new(Secrets::with("redis-url", redis.url())), "redis-url"));
    let store = RedisStore::new(connection, "conformance", None);
    let rig = Knatives { cluster, store, messaging: messaging_engine, crashed: AtomicBool::new(false), _redis: redis };
    messaging(&rig).await;
    assert!(rig.crashed.load(Ordering::Relaxed), "the suite tried a crash");
    assert_eq!(rig.cluster.broker().lost(), [""; 0], "{}", rig.cluster.logs());
    for (service, code) in rig.cluster.stop().await {
        assert_eq!(code, Some(0), "{service}\n{}", rig.cluster.logs());
    }
}
