//! `PingSource`, or a `CronJob`: what fires schedules. Either way the tick goes through the broker, whose Trigger retries
//! and keeps what failed for good.

use super::policies::COMPONENT_LABEL;
use super::{Destination, describe, meta};
use crate::lower::Context;
use crate::resources::{binding, service};
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::cron_job::{CronJob, Run};
use updraft_kubernetes::resources::meta::{Map, labels, map};
use updraft_kubernetes::resources::pod::{
    Container, JobPod, Mount, PodSecurityContext, SecurityContext, Variable, Volume,
};
use updraft_kubernetes::{Document, yaml};
use updraft_model::settings::Schedules;
use updraft_model::{Handler, Trigger};
use updraft_wire::ids;

/// The component label of jobs' pods.
pub(crate) const COMPONENT: &str = "schedule";
/// Seconds and attempts that publishing one tick may take.
const JOB_DEADLINE_SECONDS: u32 = 300;
const JOB_RETRIES: u32 = 5;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PingSource {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    schedule: String,
    timezone: String,
    content_type: &'static str,
    data: &'static str,
    sink: Destination,
}

/// A schedule: its handler, cron expression and time zone, and whether a missed run is made up for.
struct Schedule<'a> {
    handler: &'a Handler,
    cron: &'a str,
    timezone: &'a str,
    job: bool,
}

fn schedule<'a>(context: &Context<'_>, handler: &'a Handler) -> Option<Schedule<'a>> {
    match &handler.trigger {
        // A PingSource makes up for nothing and loses an event after five quick retries.
        Trigger::Schedule { cron, timezone, run_missed, .. } => Some(Schedule {
            handler,
            cron,
            timezone,
            job: *run_missed || context.plan.settings.knative.schedules == Schedules::CronJob,
        }),
        Trigger::Http { .. }
        | Trigger::Consumer { .. }
        | Trigger::Subscriber { .. }
        | Trigger::Object { .. }
        | Trigger::Function { .. }
        | Trigger::Routes { .. }
        | Trigger::Layer { .. }
        | Trigger::Shared { .. } => None,
    }
}

/// Whether any schedule is fired by a job.
pub(crate) fn has_jobs(context: &Context<'_>) -> bool {
    context.plan.app.handlers.iter().filter_map(|handler| schedule(context, handler)).any(|schedule| schedule.job)
}

/// The attributes of a schedule's ticks.
pub(crate) fn filter(context: &Context<'_>, handler: &Handler) -> Map {
    let job = schedule(context, handler).is_some_and(|schedule| schedule.job);
    if job {
        return map([("type", ids::tick_event_type(&context.plan.app.name, &handler.id))]);
    }
    let (namespace, name) = (&context.names.namespace, context.names.object(&handler.id));
    map([
        ("type", "dev.knative.sources.ping".to_owned()),
        ("source", format!("/apis/v1/namespaces/{namespace}/pingsources/{name}")),
    ])
}

pub(crate) fn lower(context: &Context<'_>, config_map: &str) -> Result<Vec<Document>, yaml::Error> {
    let schedules = context.plan.app.handlers.iter().filter_map(|handler| schedule(context, handler));
    schedules
        .map(|schedule| if schedule.job { job(context, &schedule, config_map) } else { ping(context, &schedule) })
        .collect()
}

fn ping(context: &Context<'_>, schedule: &Schedule<'_>) -> Result<Document, yaml::Error> {
    let source = PingSource {
        api_version: "sources.knative.dev/v1",
        kind: "PingSource",
        metadata: meta(context, context.names.object(&schedule.handler.id), None, Map::new()),
        spec: Spec {
            schedule: schedule.cron.to_owned(),
            timezone: schedule.timezone.to_owned(),
            content_type: "application/json",
            data: "{}",
            sink: Destination::broker(&context.names.broker),
        },
    };
    Document::new(vec![describe(schedule.handler)], &source)
}

fn job(context: &Context<'_>, schedule: &Schedule<'_>, config_map: &str) -> Result<Document, yaml::Error> {
    let handler = schedule.handler;
    let name = context.names.object(&handler.id);
    let account =
        context.service_of(&handler.id).map_or_else(|| name.clone(), |service| context.names.object(service.unit));
    let unit = context.service_of(&handler.id).map_or("", |service| service.unit);
    let container = Container {
        name: "app".to_owned(),
        image: service::image(context.plan),
        ports: Vec::new(),
        env: vec![Variable::new("UPDRAFT_UNIT", unit), Variable::new("UPDRAFT_TICK", &*handler.id)],
        readiness_probe: None,
        liveness_probe: None,
        resources: service::resources(&context.plan.settings.knative.scale, unit),
        security_context: SecurityContext::restricted(),
        volume_mounts: vec![Mount::writable("tmp", "/tmp"), Mount::read_only("binding", binding::DIRECTORY)],
    };
    let pod = JobPod {
        service_account_name: account,
        automount_service_account_token: false,
        enable_service_links: false,
        restart_policy: "Never",
        security_context: PodSecurityContext::restricted(),
        containers: vec![container],
        volumes: vec![Volume::scratch("tmp"), Volume::config_map("binding", config_map)],
    };
    let mut pod_labels = labels(&context.names.app, Some(&name));
    pod_labels.insert(COMPONENT_LABEL.to_owned(), COMPONENT.to_owned());
    let run = Run {
        schedule: schedule.cron.to_owned(),
        time_zone: schedule.timezone.to_owned(),
        deadline: JOB_DEADLINE_SECONDS,
        retries: JOB_RETRIES,
        labels: pod_labels,
        pod,
    };
    let cron_job = CronJob::new(meta(context, name.clone(), Some(&name), Map::new()), run);
    let comment =
        vec![describe(handler), "The job publishes the tick and ends; the handler runs in its unit.".to_owned()];
    Document::new(comment, &cron_job)
}
