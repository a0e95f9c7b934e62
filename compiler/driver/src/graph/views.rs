//! The application as people and tools see it: a tree, JSON, Mermaid, DOT.

use crate::Checked;
use std::fmt::Write;
use updraft_model::{Access, App, Grant, Handler, Kind, Resource, Settings, Trigger};
use updraft_wire::defaults;

/// [`App`]'s versioned JSON form, and where handlers run: `{"format", "name", …, "units": {"web": ["shop::index"]}}`.
pub fn json(checked: &Checked) -> String {
    let units: serde_json::Map<String, serde_json::Value> =
        checked.units.iter().map(|unit| (unit.id.clone(), unit.handlers.iter().cloned().collect())).collect();
    let mut value = serde_json::to_value(&checked.app).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("units".to_owned(), units.into());
    }
    format!("{value:#}\n")
}

/// Units, their handlers with every default visible, what each reaches, and the resources.
pub fn tree(checked: &Checked) -> String {
    let app = &checked.app;
    let mut text = format!("{}\n", app.name);
    for unit in &checked.units {
        let _ = writeln!(text, "├── unit {}", unit.id);
        let handlers: Vec<&Handler> = unit.handlers.iter().filter_map(|id| app.handler(id)).collect();
        for (at, handler) in handlers.iter().enumerate() {
            let last = at + 1 == handlers.len();
            let (branch, below) = if last { ("└──", "    ") } else { ("├──", "│   ") };
            let _ = writeln!(text, "│   {branch} {} {}", trigger(&handler.trigger), handler.id);
            let mut lines = vec![limits(handler, &checked.settings)];
            lines.extend(handler.grants.iter().map(grant));
            for (at, line) in lines.iter().enumerate() {
                let twig = if at + 1 == lines.len() { "└──" } else { "├──" };
                let _ = writeln!(text, "│   {below}{twig} {line}");
            }
        }
        if let Some(line) = wider(&handlers) {
            let _ = writeln!(text, "│       {line}");
        }
    }
    if app.handlers.iter().any(|handler| handler.trigger.route().is_some()) {
        let http = &checked.settings.http;
        let _ = writeln!(
            text,
            "├── http of a process: {} requests at a time, {} connections, heads up to {} within {} s, pauses up to {} s, idle for {} s",
            http.requests,
            http.connections,
            bytes(http.headers.into()),
            http.head,
            http.pause,
            http.idle
        );
    }
    let _ = writeln!(text, "└── resources");
    for (at, resource) in app.resources.iter().enumerate() {
        let branch = if at + 1 == app.resources.len() { "└──" } else { "├──" };
        let _ = writeln!(text, "    {branch} {}", describe(resource));
    }
    text
}

/// `POST /orders`, `each message of orders`.
fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Http { method, path } => format!("{} {path} →", method.to_uppercase()),
        Trigger::Consumer { queue } => format!("queue {queue} →"),
        Trigger::Subscriber { topic, when } if when.is_empty() => format!("topic {topic} →"),
        Trigger::Subscriber { topic, when } => {
            let when: Vec<String> = when.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
            format!("topic {topic} when {} →", when.join(", "))
        }
        Trigger::Schedule { cron, timezone, overlap, run_missed } => format!(
            "schedule {cron} {timezone}{}, missed {} →",
            if *overlap { ", overlapping" } else { "" },
            if *run_missed { "run" } else { "skipped" },
        ),
        Trigger::Object { bucket, event, prefix, suffix } => {
            let keys =
                if prefix.is_empty() && suffix.is_empty() { String::new() } else { format!(" {prefix}*{suffix}") };
            format!("bucket {bucket} {}{keys} →", event.as_str())
        }
        Trigger::Function { idempotent: true } => "call (idempotent) →".to_owned(),
        Trigger::Function { idempotent: false } => "call →".to_owned(),
        Trigger::Routes { prefix } => format!("any method {} →", below(prefix)),
        Trigger::Layer { path, order } => format!("layer {order} round {} →", below(path)),
        Trigger::Shared { .. } => "the start →".to_owned(),
    }
}

/// `/legacy and below`.
fn below(path: &str) -> String {
    if path == "/" { "/*".to_owned() } else { format!("{path}, {path}/*") }
}

