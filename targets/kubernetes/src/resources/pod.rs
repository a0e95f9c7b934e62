//! Containers, volumes and probes: what pods have in common, wherever their template stands.

use super::meta::Map;
use serde::Serialize;

/// The user and group that containers run as: no one of the host's.
pub const USER: u32 = 65_532;
/// Files readable by all and writable by none (`0444`).
pub const READ_ONLY_FILES: u32 = 292;

/// A container.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name in the pod.
    pub name: String,
    /// By digest.
    pub image: String,
    /// Where it listens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ContainerPort>,
    /// Its environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// Whether it may get requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// Whether it must be started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// What it needs and may use.
    pub resources: Resources,
    /// What it may not do.
    pub security_context: SecurityContext,
    /// Its files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<Mount>,
}

/// A port that a container listens on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// On Knative: the protocol, `http1` or `h2c`.
    pub name: String,
    /// Its number.
    pub container_port: u16,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variable {
    /// `UPDRAFT_UNIT`.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Variable {
    /// A name and its value.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Variable { name: name.to_owned(), value: value.into() }
    }
}

/// A request that shows how a container is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    http_get: HttpGet,
    #[serde(skip_serializing_if = "Option::is_none")]
    period_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_threshold: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct HttpGet {
    path: String,
}

impl Probe {
    /// As often as the platform likes (Knative: every 50 ms until ready).
    pub fn eager(path: &str) -> Self {
        Probe { http_get: HttpGet { path: path.to_owned() }, period_seconds: None, failure_threshold: None }
    }

    /// Every so many seconds, and dead after so many failures.
    pub fn every(path: &str, seconds: u32, failures: u32) -> Self {
        Probe { period_seconds: Some(seconds), failure_threshold: Some(failures), ..Probe::eager(path) }
    }
}

/// What a container needs and may use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resources {
    /// Reserved.
    pub requests: Amounts,
    /// At most.
    pub limits: Amounts,
}

/// Quantities.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Amounts {
    /// `100m`.
    pub cpu: String,
    /// `64Mi`.
    pub memory: String,
    /// `64Mi`.
    pub ephemeral_storage: String,
}

/// What a container may not do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    allow_privilege_escalation: bool,
    capabilities: Capabilities,
    privileged: bool,
    read_only_root_filesystem: bool,
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    seccomp_profile: SeccompProfile,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Capabilities {
    drop: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SeccompProfile {
    r#type: &'static str,
}

impl SecurityContext {
    /// The Pod Security Standard "restricted", and a root file system that nobody writes to.
    pub fn restricted() -> Self {
        SecurityContext {
            allow_privilege_escalation: false,
            capabilities: Capabilities { drop: vec!["ALL"] },
            privileged: false,
            read_only_root_filesystem: true,
            run_as_non_root: true,
            run_as_user: USER,
            run_as_group: USER,
            seccomp_profile: SeccompProfile { r#type: "RuntimeDefault" },
        }
    }
}

/// A volume in a container's tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The volume's.
    pub name: String,
    /// Where.
    pub mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
}

impl Mount {
    /// Files that nobody writes to.
    pub fn read_only(name: &str, path: impl Into<String>) -> Self {
        Mount { name: name.to_owned(), mount_path: path.into(), read_only: true }
    }

    /// Scratch space.
    pub fn writable(name: &str, path: impl Into<String>) -> Self {
        Mount { name: name.to_owned(), mount_path: path.into(), read_only: false }
    }
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Volume {
    /// Unique in the pod.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub source: VolumeSource,
}

/// What a volume holds: one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSource {
    /// Nothing, at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A config map's keys as files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// A secret's keys as files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
}

/// An empty directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// `Memory`.
    pub medium: &'static str,
    /// `32Mi`.
    pub size_limit: &'static str,
}

/// A config map as files.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// Its name.
    pub name: String,
    /// Permissions.
    pub default_mode: u32,
}

/// A secret as files.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Its name.
    pub secret_name: String,
    /// Permissions.
    pub default_mode: u32,
    /// Which keys become which files; all by their names if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// Whether the pod starts without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// A key as a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The file's name.
    pub path: String,
}

impl Volume {
    /// Scratch space in memory: the root file system can't be written to.
    pub fn scratch(name: &str) -> Self {
        let empty_dir = Some(EmptyDir { medium: "Memory", size_limit: "32Mi" });
        Volume { name: name.to_owned(), source: VolumeSource { empty_dir, ..VolumeSource::default() } }
    }

    /// A config map's keys.
    pub fn config_map(name: &str, config_map: &str) -> Self {
        let config_map = Some(ConfigMapSource { name: config_map.to_owned(), default_mode: READ_ONLY_FILES });
        Volume { name: name.to_owned(), source: VolumeSource { config_map, ..VolumeSource::default() } }
    }

    /// One key of a secret, as the file `path`.
    pub fn secret(name: &str, secret: &str, key: &str, path: &str, optional: bool) -> Self {
        let secret = Some(SecretSource {
            secret_name: secret.to_owned(),
            default_mode: READ_ONLY_FILES,
            items: vec![Item { key: key.to_owned(), path: path.to_owned() }],
            optional,
        });
        Volume { name: name.to_owned(), source: VolumeSource { secret, ..VolumeSource::default() } }
    }
}

/// A pod of a job. (A Knative Service's has other fields.)
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPod {
    /// Whose rights it has.
    pub service_account_name: String,
    /// Never: it does not speak to the cluster's API.
    pub automount_service_account_token: bool,
    /// Whether the environment lists every Service of the namespace.
    pub enable_service_links: bool,
    /// `Never`: the job starts another pod.
    pub restart_policy: &'static str,
    /// For all containers.
    pub security_context: PodSecurityContext,
    /// One.
    pub containers: Vec<Container>,
    /// Its files.
    pub volumes: Vec<Volume>,
}

/// What no container of a pod may do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurityContext {
    run_as_non_root: bool,
    run_as_user: u32,
    run_as_group: u32,
    seccomp_profile: SeccompProfile,
}

impl PodSecurityContext {
    /// The Pod Security Standard "restricted".
    pub fn restricted() -> Self {
        PodSecurityContext {
            run_as_non_root: true,
            run_as_user: USER,
            run_as_group: USER,
            seccomp_profile: SeccompProfile { r#type: "RuntimeDefault" },
        }
    }
}

/// A pod template's metadata.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TemplateMeta {
    /// On Knative: the revision's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels of the pods.
    pub labels: Map,
    /// Annotations of the pods, on Knative also the autoscaler's.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub annotations: Map,
}
