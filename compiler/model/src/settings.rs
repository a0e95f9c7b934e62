//! `Updraft.toml` as plain data, after validation and with one environment's overrides applied. Parsing is the driver's.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use updraft_wire::binding::Engine;
use updraft_wire::limits::HttpLimits;

/// All settings; every field has a default, and an app without the file works.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// `[app] name`.
    pub name: Option<String>,
    /// `[placement]`.
    pub placement: Placement,
    /// `[bindings] <kind> = { … }`: kind (`store`, `bucket`, `queue`, `topic`, `external`) → engine.
    pub bindings: BTreeMap<String, BoundEngine>,
    /// `[bindings.resource.<id>]`.
    pub resource_bindings: BTreeMap<String, BoundEngine>,
    /// `[bindings] once`: where handlers with `once` record what they are done with.
    pub once: Option<BoundEngine>,
    /// `[secrets.<id>] kubernetes = { name, key }`.
    pub secrets: BTreeMap<String, KubernetesSecret>,
    /// `[config.<id>]`: values of `#[config]` structs.
    pub configs: BTreeMap<String, Value>,
    /// `[telemetry]`.
    pub telemetry: Option<Telemetry>,
    /// `[http]`.
    pub http: HttpLimits,
    /// `[dev]`: embedded mode only, no part of any plan.
    pub dev: Dev,
    /// `[target.knative]`.
    pub knative: Knative,
    /// `[target.aws-lambda]`.
    pub aws_lambda: AwsLambda,
}

/// `[dev]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dev {
    /// `[dev.secrets]`: secret id → its value on a laptop, where it is none.
    pub secrets: BTreeMap<String, String>,
    /// `[dev.databases]`: database id → the URL of a server that is used instead of one that is started.
    pub databases: BTreeMap<String, String>,
    /// Ids of externals that get a local stand-in.
    pub stand_ins: Vec<String>,
}

/// `[telemetry]`: where traces and metrics of a deployment go. What runs on a laptop follows its own `OTEL_*` variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Telemetry {
    /// The collector: `http://otel-collector.observability:4318`, as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// Where it is on the network.
    pub network: Option<Network>,
    /// Share of the traces that begin here, 0 to 1; all by default. One that began elsewhere is followed.
    pub ratio: Option<f64>,
    /// Where metrics go.
    pub metrics: Metrics,
    /// How Prometheus learns of units' metrics, and from which namespace it asks.
    pub prometheus: Option<Prometheus>,
}

/// `metrics = "otlp" | "none"`: what the collector gets beside traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metrics {
    /// All of them.
    #[default]
    Otlp,
    /// Nothing.
    None,
}

/// `prometheus = { namespace = "monitoring", find = "annotations" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prometheus {
    /// The namespace that it runs in.
    pub namespace: String,
    /// How it finds pods.
    pub find: Find,
}

/// How Prometheus finds pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// By `prometheus.io/…` annotations of pods.
    #[default]
    Annotations,
    /// By a PodMonitor, the Prometheus operator's.
    PodMonitor,
}

/// An engine and where it is on the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundEngine {
    /// What the runtime needs.
    pub engine: Engine,
    /// What NetworkPolicies need, where the engine is inside the cluster or at a known address.
    pub network: Option<Network>,
    /// Of PostgreSQL: how many connections its server allows; its own default if absent. Nothing is set up by it.
    pub server_connections: Option<u32>,
}

/// Where an engine is on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Pods of a namespace: `{ namespace = "data", pods = { app = "redis" } }`.
    Pods {
        /// The namespace's name.
        namespace: String,
        /// Labels.
        pods: BTreeMap<String, String>,
        /// The port, where the address does not tell.
        port: Option<u16>,
    },
    /// `{ cidr = "10.1.0.0/16" }`.
    Cidr {
        /// The range.
        cidr: String,
        /// The port, where the address does not tell.
        port: Option<u16>,
    },
}

/// `[placement]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// The target's own if absent.
    pub default: Option<Granularity>,
    /// Unit id → handlers, modules (`shop::billing`) or crates (`audit`).
    pub groups: BTreeMap<String, Vec<String>>,
}

/// How finely handlers are put into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// One unit.
    App,
    /// Public routes together, the rest by module.
    Module,
    /// One unit per handler.
    Handler,
}

/// A Secret that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KubernetesSecret {
    /// Its name.
    pub name: String,
    /// The key within.
    pub key: String,
}

/// `[target.knative]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Knative {
    /// The app's name by default.
    pub namespace: Option<String>,
    /// `registry.example.com/shop`.
    pub image: Option<String>,
    /// Put before every object's name as it stands (`shop-`), for shared namespaces; the Namespace is then not ours.
    pub name_prefix: Option<String>,
    /// The namespace of Serving's gateway, for NetworkPolicies; `kourier-system` by default.
    pub gateway: Option<String>,
    /// `broker = { name, class }`.
    pub broker: Broker,
    /// Where the dead-letter unit keeps its records.
    pub dead_letters: Option<BoundEngine>,
    /// `[target.knative.domain]`: host of the public unit, a DomainMapping.
    pub domain: Option<String>,
    /// `schedules = "ping" | "cronjob"`.
    pub schedules: Schedules,
    /// `[target.knative.scale]` and `[target.knative.units.<id>]`.
    pub scale: BTreeMap<String, Scale>,
}

/// The broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// The app's name by default.
    pub name: Option<String>,
    /// `Kafka`, `RabbitMQBroker`, `MTChannelBasedBroker` (the default).
    pub class: Option<String>,
    /// A ConfigMap (or other object) that configures it.
    pub config: Option<BrokerConfig>,
}

