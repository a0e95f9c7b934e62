//! Network policies: nothing in, nothing out; then Knative's data path, DNS, and exactly the graph's edges.
//!
//! Which function calls which cannot be enforced by source address on Knative: the activator stands between. What can be is
//! where each unit connects to, and that only Serving reaches it.

use super::{meta, telemetry};
use crate::lower::Context;
use crate::names::DEAD_LETTER_JOB;
use crate::services::Service;
use std::collections::{BTreeMap, BTreeSet};
use updraft_kubernetes::resources::NetworkPolicy;
use updraft_kubernetes::resources::meta::{Map, PART_OF, map};
use updraft_kubernetes::resources::network_policy::{Egress, Ingress, Peer, Port, Selector};
use updraft_kubernetes::{Document, yaml};
use updraft_model::settings::{BoundEngine, Network};
use updraft_model::{Kind, Resource, Settings};
use updraft_wire::binding::Engine;

const SERVING: &str = "knative-serving";
const EVENTING: &str = "knative-eventing";
/// The queue proxy's ports: HTTP/1.1, h2c, TLS.
const PROXY_PORTS: [u16; 3] = [8012, 8013, 8112];
/// The queue proxy's metrics, which the autoscaler scrapes.
const METRICS_PORT: u16 = 9090;
/// Where brokers' ingresses listen.
const BROKER_PORT: u16 = 8080;
/// Where the gateways (Kourier, Istio, Contour) listen for requests from within the cluster.
const GATEWAY_PORTS: [u16; 2] = [8080, 8081];
/// PostgreSQL, where `network` names no port.
const POSTGRES_PORT: u16 = 5432;
/// Redis, where `network` names no port.
const REDIS_PORT: u16 = 6379;
/// On every pod of a Knative Service, set by Serving.
const SERVICE_LABEL: &str = "serving.knative.dev/service";
/// On pods of a broker that runs in the app's own namespace.
const BROKER_LABEL: &str = "eventing.knative.dev/broker";
/// On pods of jobs that fire schedules.
pub(crate) const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    let mut documents = vec![deny(context)?, data_path(context)?];
    for service in &context.services {
        documents.extend(egress(context, service)?);
    }
    documents.extend(jobs(context)?);
    documents.extend(dead_letter_jobs(context)?);
    Ok(documents)
}

fn ours(context: &Context<'_>) -> Map {
    map([(PART_OF, context.names.app.as_str())])
}

fn deny(context: &Context<'_>) -> Result<Document, yaml::Error> {
    // Others' pods in the same namespace (a broker's, a neighbour app's) are not ours to cut off.
    let alone = context.names.owns_namespace() && !context.names.broker_is_ours_to_admit();
    let pods = if alone { Selector::all() } else { Selector::labels(ours(context)) };
    let policy = NetworkPolicy::deny(meta(context, context.names.object("default-deny"), None, Map::new()), pods);
    Document::new(vec!["Nothing in, nothing out. What follows adds to it.".to_owned()], &policy)
}

fn data_path(context: &Context<'_>) -> Result<Document, yaml::Error> {
    let from = [SERVING, &context.names.gateway].map(Peer::namespace).to_vec();
    let mut ingress = vec![
        Ingress { from, ports: PROXY_PORTS.map(Port::tcp).to_vec() },
        Ingress { from: vec![Peer::namespace(SERVING)], ports: vec![Port::tcp(METRICS_PORT)] },
    ];
    if let Some(prometheus) = telemetry::prometheus(context) {
        let from = vec![Peer::namespace(&prometheus.namespace)];
        ingress.push(Ingress { from, ports: vec![Port::tcp(telemetry::PORT)] });
    }
    let mut pods = Selector::has(SERVICE_LABEL);
    pods.match_labels = ours(context);
    let name = context.names.object("knative-data-path");
    let policy = NetworkPolicy::allow(meta(context, name, None, Map::new()), pods, ingress, vec![Egress::dns()]);
    let comment = "Requests reach the units through Serving and its gateway alone; units resolve names.".to_owned();
    Document::new(vec![comment], &policy)
}

