//! The page beside the manifests: what must exist, how to apply them, how to look at them.

use crate::connections::{Demand, demands};
use crate::lower::Context;
use crate::resources::secrets::{self, Secret};
use crate::services::{Face, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use updraft_model::ZERO_DIGEST;
use updraft_model::settings::{Find, Metrics};

/// Markdown.
pub(crate) fn readme(context: &Context<'_>) -> String {
    let names = &context.names;
    let namespace = &names.namespace;
    let mut out = format!(
        "# {} on Knative\n\nWritten by `cargo updraft build --target knative`; not meant to be edited.\n",
        context.plan.app.name
    );
    if context.plan.digest == ZERO_DIGEST {
        out.push_str("\n**A preview: the image's digest is all zeros, so no cluster can run this.** `cargo updraft build` without `--preview` writes one that can be applied.\n");
    }
    out.push_str("\n## Before\n\nThe cluster needs Knative Serving");
    if context.events {
        let _ = write!(out, ", Knative Eventing with the broker class `{}`", names.class);
    }
    let _ = writeln!(
        out,
        ", and a network plugin that enforces NetworkPolicies. The gateway's namespace is taken to be `{}` (`[target.knative] gateway`).",
        names.gateway
    );
    if names.owns_namespace() {
        out.push_str("\n```\nkubectl apply --server-side -f 00-namespace.yaml\n```\n");
    }
    let databases = databases(context);
    let commands = secret_commands(context);
    if !commands.is_empty() {
        let _ = write!(
            out,
            "\nSecrets are referenced, never written here. Create each once; the app reads a new value without a restart:\n\n```\n"
        );
        for line in commands {
            let _ = writeln!(out, "{line}");
        }
        out.push_str("```\n");
    }
    let adopted: Vec<Secret> = secrets::all(context).into_iter().filter(|secret| secret.adopted).collect();
    if !adopted.is_empty() {
        out.push_str("\nThese exist already, as `Updraft.toml` says:\n\n");
        for secret in &adopted {
            let _ = writeln!(out, "- `{}`, key `{}`: {}", secret.name, secret.key, purpose(secret));
        }
    }
    out.push_str(&databases);
    out.push_str("\n## Apply\n\n```\nkubectl apply --server-side -k .\nkubectl wait --namespace ");
    let _ = writeln!(out, "{namespace} --for=condition=Ready --timeout=180s ksvc --all\n```");
    out.push_str(&telemetry(context));
    if context.events {
        let job = names.object(crate::names::DEAD_LETTER_JOB);
        let _ = write!(
            out,
            "\n## Dead letters\n\nWhat was given up is kept until someone looks at it:\n\n```\ncargo updraft dead-letters list --target knative\n```\n\nThat makes a job of the CronJob `{job}`, which never runs by itself. Without the command, by hand:\n\n```\nkubectl create job {job}-1 --namespace {namespace} --from cronjob/{job}\nkubectl wait --namespace {namespace} --for=condition=Complete --timeout=120s job/{job}-1\nkubectl logs --namespace {namespace} job/{job}-1\n```\n",
        );
    }
    out.push_str("\n## Units\n\n| Service | face | handlers |\n|---|---|---|\n");
    for service in &context.services {
        let handlers: Vec<String> = service.handlers.iter().map(|handler| format!("`{}`", handler.id)).collect();
        let face = match service.face {
            Face::Public => "public",
            Face::Internal => "within the cluster",
        };
        let handlers = if service.keeps_dead_letters() { "keeps dead letters".to_owned() } else { handlers.join(", ") };
        let _ = writeln!(out, "| `{}` | {face} | {handlers} |", service.name);
    }
    let batches =
        context.plan.app.handlers.iter().filter_map(|handler| Some((&handler.id, handler.options.get("batch")?)));
    for (handler, most) in batches {
        let _ = write!(
            out,
            "\n`{handler}` takes up to {most} messages at once; Knative's brokers hand it one at a time, each in a batch of its own.\n"
        );
    }
    out
}

/// What PostgreSQL must allow, and what migrations mean for a rollout, if there are databases.
fn databases(context: &Context<'_>) -> String {
    let databases: BTreeSet<&str> = context.services.iter().flat_map(Service::relays).collect();
    let all = |database| demands(database, &context.services, &context.plan.settings).iter().map(Demand::all).sum();
    let most: BTreeMap<&str, u64> = databases.into_iter().map(|database| (database, all(database))).collect();
    if most.is_empty() {
        return String::new();
    }
    let mut out = "\nWith every unit at its largest, so many connections are open at once (while one revision replaces another, up to twice as many):\n\n| database | connections |\n|---|---|\n".to_owned();
    for (database, connections) in most {
        let _ = writeln!(out, "| `{database}` | {connections} |");
    }
    out.push_str("\nPostgreSQL must allow that many (its own default is 100, of which 3 are kept for superusers), or fewer are asked for: `max_connections` in the binding, `max` in `[target.knative.scale]`. Pods run the migrations before they are ready, and Knative gives up a revision that is not ready after 120 s.\n");
    out
}

/// Where traces and metrics go, if `[telemetry]` says.
fn telemetry(context: &Context<'_>) -> String {
    let Some(telemetry) = &context.plan.settings.telemetry else { return String::new() };
    let mut out = "\n## Telemetry\n\n".to_owned();
    if let Some(endpoint) = &telemetry.endpoint {
        let what = match telemetry.metrics {
            Metrics::Otlp => "Traces and metrics go",
            Metrics::None => "Traces go",
        };
        let _ = writeln!(
            out,
            "{what} to `{endpoint}` by OTLP over HTTP. While it is away spans are lost, and nothing else."
        );
    }
    if let Some(prometheus) = &telemetry.prometheus {
        let how = match prometheus.find {
            Find::Annotations => "finds them by the pods' `prometheus.io/…` annotations",
            Find::PodMonitor => "finds them by the PodMonitor in `90-monitor.yaml` (the Prometheus operator's)",
        };
        let _ = writeln!(
            out,
            "Prometheus, in the namespace `{}`, reads each pod's metrics at port {}, path `{}`; it {how}. Pods that are scaled to nothing have none.",
            prometheus.namespace,
            crate::resources::telemetry::PORT,
            updraft_wire::ids::METRICS_PATH
        );
    }
    out
}

fn purpose(secret: &Secret) -> String {
    format!("{} for {}", secret.holds, secret.users.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// `# what it is for` and `kubectl create secret …`, for every secret that `Updraft.toml` does not adopt.
pub(crate) fn secret_commands(context: &Context<'_>) -> Vec<String> {
    let created = secrets::all(context).into_iter().filter(|secret| !secret.adopted);
    let command = |secret: Secret| {
        let optional = if secret.optional { " (optional)" } else { "" };
        let purpose = purpose(&secret);
        let Secret { name, key, .. } = secret;
        let namespace = &context.names.namespace;
        [
            format!("# {purpose}{optional}"),
            format!("kubectl create secret generic {name} --namespace {namespace} --from-file={key}=/dev/stdin"),
        ]
    };
    created.flat_map(command).collect()
}