/// A broker's `spec.config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokerConfig {
    /// `v1`.
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; the app's by default.
    pub namespace: Option<String>,
}

/// What fires schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedules {
    /// A PingSource through the broker: no catch-up.
    #[default]
    Ping,
    /// A CronJob of the same image that publishes the tick.
    CronJob,
}

/// How a unit scales and what it may use. `*` holds for all units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// Pods at least.
    pub min: Option<u32>,
    /// Pods at most.
    pub max: Option<u32>,
    /// Requests in flight that a pod is meant to have.
    pub target: Option<u32>,
    /// Requests in flight that a pod may have.
    pub concurrency: Option<u32>,
    /// `100m`.
    pub cpu: Option<String>,
    /// `1`.
    pub cpu_limit: Option<String>,
    /// `64Mi`.
    pub memory: Option<String>,
    /// `256Mi`.
    pub memory_limit: Option<String>,
}

/// `[target.aws-lambda]`. Engines are not bound there: each kind of resource has one of AWS's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AwsLambda {
    /// `stack`: its name; the app's by default. An environment's ends with it.
    pub stack: Option<String>,
    /// `code_bucket`: where code is uploaded to; one of Updraft's own in the account by default.
    pub code_bucket: Option<String>,
    /// `architecture = "arm64" | "x86_64"`.
    pub architecture: Architecture,
    /// `package = "zip" | "image"`.
    pub package: Package,
    /// `repository`: where images are pushed to; one of Updraft's own in the account by default.
    pub repository: Option<String>,
    /// For how many days logs are kept.
    pub log_retention_days: Option<u32>,
    /// `http = "api" | "function-url"`: what requests come through.
    pub http: Entry,
    /// `throttle = { rate = 100, burst = 200 }`: requests that the API takes.
    pub throttle: Throttle,
    /// `permissions_boundary`: an ARN, or a policy's name: what roles may allow at most.
    pub permissions_boundary: Option<String>,
    /// `secrets = "secrets-manager" | "parameter-store"`: who keeps secrets, and databases' URLs.
    pub secrets: SecretKeeper,
    /// `rollout = "canary-10-5m"`: how aliases move to a new version; at once by default.
    pub rollout: Option<Rollout>,
    /// `data = "main" | "module"`: which stack keeps what modules declare.
    pub data: DataStacks,
    /// Resources that a stack has at most before functions get stacks of their own; 400 by default.
    pub resources_per_stack: Option<u32>,
    /// `[target.aws-lambda.functions]`, as `*`, and `[target.aws-lambda.units.<id>]`.
    pub functions: BTreeMap<String, LambdaFunction>,
    /// `[target.aws-lambda.database]`.
    pub database: LambdaDatabase,
}

/// Which stack has what keeps data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataStacks {
    /// The main one.
    #[default]
    Main,
    /// One of each module that declares some.
    Module,
}

/// How functions reach PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LambdaDatabase {
    /// Connections that one environment of a function has at most, with one access.
    pub connections: Option<u32>,
    /// Connections that the server is set up for, or a pooler in front of it.
    pub server_connections: Option<u32>,
    /// The subnets that functions with a database are put into. None: they stay outside of any network.
    pub subnets: Vec<String>,
    /// What these functions may reach there.
    pub security_groups: Vec<String>,
}

impl AwsLambda {
    /// What is said of a unit, field by field before what is said of all.
    pub fn function(&self, unit: &str) -> LambdaFunction {
        let of = |id: &str| self.functions.get(id).cloned().unwrap_or_default();
        let (own, all) = (of(unit), of("*"));
        LambdaFunction {
            memory: own.memory.or(all.memory),
            concurrency: own.concurrency.or(all.concurrency),
            reserved: own.reserved.or(all.reserved),
        }
    }
}

/// Who keeps secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKeeper {
    /// AWS Secrets Manager: secrets are the stack's.
    #[default]
    SecretsManager,
    /// Systems Manager's Parameter Store: costs nothing, and parameters are made by whoever gives them a value.
    ParameterStore,
}

/// What functions' code comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Package {
    /// A zip in a bucket. It starts faster.
    #[default]
    Zip,
    /// An image in a registry, for who wants all that runs to be there.
    Image,
}

/// What functions are compiled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Architecture {
    /// AWS's own processors, which cost less.
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel's and AMD's.
    #[serde(rename = "x86_64")]
    X86,
}

impl Architecture {
    /// As Lambda calls it: `arm64` or `x86_64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86 => "x86_64",
        }
    }
}

/// What requests come through to functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// One HTTP API, which knows all routes and leads to the functions that have them.
    #[default]
    Api,
    /// The URL of the one function that has all routes. What it answers is streamed.
    FunctionUrl,
}

/// How an alias moves to a new version of its function. It goes back if the new version's invocations fail meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rollout {
    /// `canary-10-5m`: a tenth first, and the rest after so many minutes.
    Canary {
        /// 5, 10, 15 or 30.
        minutes: u32,
    },
    /// `linear-10-1m`: another tenth each so many minutes.
    Linear {
        /// 1, 2, 3 or 10.
        minutes: u32,
    },
}

/// Requests that an API takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Throttle {
    /// A second.
    pub rate: Option<u32>,
    /// More than that, at once.
    pub burst: Option<u32>,
}

/// What a unit's function may use. `*` holds for all units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LambdaFunction {
    /// MB.
    pub memory: Option<u32>,
    /// Invocations at a time for each of its queues.
    pub concurrency: Option<u32>,
    /// Invocations at a time that the account keeps for it, and that it never has more of.
    pub reserved: Option<u32>,
}