/// What one Service connects to, with the reasons.
fn egress(context: &Context<'_>, service: &Service<'_>) -> Result<Option<Document>, yaml::Error> {
    let mut edges: BTreeMap<Egress, BTreeSet<String>> = BTreeMap::new();
    let mut allow = |egress: Egress, reason: String| {
        edges.entry(egress).or_default().insert(reason);
    };
    if service.publishes() || service.takes_events() {
        allow(broker(context), "publishes to the broker".to_owned());
    }
    if context.events {
        for database in service.relays() {
            allow(broker(context), format!("hands on to the broker what waits in the outbox of {database}"));
        }
    }
    let gives_up = service.takes_events() || context.events && !service.relays().is_empty();
    if gives_up {
        allow(gateway(context), "hands dead letters to the unit that keeps them".to_owned());
    }
    if service.keeps_dead_letters()
        && let Some(bound) = &context.plan.settings.knative.dead_letters
    {
        for egress in of_engine(&bound.engine, bound.network.as_ref(), None) {
            allow(egress, "keeps dead letters".to_owned());
        }
    }
    if service.remembers()
        && let Some(bound) = &context.plan.settings.once
    {
        for egress in of_engine(&bound.engine, bound.network.as_ref(), None) {
            allow(egress, "records what is done once".to_owned());
        }
    }
    if let Some(egress) = collector(context) {
        allow(egress, "sends traces and metrics to the collector".to_owned());
    }
    for handler in &service.runs {
        for grant in &handler.grants {
            let Some(engine) = context.plan.engines.get(&(grant.kind, grant.resource.clone())) else { continue };
            let network =
                bound(&context.plan.settings, grant.kind, &grant.resource).and_then(|bound| bound.network.as_ref());
            let resource = context.plan.app.resource(grant.kind, &grant.resource);
            for egress in of_engine(engine, network, resource) {
                allow(egress, format!("{} {} {} ({})", handler.id, verb(grant.kind), grant.resource, handler.place));
            }
        }
    }
    if edges.is_empty() {
        return Ok(None);
    }
    let mut comment = vec![format!("What {} connects to:", service.name)];
    comment.extend(edges.values().flatten().collect::<BTreeSet<_>>().into_iter().map(|reason| format!("- {reason}")));
    let pods = Selector::labels(map([(SERVICE_LABEL, service.name.as_str())]));
    let metadata = meta(context, service.name.clone(), Some(&service.name), Map::new());
    let policy = NetworkPolicy::allow(metadata, pods, Vec::new(), edges.into_keys().collect());
    Document::new(comment, &policy).map(Some)
}

/// Where telemetry goes: as an external's address, by its port.
fn collector(context: &Context<'_>) -> Option<Egress> {
    let telemetry = context.plan.settings.telemetry.as_ref()?;
    let engine = Engine::Hosts { base_url: Some(telemetry.endpoint.clone()?) };
    of_engine(&engine, telemetry.network.as_ref(), None).pop()
}

/// Jobs that fire schedules publish, and that is all.
fn jobs(context: &Context<'_>) -> Result<Option<Document>, yaml::Error> {
    if !super::schedules::has_jobs(context) {
        return Ok(None);
    }
    let mut labels = ours(context);
    labels.insert(COMPONENT_LABEL.to_owned(), super::schedules::COMPONENT.to_owned());
    let metadata = meta(context, context.names.object("schedules"), None, Map::new());
    let egress = vec![Egress::dns(), broker(context)];
    let policy = NetworkPolicy::allow(metadata, Selector::labels(labels), Vec::new(), egress);
    Document::new(vec!["Jobs that fire schedules publish to the broker, and that is all.".to_owned()], &policy)
        .map(Some)
}

