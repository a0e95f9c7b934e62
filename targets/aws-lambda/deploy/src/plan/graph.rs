//! How one application differs from another: what comes, what goes, what changes of what stays.

use super::Danger;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{App, Handler, Kind, Resource, Trigger};

/// What becomes of a handler or resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It comes.
    Came,
    /// It stays, and differs.
    Changed,
    /// It goes.
    Went,
}

/// A handler or resource that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What becomes of it.
    pub turn: Turn,
    /// `consumer`, `store`, …
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What runs a handler: `POST /orders`; empty for a resource.
    pub trigger: String,
    /// What is different, a line each.
    pub details: Vec<String>,
    /// Where it may have gone: those of its kind that are new.
    pub renamed: Vec<String>,
}

/// What differs; nothing if there is no older one to compare with, but that everything comes.
pub fn changes(old: Option<&App>, new: &App) -> Vec<Node> {
    let none = App { handlers: Vec::new(), resources: Vec::new(), ..new.clone() };
    let old = old.unwrap_or(&none);
    let mut nodes = Vec::new();
    let resources = |app: &App| -> BTreeMap<(Kind, String), Resource> {
        app.resources.iter().map(|resource| ((resource.kind, resource.id.clone()), resource.clone())).collect()
    };
    let handlers = |app: &App| -> BTreeMap<String, Handler> {
        app.handlers.iter().map(|handler| (handler.id.clone(), handler.clone())).collect()
    };
    let (before, after) = (handlers(old), handlers(new));
    for id in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        nodes.extend(handler(id, before.get(id), after.get(id)));
    }
    let (before, after) = (resources(old), resources(new));
    for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        nodes.extend(resource(key, before.get(key), after.get(key)));
    }
    let came: Vec<(String, String)> =
        nodes.iter().filter(|node| node.turn == Turn::Came).map(|node| (node.kind.clone(), node.id.clone())).collect();
    for node in nodes.iter_mut().filter(|node| node.turn == Turn::Went) {
        node.renamed = came.iter().filter(|(kind, _)| *kind == node.kind).map(|(_, id)| id.clone()).collect();
    }
    nodes
}

fn node(turn: Turn, kind: &str, id: &str, trigger: String, details: Vec<String>) -> Option<Node> {
    let (kind, id) = (kind.to_owned(), id.to_owned());
    Some(Node { turn, kind, id, trigger, details, renamed: Vec::new() })
}

fn handler(id: &str, old: Option<&Handler>, new: Option<&Handler>) -> Option<Node> {
    match (old, new) {
        (None, Some(new)) => {
            let grants = new.grants.iter().map(grant).collect();
            node(Turn::Came, new.trigger.kind(), id, describe(&new.trigger), grants)
        }
        (Some(old), None) => node(Turn::Went, old.trigger.kind(), id, describe(&old.trigger), Vec::new()),
        (Some(old), Some(new)) => {
            let mut details = Vec::new();
            let mut differs = |what: &str, old: String, new: String| {
                if old != new {
                    details.push(format!("{what} {old} → {new}"));
                }
            };
            differs("run by", describe(&old.trigger), describe(&new.trigger));
            differs("timeout", format!("{} s", old.timeout), format!("{} s", new.timeout));
            differs("retries", old.retries.to_string(), new.retries.to_string());
            details.extend(options(&old.options, &new.options));
            details.extend(new.grants.difference(&old.grants).map(|more| format!("+ {}", grant(more))));
            details.extend(old.grants.difference(&new.grants).map(|less| format!("- {}", grant(less))));
            if details.is_empty() {
                return None;
            }
            node(Turn::Changed, new.trigger.kind(), id, describe(&new.trigger), details)
        }
        (None, None) => None,
    }
}

fn resource((kind, id): &(Kind, String), old: Option<&Resource>, new: Option<&Resource>) -> Option<Node> {
    match (old, new) {
        (None, Some(_)) => node(Turn::Came, kind.as_str(), id, String::new(), Vec::new()),
        (Some(_), None) => node(Turn::Went, kind.as_str(), id, String::new(), Vec::new()),
        (Some(old), Some(new)) => {
            let mut details = options(&old.options, &new.options);
            if old.external != new.external {
                let said = |resource: &Resource| resource.external.map_or("nobody", |access| access.as_str());
                details.push(format!("outside the application: {} → {}", said(old), said(new)));
            }
            if old.hosts != new.hosts {
                details.push(format!("hosts {} → {}", old.hosts.join(", "), new.hosts.join(", ")));
            }
            if details.is_empty() { None } else { node(Turn::Changed, kind.as_str(), id, String::new(), details) }
        }
        (None, None) => None,
    }
}

/// What is said elsewhere in full.
const SAID: [&str; 9] = ["timeout", "retries", "method", "path", "cron", "timezone", "overlap", "missed", "when"];

fn options(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value =
        |options: &BTreeMap<String, String>, name: &str| options.get(name).map_or("-", String::as_str).to_owned();
    names
        .into_iter()
        .filter(|name| !SAID.contains(&name.as_str()) && old.get(*name) != new.get(*name))
        .map(|name| format!("{name} {} → {}", value(old, name), value(new, name)))
        .collect()
}

fn grant(grant: &updraft_model::Grant) -> String {
    let verb = match (grant.kind, grant.access) {
        (Kind::Queue, _) => "sends to",
        (Kind::Topic, _) => "publishes to",
        (Kind::Shared, _) => "takes",
        (_, updraft_model::Access::Read) => "reads",
        (_, updraft_model::Access::Write) => "writes",
        (_, updraft_model::Access::ReadWrite) => "reads and writes",
        (_, updraft_model::Access::Call) => "calls",
    };
    format!("{verb} {} {}", grant.kind, grant.resource)
}

fn describe(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Http { method, path } => format!("{} {path}", method.to_uppercase()),
        Trigger::Consumer { queue } => format!("queue {queue}"),
        Trigger::Subscriber { topic, when } => {
            let when: Vec<String> = when.iter().map(|(name, value)| format!(" {name} = {value}")).collect();
            format!("topic {topic}{}{}", if when.is_empty() { "" } else { " when" }, when.join(","))
        }
        Trigger::Schedule { cron, timezone, overlap, run_missed } => format!(
            "schedule {cron} {timezone}{}{}",
            if *overlap { ", overlapping" } else { "" },
            if *run_missed { ", missed ones run" } else { "" }
        ),
        Trigger::Object { bucket, event, prefix, suffix } => {
            format!("bucket {bucket} {} {prefix}*{suffix}", event.as_str())
        }
        Trigger::Function { .. } => "calls".to_owned(),
        Trigger::Routes { prefix } => format!("{prefix} and below"),
        Trigger::Layer { path, .. } => format!("round {path} and below"),
        Trigger::Shared { .. } => "the start".to_owned(),
    }
}

/// Kinds whose data would stay behind.
fn keeps(kind: &str) -> Option<Kind> {
    let kept = [Kind::Queue, Kind::Topic, Kind::Store, Kind::Bucket, Kind::Secret];
    kept.into_iter().find(|kept| kept.as_str() == kind)
}

/// Resources that look renamed.
pub(super) fn lost(nodes: &[Node]) -> impl Iterator<Item = Danger> {
    nodes.iter().filter(|node| node.turn == Turn::Went && !node.renamed.is_empty()).filter_map(|node| {
        let kind = keeps(&node.kind)?;
        Some(Danger::Lost { kind, id: node.id.clone(), new: node.renamed.clone() })
    })
}
