//! `DomainMapping`: the public unit under a name of its own, and the claim that goes with it.

use super::{Reference, meta};
use crate::lower::Context;
use crate::services::Face;
use serde::Serialize;
use updraft_kubernetes::resources::Meta;
use updraft_kubernetes::resources::meta::{Map, labels};
use updraft_kubernetes::{Document, yaml};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct DomainMapping {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Spec {
    r#ref: Reference,
}

/// An object of the whole cluster: a domain belongs to one namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterDomainClaim {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Claim,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Claim {
    namespace: String,
}

pub(crate) fn lower(context: &Context<'_>) -> Result<Vec<Document>, yaml::Error> {
    let public = context.services.iter().find(|service| service.face == Face::Public);
    let (Some(domain), Some(service)) = (&context.plan.settings.knative.domain, public) else {
        return Ok(Vec::new());
    };
    let claim = ClusterDomainClaim {
        api_version: "networking.internal.knative.dev/v1alpha1",
        kind: "ClusterDomainClaim",
        metadata: Meta { name: domain.clone(), labels: labels(&context.names.app, None), ..Meta::default() },
        spec: Claim { namespace: context.names.namespace.clone() },
    };
    let mapping = DomainMapping {
        api_version: "serving.knative.dev/v1beta1",
        kind: "DomainMapping",
        metadata: meta(context, domain.clone(), Some(&service.name), Map::new()),
        spec: Spec { r#ref: Reference::service(&service.name) },
    };
    Ok(vec![
        Document::new(vec![format!("{domain} belongs to this namespace ([target.knative] domain).")], &claim)?,
        Document::new(vec![format!("{domain} leads to the app's routes.")], &mapping)?,
    ])
}