/// Jobs that look after dead letters reach where those are kept, and the units that redriven messages go to.
fn dead_letter_jobs(context: &Context<'_>) -> Result<Option<Document>, yaml::Error> {
    let Some(bound) = context.plan.settings.knative.dead_letters.as_ref().filter(|_| context.events) else {
        return Ok(None);
    };
    let mut pods = ours(context);
    pods.insert(COMPONENT_LABEL.to_owned(), super::dead_letters::COMPONENT.to_owned());
    let metadata = meta(context, context.names.object(DEAD_LETTER_JOB), None, Map::new());
    let mut egress = vec![Egress::dns(), gateway(context)];
    egress.extend(of_engine(&bound.engine, bound.network.as_ref(), None));
    let policy = NetworkPolicy::allow(metadata, Selector::labels(pods), Vec::new(), egress);
    let comment =
        "Jobs that look after dead letters read where those are kept, and redrive to units through the gateway.";
    Document::new(vec![comment.to_owned()], &policy).map(Some)
}

fn gateway(context: &Context<'_>) -> Egress {
    Egress { to: vec![Peer::namespace(&context.names.gateway)], ports: GATEWAY_PORTS.map(Port::tcp).to_vec() }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Store | Kind::Bucket | Kind::Database => "uses",
        Kind::External => "calls",
        Kind::Queue | Kind::Topic => "sends to",
        Kind::Secret | Kind::Config => "reads",
        Kind::Function => "runs",
        Kind::Shared => "takes",
    }
}

fn broker(context: &Context<'_>) -> Egress {
    let peer = if context.names.broker_is_ours_to_admit() {
        Peer::pods(&context.names.namespace, map([(BROKER_LABEL, context.names.broker.as_str())]))
    } else {
        Peer::namespace(EVENTING)
    };
    Egress { to: vec![peer], ports: vec![Port::tcp(BROKER_PORT)] }
}

/// The binding of a resource as `Updraft.toml` gives it: its own before its kind's.
pub(crate) fn bound<'a>(settings: &'a Settings, kind: Kind, id: &str) -> Option<&'a BoundEngine> {
    settings.resource_bindings.get(id).or_else(|| settings.bindings.get(kind.as_str()))
}

fn of_engine(engine: &Engine, network: Option<&Network>, resource: Option<&Resource>) -> Vec<Egress> {
    let ports: Vec<u16> = match engine {
        Engine::Redis { .. } => vec![REDIS_PORT],
        Engine::Postgres { .. } => vec![POSTGRES_PORT],
        Engine::S3 { endpoint, .. } => vec![endpoint.as_deref().map_or(443, port_of_url)],
        Engine::Hosts { base_url: Some(url) } => vec![port_of_url(url)],
        Engine::Hosts { base_url: None } => {
            let hosts = resource.map(|resource| resource.hosts.as_slice()).unwrap_or_default();
            let ports: BTreeSet<u16> = hosts.iter().map(|host| port_of_host(host, 443)).collect();
            ports.into_iter().collect()
        }
        // The broker's edge is the Service's own; files and values need no network.
        Engine::Broker {} | Engine::File {} | Engine::Value {} => return Vec::new(),
        // AWS's own, which the check of engines has refused.
        Engine::Sqs {}
        | Engine::Sns {}
        | Engine::DynamoDb {}
        | Engine::AwsS3 {}
        | Engine::SecretsManager {}
        | Engine::ParameterStore {} => return Vec::new(),
    };
    let (to, port) = match network {
        Some(Network::Pods { namespace, pods, port }) => (vec![Peer::pods(namespace, pods.clone())], *port),
        Some(Network::Cidr { cidr, port }) => (vec![Peer::cidr(cidr)], *port),
        None => (Peer::internet().to_vec(), None),
    };
    let ports = port.map_or(ports, |port| vec![port]);
    if ports.is_empty() { Vec::new() } else { vec![Egress { to, ports: ports.into_iter().map(Port::tcp).collect() }] }
}

/// The port of `http://host:9000/path`.
fn port_of_url(url: &str) -> u16 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    port_of_host(host, if scheme == "http" { 80 } else { 443 })
}

/// The port of `host:443` or `[::1]:443`.
fn port_of_host(host: &str, default: u16) -> u16 {
    host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        for (url, port) in [
            ("https://s3.example.com", 443),
            ("http://s3.example.com/base", 80),
            ("http://127.0.0.1:9000/x:1", 9000),
            ("https://[2001:db8::1]:8443", 8443),
            ("https://[2001:db8::1]", 443),
        ] {
            assert_eq!(port_of_url(url), port, "{url}");
        }
    }
}