fn limits(handler: &Handler, settings: &Settings) -> String {
    let backoff =
        format!("backoff {} s to {} s", defaults::BACKOFF_FIRST_MILLIS / 1000, defaults::BACKOFF_LONGEST_MILLIS / 1000);
    match handler.trigger {
        Trigger::Http { .. } | Trigger::Routes { .. } => {
            let own = handler.options.get("body").and_then(|body| body.parse().ok());
            format!("timeout {} s, body up to {}", handler.timeout, bytes(own.unwrap_or(settings.http.body)))
        }
        Trigger::Function { .. } | Trigger::Layer { .. } | Trigger::Shared { .. } => {
            format!("timeout {} s", handler.timeout)
        }
        Trigger::Consumer { .. } | Trigger::Subscriber { .. } | Trigger::Schedule { .. } | Trigger::Object { .. } => {
            let batch =
                handler.options.get("batch").map(|most| format!("batches of {most} at most, ")).unwrap_or_default();
            let window = handler.options.get("window").filter(|seconds| *seconds != "0");
            let window = window.map(|seconds| format!("within {seconds} s, ")).unwrap_or_default();
            let skew =
                handler.options.get("skew").map(|seconds| format!(", newer versions' messages wait {seconds} s"));
            let skew = skew.unwrap_or_default();
            let once = handler.options.get("once").map(|seconds| format!(", once (remembered for {seconds} s)"));
            let once = once.unwrap_or_default();
            format!("{batch}{window}timeout {} s, {} retries, {backoff}{skew}{once}", handler.timeout, handler.retries)
        }
    }
}

/// A size in the largest unit that is whole.
fn bytes(size: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| size.is_multiple_of(1 << shift));
    unit.map_or_else(|| format!("{size} B"), |(shift, name)| format!("{} {name}", size >> shift))
}

fn grant(grant: &Grant) -> String {
    let verb = match (grant.kind, grant.access) {
        (Kind::Queue, _) => "sends to",
        (Kind::Topic, _) => "publishes to",
        (Kind::Shared, _) => "takes",
        (_, Access::Read) => "reads",
        (_, Access::Write) => "writes",
        (_, Access::ReadWrite) => "reads and writes",
        (_, Access::Call) => "calls",
    };
    format!("{verb} {} {}", grant.kind, grant.resource)
}

/// Whether a grant is one at the cloud's border: calls and shared values stay inside the process.
fn is_outside(grant: &Grant) -> bool {
    !matches!(grant.kind, Kind::Function | Kind::Shared)
}

/// Inside the process grants are exact; at the cloud's border they are the unit's. Who gets more that way?
fn wider(handlers: &[&Handler]) -> Option<String> {
    let all: std::collections::BTreeSet<&Grant> =
        handlers.iter().flat_map(|handler| &handler.grants).filter(|grant| is_outside(grant)).collect();
    let own = |handler: &&&Handler| handler.grants.iter().filter(|grant| is_outside(grant)).count();
    let less = handlers.iter().filter(|handler| own(handler) < all.len()).count();
    (handlers.len() > 1 && less > 0).then(|| {
        format!("at the cloud's border {less} of {} handlers share grants they do not declare (placement = \"handler\" makes them equal)", handlers.len())
    })
}

fn describe(resource: &Resource) -> String {
    let mut text = format!("{} {}", resource.kind, resource.id);
    for (name, value) in resource.options.iter().filter(|(name, _)| *name != "external") {
        let _ = write!(text, ", {name} {value}");
    }
    if let Some(access) = resource.external {
        let _ = write!(text, ", {} from outside", access.as_str());
    }
    text
}

/// An edge of a picture: from, to, its label.
struct Arrow {
    from: String,
    to: String,
    label: &'static str,
}

/// Who is joined with whom, in the direction that data goes.
fn arrows(app: &App) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for handler in &app.handlers {
        let own = handler_key(&handler.id);
        if let Some((kind, id)) = handler.trigger.source() {
            let label = if let Trigger::Object { event, .. } = &handler.trigger { event.as_str() } else { "" };
            arrows.push(Arrow { from: resource_key(kind, id), to: own.clone(), label });
        }
        for grant in &handler.grants {
            let other = match grant.kind {
                Kind::Function | Kind::Shared => handler_key(&grant.resource),
                kind => resource_key(kind, &grant.resource),
            };
            let (from, to, label) = match (grant.kind, grant.access) {
                (Kind::Queue | Kind::Topic, _) => (own.clone(), other, ""),
                (_, Access::Read) => (other, own.clone(), ""),
                (_, Access::Write) => (own.clone(), other, ""),
                (_, Access::ReadWrite) => (own.clone(), other, "read, write"),
                (_, Access::Call) => (own.clone(), other, "call"),
            };
            arrows.push(Arrow { from, to, label });
        }
    }
    arrows
}

