//! `CronJob`.

use super::meta::Meta;
use super::pod::{JobPod, TemplateMeta};
use serde::Serialize;

/// Seconds for which a run that could not start is still started.
const STARTING_DEADLINE_SECONDS: u32 = 3_600;

/// A cron job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CronJob {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    schedule: String,
    time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspend: Option<bool>,
    concurrency_policy: &'static str,
    starting_deadline_seconds: u32,
    successful_jobs_history_limit: u32,
    failed_jobs_history_limit: u32,
    job_template: JobTemplate,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct JobSpec {
    backoff_limit: u32,
    active_deadline_seconds: u32,
    ttl_seconds_after_finished: u32,
    pod_failure_policy: PodFailurePolicy,
    template: PodTemplate,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PodFailurePolicy {
    rules: Vec<FailureRule>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureRule {
    action: &'static str,
    on_pod_conditions: Vec<PodCondition>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PodCondition {
    r#type: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PodTemplate {
    metadata: TemplateMeta,
    spec: JobPod,
}

/// What a cron job does, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Five fields.
    pub schedule: String,
    /// IANA name.
    pub time_zone: String,
    /// Seconds until a run is given up.
    pub deadline: u32,
    /// Attempts after the first.
    pub retries: u32,
    /// The pod's labels.
    pub labels: super::meta::Map,
    /// The pod.
    pub pod: JobPod,
}

impl CronJob {
    /// One that never runs by itself: people make jobs of it.
    pub fn on_demand(metadata: Meta, run: Run) -> Self {
        let mut job = CronJob::new(metadata, run);
        job.spec.suspend = Some(true);
        job
    }

    /// One that skips a run while the last still runs, makes up for one that could not start, counts no eviction as a
    /// failure and cleans up after itself.
    pub fn new(metadata: Meta, run: Run) -> Self {
        let disrupted = FailureRule {
            action: "Ignore",
            on_pod_conditions: vec![PodCondition { r#type: "DisruptionTarget", status: "True" }],
        };
        let job = JobSpec {
            backoff_limit: run.retries,
            active_deadline_seconds: run.deadline,
            ttl_seconds_after_finished: 86_400,
            pod_failure_policy: PodFailurePolicy { rules: vec![disrupted] },
            template: PodTemplate {
                metadata: TemplateMeta { labels: run.labels, ..TemplateMeta::default() },
                spec: run.pod,
            },
        };
        CronJob {
            api_version: "batch/v1",
            kind: "CronJob",
            metadata,
            spec: Spec {
                schedule: run.schedule,
                time_zone: run.time_zone,
                suspend: None,
                concurrency_policy: "Forbid",
                starting_deadline_seconds: STARTING_DEADLINE_SECONDS,
                successful_jobs_history_limit: 1,
                failed_jobs_history_limit: 3,
                job_template: JobTemplate { spec: job },
            },
        }
    }
}
