//! Kinds of Kubernetes itself, one file each.

pub mod config_map;
pub mod cron_job;
pub mod kustomization;
pub mod meta;
pub mod namespace;
pub mod network_policy;
pub mod pod;
pub mod service_account;

pub use config_map::ConfigMap;
pub use cron_job::CronJob;
pub use kustomization::Kustomization;
pub use meta::Meta;
pub use namespace::Namespace;
pub use network_policy::NetworkPolicy;
pub use service_account::ServiceAccount;