fn handler_key(id: &str) -> String {
    format!("h_{}", key(id))
}

fn resource_key(kind: Kind, id: &str) -> String {
    format!("{kind}_{}", key(id))
}

/// Distinct for distinct ids, and letters, digits and `_` only.
fn key(id: &str) -> String {
    let mut key = String::new();
    for character in id.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => key.push(character),
            '_' => key.push_str("__"),
            ':' => key.push('_'),
            other => {
                let _ = write!(key, "_{:x}_", u32::from(other));
            }
        }
    }
    key
}

fn label(handler: &Handler) -> [String; 2] {
    let name = handler.id.rsplit("::").next().unwrap_or(&handler.id).to_owned();
    let what = match &handler.trigger {
        Trigger::Http { method, path } => format!("{} {path}", method.to_uppercase()),
        Trigger::Consumer { .. } => "consumer".to_owned(),
        Trigger::Subscriber { .. } => "subscriber".to_owned(),
        Trigger::Schedule { cron, .. } => cron.clone(),
        Trigger::Object { .. } => "object".to_owned(),
        Trigger::Function { .. } => "function".to_owned(),
        Trigger::Routes { prefix } => format!("routes {}", below(prefix)),
        Trigger::Layer { path, .. } => format!("layer {}", below(path)),
        Trigger::Shared { .. } => "shared".to_owned(),
    };
    [name, what]
}

/// For Markdown: GitHub and others draw it.
pub fn mermaid(checked: &Checked) -> String {
    let app = &checked.app;
    let quoted =
        |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = String::from("flowchart LR\n");
    for handler in &app.handlers {
        let [name, what] = label(handler);
        let _ = writeln!(
            text,
            "    {}[\"{}<br/><small>{}</small>\"]",
            handler_key(&handler.id),
            quoted(&name),
            quoted(&what)
        );
    }
    for resource in &app.resources {
        let (open, close) = match resource.kind {
            Kind::Queue | Kind::Topic => ("([", "])"),
            Kind::Store | Kind::Bucket | Kind::Database => ("[(", ")]"),
            Kind::Secret | Kind::Config => ("{{", "}}"),
            Kind::External | Kind::Function | Kind::Shared => ("((", "))"),
        };
        let key = resource_key(resource.kind, &resource.id);
        let _ =
            writeln!(text, "    {key}{open}\"{}<br/><small>{}</small>\"{close}", quoted(&resource.id), resource.kind);
    }
    for Arrow { from, to, label } in arrows(app) {
        match label {
            "" => drop(writeln!(text, "    {from} --> {to}")),
            label => drop(writeln!(text, "    {from} -->|{label}| {to}")),
        }
    }
    text
}

/// For Graphviz.
pub fn dot(checked: &Checked) -> String {
    let app = &checked.app;
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text =
        format!("digraph \"{}\" {{\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n", quoted(&app.name));
    for handler in &app.handlers {
        let [name, what] = label(handler);
        let key = handler_key(&handler.id);
        let _ =
            writeln!(text, "    {key} [shape=box, style=rounded, label=\"{}\\n{}\"];", quoted(&name), quoted(&what));
    }
    for resource in &app.resources {
        let shape = match resource.kind {
            Kind::Queue | Kind::Topic => "cds",
            Kind::Store | Kind::Bucket | Kind::Database => "cylinder",
            Kind::Secret | Kind::Config => "note",
            Kind::External | Kind::Function | Kind::Shared => "ellipse",
        };
        let key = resource_key(resource.kind, &resource.id);
        let _ = writeln!(text, "    {key} [shape={shape}, label=\"{}\\n{}\"];", quoted(&resource.id), resource.kind);
    }
    for Arrow { from, to, label } in arrows(app) {
        match label {
            "" => drop(writeln!(text, "    {from} -> {to};")),
            label => drop(writeln!(text, "    {from} -> {to} [label=\"{label}\"];")),
        }
    }
    text.push_str("}\n");
    text
}
