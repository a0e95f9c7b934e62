//! What the stand-in reads of manifests: only fields that change what happens.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything of a folder that is played.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Knative Services.
    pub services: Vec<Service>,
    /// Name → file → contents.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// The broker.
    pub broker: Option<BrokerManifest>,
    /// Triggers.
    pub triggers: Vec<Trigger>,
    /// PingSources.
    pub ping_sources: Vec<PingSource>,
}

/// A Knative Service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether it is reached from within the cluster alone.
    pub cluster_local: bool,
    /// Its revision's name.
    pub revision: String,
    /// Its pods.
    pub pod: PodSpec,
}

/// A revision's pods.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Requests at once.
    #[serde(default)]
    pub container_concurrency: usize,
    /// Seconds that a request may take, and the grace of a pod.
    pub timeout_seconds: u64,
    /// Seconds until the response begins.
    #[serde(default)]
    pub response_start_timeout_seconds: Option<u64>,
    /// One.
    pub containers: Vec<Container>,
    /// Its files.
    #[serde(default)]
    pub volumes: Vec<Volume>,
}

/// A container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its environment.
    #[serde(default)]
    pub env: Vec<Variable>,
    /// When it may get requests.
    pub readiness_probe: Probe,
    /// Where volumes are.
    #[serde(default)]
    pub volume_mounts: Vec<Mount>,
}

/// An environment variable.
#[derive(Clone, Debug, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A probe.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// By a request.
    pub http_get: HttpGet,
}

/// A probe's request.
#[derive(Clone, Debug, Deserialize)]
pub struct HttpGet {
    /// Its path.
    pub path: String,
}

/// A volume in a container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The volume.
    pub name: String,
    /// Where.
    pub mount_path: String,
}

/// A volume: one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// A config map's files.
    #[serde(default)]
    pub config_map: Option<ConfigMapSource>,
    /// A secret's.
    #[serde(default)]
    pub secret: Option<SecretSource>,
}

/// A config map as files.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfigMapSource {
    /// Its name.
    pub name: String,
}

/// A secret as files.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Its name.
    pub secret_name: String,
    /// Which keys, as which files.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Whether the pod starts without it.
    #[serde(default)]
    pub optional: bool,
}

/// A key as a file.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The file.
    pub path: String,
}

/// A Broker.
#[derive(Clone, Debug)]
pub struct BrokerManifest {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its class.
    pub class: String,
}

/// A Trigger.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: TriggerSpec,
}

/// What a Trigger says.
#[derive(Clone, Debug, Deserialize)]
pub struct TriggerSpec {
    /// Which events: all of these.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// Who gets them.
    pub subscriber: Destination,
    /// How.
    pub delivery: Delivery,
}

/// Attributes that must be equal.
#[derive(Clone, Debug, Deserialize)]
pub struct Filter {
    /// Name → value.
    pub exact: BTreeMap<String, String>,
}

/// A path of a Service.
#[derive(Clone, Debug, Deserialize)]
pub struct Destination {
    /// The Service.
    pub r#ref: Reference,
    /// The path.
    #[serde(default)]
    pub uri: String,
}

/// A Service.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// Its name.
    pub name: String,
}

/// How often, how long, and where to in the end.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Attempts after the first.
    pub retry: u32,
    /// `exponential` or `linear`.
    pub backoff_policy: String,
    /// ISO 8601.
    pub backoff_delay: String,
    /// ISO 8601.
    pub timeout: String,
    /// Where to in the end.
    pub dead_letter_sink: Destination,
}

/// A PingSource.
#[derive(Clone, Debug)]
pub struct PingSource {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What it sends.
    pub data: String,
    /// What that is.
    pub content_type: String,
}

impl PingSource {
    /// The event it sends.
    pub fn event(&self) -> super::broker::Event {
        let source = format!("/apis/v1/namespaces/{}/pingsources/{}", self.namespace, self.name);
        let attributes = [
            ("id", format!("ping-{}", std::process::id())),
            ("source", source),
            ("type", "dev.knative.sources.ping".to_owned()),
            ("specversion", "1.0".to_owned()),
            ("time", "2026-11-23T02:00:00.123Z".to_owned()),
        ];
        super::broker::Event {
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            content_type: self.content_type.clone(),
            other: BTreeMap::new(),
            body: self.data.clone().into(),
        }
    }
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: serde_json::Value,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ServiceSpec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    metadata: Metadata,
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PingSpec {
    data: String,
    content_type: String,
}

impl Manifests {
    /// Reads the files that `kustomization.yaml` lists.
    ///
    /// # Panics
    /// If one can't be read.
    pub fn read(folder: &Path) -> Self {
        let text = |file: &str| {
            std::fs::read_to_string(folder.join(file))
                .unwrap_or_else(|error| panic!("{}/{file}: {error}", folder.display()))
        };
        let kustomization: serde_json::Value =
            serde_yaml::from_str(&text("kustomization.yaml")).expect("a kustomization");
        let mut manifests = Manifests::default();
        for file in kustomization["resources"].as_array().expect("resources") {
            let text = text(file.as_str().expect("a file's name"));
            for document in serde_yaml::Deserializer::from_str(&text) {
                manifests.add(Object::deserialize(document).unwrap_or_else(|error| panic!("{file}: {error}")));
            }
        }
        manifests
    }

    fn add(&mut self, object: Object) {
        let Metadata { name, namespace, labels, annotations } = object.metadata;
        match object.kind.as_str() {
            "Service" => {
                let spec: ServiceSpec = spec(object.spec);
                self.services.push(Service {
                    cluster_local: labels
                        .get("networking.knative.dev/visibility")
                        .is_some_and(|value| value == "cluster-local"),
                    name,
                    namespace,
                    revision: spec.template.metadata.name,
                    pod: spec.template.spec,
                });
            }
            "ConfigMap" => {
                self.config_maps.insert(name, object.data);
            }
            "Broker" => {
                let class = annotations.get("eventing.knative.dev/broker.class").cloned().expect("a class");
                self.broker = Some(BrokerManifest { name, namespace, class });
            }
            "Trigger" => self.triggers.push(Trigger { name, spec: spec(object.spec) }),
            "PingSource" => {
                let PingSpec { data, content_type } = spec(object.spec);
                self.ping_sources.push(PingSource { name, namespace, data, content_type });
            }
            // What a cluster enforces and a loopback can't: accounts, policies, namespaces, domains.
            _ => {}
        }
    }
}

fn spec<T: DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("a spec: {error}"))
}
