//! `Trigger`: one per handler that takes messages or ticks.

use super::{Destination, describe, meta};
use crate::capabilities::MARGIN_SECONDS;
use crate::lower::Context;
use crate::names::DEAD_LETTER_UNIT;
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::{Map, map};
use updraft_kubernetes::{Document, yaml};
use updraft_model::{Handler, Kind, Trigger as Runs};
use updraft_wire::{defaults, ids};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trigger {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Spec {
    broker: String,
    filters: Vec<Filter>,
    subscriber: Destination,
    delivery: Delivery,
}

/// All attributes must be equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Filter {
    exact: Map,
}

/// How often, how long and where to in the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    retry: u32,
    backoff_policy: &'static str,
    backoff_delay: String,
    timeout: String,
    dead_letter_sink: Destination,
}

impl Delivery {
    /// `retries` after the first attempt, each of which may take as long as the handler and a little more, so that it is
    /// the handler's own deadline that ends it.
    pub(crate) fn new(retries: u32, timeout: u32, dead_letter_sink: Destination) -> Self {
        Delivery {
            retry: retries,
            backoff_policy: "exponential",
            backoff_delay: format!("PT{}S", defaults::BACKOFF_FIRST_MILLIS.div_ceil(1_000)),
            timeout: format!("PT{}S", timeout + MARGIN_SECONDS),
            dead_letter_sink,
        }
    }
}

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    let mut documents = Vec::new();
    for handler in &context.plan.app.handlers {
        documents.extend(trigger(context, handler)?);
    }
    Ok(documents)
}

fn trigger(context: &Context<'_>, handler: &Handler) -> Result<Option<Document>, yaml::Error> {
    let app = &context.plan.app;
    let exact = match &handler.trigger {
        // The check has refused an object's handler: nobody would tell it.
        Runs::Http { .. }
        | Runs::Object { .. }
        | Runs::Function { .. }
        | Runs::Routes { .. }
        | Runs::Layer { .. }
        | Runs::Shared { .. } => {
            return Ok(None);
        }
        Runs::Consumer { queue } => map([("type", ids::queue_event_type(&app.name, queue))]),
        Runs::Subscriber { topic, when } => {
            let mut exact = map([("type", ids::topic_event_type(&app.name, topic))]);
            exact.extend(when.clone());
            exact
        }
        Runs::Schedule { .. } => super::schedules::filter(context, handler),
    };
    let Some(service) = context.service_of(&handler.id) else { return Ok(None) };
    let names = &context.names;
    let dead_letters = format!("{}/{}", ids::DEAD_LETTER_PATH, ids::dotted(&handler.id));
    let trigger = Trigger {
        api_version: "eventing.knative.dev/v1",
        kind: "Trigger",
        metadata: meta(context, names.object(&handler.id), Some(&service.name), Map::new()),
        spec: Spec {
            broker: names.broker.clone(),
            filters: vec![Filter { exact }],
            subscriber: Destination::service(&service.name, ids::event_path(&handler.id)),
            delivery: Delivery::new(
                handler.retries,
                handler.timeout,
                Destination::service(&names.object(DEAD_LETTER_UNIT), dead_letters),
            ),
        },
    };
    Document::new(comment(context, handler), &trigger).map(Some)
}

fn comment(context: &Context<'_>, handler: &Handler) -> Vec<String> {
    let app = &context.plan.app;
    let mut lines = vec![describe(handler)];
    let from = match &handler.trigger {
        Runs::Consumer { queue } => app.resource(Kind::Queue, queue),
        Runs::Subscriber { topic, .. } => app.resource(Kind::Topic, topic),
        Runs::Http { .. }
        | Runs::Object { .. }
        | Runs::Function { .. }
        | Runs::Schedule { .. }
        | Runs::Routes { .. }
        | Runs::Layer { .. }
        | Runs::Shared { .. } => None,
    };
    lines.extend(from.map(|resource| format!("takes {} {} ({})", resource.kind, resource.id, resource.place)));
    lines
}
