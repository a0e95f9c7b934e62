//! A `CronJob` that never runs by itself, of which `cargo updraft dead-letters` makes jobs: what is deployed looks after its
//! own dead letters, with its own binding.

use super::policies::COMPONENT_LABEL;
use super::secrets;
use super::{binding, meta, service};
use crate::lower::Context;
use crate::names::{DEAD_LETTER_JOB, DEAD_LETTER_UNIT};
use updraft_kubernetes::resources::cron_job::{CronJob, Run};
use updraft_kubernetes::resources::meta::{Map, labels};
use updraft_kubernetes::resources::pod::{Container, JobPod, Mount, PodSecurityContext, SecurityContext, Variable};
use updraft_kubernetes::{Document, yaml};
use updraft_wire::defaults;

/// The component label of the jobs' pods.
pub(crate) const COMPONENT: &str = "dead-letters";
/// Seconds that a job may take: a page of letters, redriven.
const DEADLINE_SECONDS: u32 = 3_600;

pub(crate) fn lower(context: &Context<'_>, config_map: &str) -> Result<Vec<Document>, yaml::Error> {
    let Some(keeper) = context.services.iter().find(|service| service.keeps_dead_letters()) else {
        return Ok(Vec::new());
    };
    let name = context.names.object(DEAD_LETTER_JOB);
    let secrets = secrets::of_service(context, keeper);
    let mut volume_mounts = vec![Mount::writable("tmp", "/tmp"), Mount::read_only("binding", binding::DIRECTORY)];
    volume_mounts.extend(secrets.iter().map(service::mount));
    let container = Container {
        name: "app".to_owned(),
        image: service::image(context.plan),
        ports: Vec::new(),
        env: vec![
            Variable::new("UPDRAFT_UNIT", DEAD_LETTER_UNIT),
            Variable::new("UPDRAFT_SECRETS_DIR", defaults::SECRETS_DIR),
            Variable::new("UPDRAFT_DEAD_LETTERS", r#"{"do":"list"}"#),
        ],
        readiness_probe: None,
        liveness_probe: None,
        resources: service::resources(&context.plan.settings.knative.scale, DEAD_LETTER_UNIT),
        security_context: SecurityContext::restricted(),
        volume_mounts,
    };
    let pod = JobPod {
        service_account_name: context.names.object(DEAD_LETTER_UNIT),
        automount_service_account_token: false,
        enable_service_links: false,
        restart_policy: "Never",
        security_context: PodSecurityContext::restricted(),
        containers: vec![container],
        volumes: service::volumes(&secrets, config_map),
    };
    let mut pod_labels = labels(&context.names.app, Some(&name));
    pod_labels.insert(COMPONENT_LABEL.to_owned(), COMPONENT.to_owned());
    let run = Run {
        schedule: "0 0 1 1 *".to_owned(),
        time_zone: "UTC".to_owned(),
        deadline: DEADLINE_SECONDS,
        retries: 0,
        labels: pod_labels,
        pod,
    };
    let cron_job = CronJob::on_demand(meta(context, name.clone(), Some(&name), Map::new()), run);
    let comment = vec![
        "Never runs by itself: `cargo updraft dead-letters --target knative` makes jobs of it.".to_owned(),
        "UPDRAFT_DEAD_LETTERS says what a job does; by itself it lists.".to_owned(),
    ];
    Ok(vec![Document::new(comment, &cron_job)?])
}
