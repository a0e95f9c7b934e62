//! `NetworkPolicy`.

use super::meta::{Map, Meta};
use serde::Serialize;
use std::collections::BTreeMap;

/// A network policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    pod_selector: Selector,
    policy_types: Vec<Direction>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ingress: Vec<Ingress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    egress: Vec<Egress>,
}

/// What a policy restricts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Direction {
    /// Connections to the pods.
    Ingress,
    /// Connections by the pods.
    Egress,
}

/// Which pods or namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that must be equal; none selects all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: Map,
    /// Labels that must exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Expression>,
}

/// A condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Expression {
    /// The label.
    pub key: String,
    /// `Exists`.
    pub operator: &'static str,
}

impl Selector {
    /// All.
    pub fn all() -> Self {
        Selector::default()
    }

    /// Those with these labels.
    pub fn labels(labels: Map) -> Self {
        Selector { match_labels: labels, ..Selector::default() }
    }

    /// Those that have a label, whatever its value.
    pub fn has(label: &str) -> Self {
        Selector {
            match_expressions: vec![Expression { key: label.to_owned(), operator: "Exists" }],
            ..Selector::default()
        }
    }

    /// The namespace of this name.
    pub fn namespace(name: &str) -> Self {
        Selector::labels(super::meta::map([("kubernetes.io/metadata.name", name)]))
    }
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ingress {
    /// Any of these.
    pub from: Vec<Peer>,
    /// On any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Egress {
    /// Any of these.
    pub to: Vec<Peer>,
    /// On any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

/// The other end. Selectors given together must both hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<Selector>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
}

impl Peer {
    /// Any pod of a namespace.
    pub fn namespace(name: &str) -> Self {
        Peer { namespace_selector: Some(Selector::namespace(name)), ..Peer::default() }
    }

    /// Pods with these labels of a namespace.
    pub fn pods(namespace: &str, labels: Map) -> Self {
        Peer { pod_selector: Some(Selector::labels(labels)), ..Peer::namespace(namespace) }
    }

    /// A range of addresses.
    pub fn cidr(cidr: &str) -> Self {
        Peer { ip_block: Some(IpBlock { cidr: cidr.to_owned(), except: Vec::new() }), ..Peer::default() }
    }

    /// Addresses of the internet: neither private ones, where clusters live, nor link-local ones, where clouds keep their
    /// instances' credentials.
    pub fn internet() -> [Self; 2] {
        let block = |cidr: &str, except: &[&str]| Peer {
            ip_block: Some(IpBlock {
                cidr: cidr.to_owned(),
                except: except.iter().map(|cidr| (*cidr).to_owned()).collect(),
            }),
            ..Peer::default()
        };
        [
            block(
                "0.0.0.0/0",
                &["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
            ),
            block("::/0", &["::1/128", "fc00::/7", "fe80::/10"]),
        ]
    }
}

/// A range of addresses, without parts of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IpBlock {
    /// `10.1.0.0/16`.
    pub cidr: String,
    /// Ranges within.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// Its number.
    pub port: u16,
}

impl Port {
    /// A TCP port.
    pub fn tcp(port: u16) -> Self {
        Port { protocol: "TCP", port }
    }
}

impl Egress {
    /// Name resolution by the cluster's own DNS.
    pub fn dns() -> Self {
        Egress {
            to: vec![Peer::pods("kube-system", super::meta::map([("k8s-app", "kube-dns")]))],
            ports: vec![Port { protocol: "UDP", port: 53 }, Port::tcp(53)],
        }
    }
}

impl NetworkPolicy {
    /// Nothing in, nothing out, for the selected pods; other policies add to it.
    pub fn deny(metadata: Meta, pods: Selector) -> Self {
        Self::new(metadata, pods, vec![Direction::Ingress, Direction::Egress], Vec::new(), Vec::new())
    }

    /// What the selected pods may do besides.
    pub fn allow(metadata: Meta, pods: Selector, ingress: Vec<Ingress>, egress: Vec<Egress>) -> Self {
        let mut types = Vec::new();
        types.extend((!ingress.is_empty()).then_some(Direction::Ingress));
        types.extend((!egress.is_empty()).then_some(Direction::Egress));
        Self::new(metadata, pods, types, ingress, egress)
    }

    fn new(metadata: Meta, pods: Selector, types: Vec<Direction>, ingress: Vec<Ingress>, egress: Vec<Egress>) -> Self {
        NetworkPolicy {
            api_version: "networking.k8s.io/v1",
            kind: "NetworkPolicy",
            metadata,
            spec: Spec { pod_selector: pods, policy_types: types, ingress, egress },
        }
    }
}
