//! `Broker`: where queues and topics publish.

use super::triggers::Delivery;
use super::{Destination, meta};
use crate::lower::Context;
use crate::names::{DEAD_LETTER_UNIT, KAFKA, KAFKA_NAMESPACED};
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::map;
use updraft_kubernetes::{Document, yaml};
use updraft_wire::{defaults, ids};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Broker {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    delivery: Delivery,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    if !context.events {
        return Ok(Vec::new());
    }
    let names = &context.names;
    let given = context.plan.settings.knative.broker.config.as_ref().map(|config| Config {
        api_version: config.api_version.clone(),
        kind: config.kind.clone(),
        name: config.name.clone(),
        namespace: config.namespace.clone().unwrap_or_else(|| names.namespace.clone()),
    });
    let config = given.or_else(|| installed(&names.class));
    // The class can't be changed later, so it always stands here and never comes from the cluster's default.
    let annotations = map([("eventing.knative.dev/broker.class", names.class.as_str())]);
    let sink = Destination::service(&names.object(DEAD_LETTER_UNIT), ids::DEAD_LETTER_PATH.to_owned());
    let delivery = Delivery::new(defaults::RETRIES, defaults::MESSAGE_TIMEOUT_SECONDS, sink);
    let broker = Broker {
        api_version: "eventing.knative.dev/v1",
        kind: "Broker",
        metadata: meta(context, names.broker.clone(), None, annotations),
        spec: Spec { config, delivery },
    };
    let comment = vec!["Every queue and topic of the app. Triggers say what is delivered where.".to_owned()];
    Ok(vec![Document::new(comment, &broker)?])
}

/// The configuration that a class brings along: without one the cluster's default for another class would stand in.
fn installed(class: &str) -> Option<Config> {
    matches!(class, KAFKA | KAFKA_NAMESPACED).then(|| Config {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "kafka-broker-config".to_owned(),
        namespace: "knative-eventing".to_owned(),
    })
}
