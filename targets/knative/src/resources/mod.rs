//! What is emitted, one file per kind: the struct where the kind is Knative's, and how a plan becomes it.

pub(crate) mod accounts;
pub(crate) mod binding;
pub(crate) mod broker;
pub(crate) mod dead_letters;
pub(crate) mod domain_mapping;
pub(crate) mod namespace;
pub(crate) mod policies;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod service;
pub(crate) mod telemetry;
pub(crate) mod triggers;

use crate::lower::Context;
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::{Map, labels};
use updraft_model::Handler;

/// A reference to an object that takes events or requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Destination {
    r#ref: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    api_version: &'static str,
    kind: &'static str,
    name: String,
}

impl Reference {
    pub(crate) fn service(name: &str) -> Self {
        Reference { api_version: "serving.knative.dev/v1", kind: "Service", name: name.to_owned() }
    }
}

impl Destination {
    /// A path of a Knative Service.
    pub(crate) fn service(name: &str, path: String) -> Self {
        Destination { r#ref: Reference::service(name), uri: Some(path) }
    }

    /// A broker.
    pub(crate) fn broker(name: &str) -> Self {
        let r#ref = Reference { api_version: "eventing.knative.dev/v1", kind: "Broker", name: name.to_owned() };
        Destination { r#ref, uri: None }
    }
}

/// The metadata of an object of the app's namespace; `unit` where it belongs to one Service.
pub(crate) fn meta(context: &Context<'_>, name: String, unit: Option<&str>, annotations: Map) -> Meta {
    let labels = labels(&context.names.app, unit);
    Meta { name, namespace: Some(context.names.namespace.clone()), labels, annotations }
}

/// `consumer shop::orders::ship (examples/shop/src/orders.rs:42)`: how comments speak of a handler.
pub(crate) fn describe(handler: &Handler) -> String {
    format!("{} {} ({})", handler.trigger.kind(), handler.id, handler.place)
}
