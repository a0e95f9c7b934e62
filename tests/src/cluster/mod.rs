//! A cluster that plays what was emitted, without Kubernetes: it reads the manifests of a folder, starts units as the kubelet
//! would, leads requests to them as Knative's activator does (starting a unit on its first request), and delivers events as a
//! broker does by the specifications — with retries, a dead-letter sink, and duplicates.
//!
//! What differs from a cluster: names are resolved by writing addresses into mounted files, files are mounted below a folder
//! instead of at `/`, and the broker's pauses pass faster.

mod activator;
mod broker;
mod kubelet;
mod manifests;
mod outside;

pub use activator::Activator;
pub use broker::Broker;
pub use manifests::Manifests;
pub use outside::{Outside, Sent};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What stands around the cluster.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The program that the image holds.
    pub program: PathBuf,
    /// Secrets' names → key → value: what `kubectl create secret` made.
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// Origins that manifests name (`https://s3.example.com`) → where they are here.
    pub origins: BTreeMap<String, String>,
    /// Ids of externals → where they are here.
    pub externals: BTreeMap<String, String>,
    /// Variables of every container beside the manifests' own.
    pub variables: BTreeMap<String, String>,
}

/// The cluster.
pub struct Cluster {
    manifests: Manifests,
    services: BTreeMap<String, Arc<Activator>>,
    broker: Option<Arc<Broker>>,
    // Last: what pods have open goes first.
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Applies the manifests of a folder. Nothing runs yet: units start when they are asked.
    ///
    /// # Panics
    /// If they can't be read.
    pub async fn apply(folder: &Path, mut world: World) -> Self {
        let manifests = Manifests::read(folder);
        let root = tempfile::Builder::new().prefix("cluster").tempdir().expect("a folder");
        kubelet::open_to_all(root.path());
        let mut services = BTreeMap::new();
        for service in &manifests.services {
            let activator = Activator::listen(service.clone()).await;
            let host = format!("http://{}.{}.svc.cluster.local", service.name, service.namespace);
            world.origins.insert(host, activator.url());
            services.insert(service.name.clone(), activator);
        }
        let broker = match &manifests.broker {
            Some(broker) => {
                let broker = Broker::listen(broker.clone(), manifests.triggers.clone(), &services).await;
                world.origins.insert(broker.origin(), broker.url());
                Some(broker)
            }
            None => None,
        };
        let kubelet = Arc::new(kubelet::Kubelet::new(root.path(), world, manifests.config_maps.clone()));
        for activator in services.values() {
            activator.attach(kubelet.clone());
        }
        Cluster { manifests, services, broker, _folder: root }
    }

    /// Where a public Service is reached from outside.
    ///
    /// # Panics
    /// If there is none of the name, or it is within the cluster alone.
    pub fn public(&self, service: &str) -> String {
        let activator = self.service(service);
        assert!(!activator.service().cluster_local, "{service} can't be reached from outside");
        activator.url()
    }

    /// A Service.
    ///
    /// # Panics
    /// If there is none of the name.
    pub fn service(&self, service: &str) -> &Arc<Activator> {
        self.services.get(service).unwrap_or_else(|| panic!("no Service {service}"))
    }

    /// All Services' names.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// The broker.
    ///
    /// # Panics
    /// If there is none.
    pub fn broker(&self) -> &Arc<Broker> {
        self.broker.as_ref().expect("a broker")
    }

    /// Fires a PingSource, as its adapter would at its time.
    ///
    /// # Panics
    /// If there is none of the name.
    pub async fn fire(&self, source: &str) {
        let source = self.manifests.ping_sources.iter().find(|held| held.name == source);
        let source = source.unwrap_or_else(|| panic!("no such PingSource, but {:?}", self.manifests.ping_sources));
        self.broker().publish(source.event()).await;
    }

    /// Waits until nothing is delivered any more.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    pub async fn quiet(&self, patience: Duration) {
        let started = Instant::now();
        while self.broker().under_way() > 0 {
            assert!(started.elapsed() < patience, "still delivering {:?}", self.broker().pending());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the pods of all Services wrote, for a failed test's eyes.
    pub fn logs(&self) -> String {
        self.services.values().map(|activator| activator.logs()).collect()
    }

    /// Ends all pods by SIGTERM and says how: `(service, exit code)`.
    pub async fn stop(&self) -> Vec<(String, Option<i32>)> {
        let mut ends = Vec::new();
        for (name, activator) in &self.services {
            ends.extend(activator.stop().await.into_iter().map(|code| (name.clone(), code)));
        }
        ends
    }
}
