//! What a deployment changes, before it does: the application's graph first, then the stack's resources, each with what it is
//! there for, and what of it endangers data.

mod graph;
#[cfg(test)]
mod tests;
mod text;

pub use graph::{Node, Turn, changes as graph_changes};
pub use text::{Line, Tone, lines};

use crate::cloudformation::{Action, Change};
use serde::Serialize;
use serde_json::Value;
use updraft_model::{App, Kind};

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is made.
    Create,
    /// It is changed, and stays what it is.
    Update,
    /// Another is made in its place.
    Replace,
    /// As AWS decides while it runs: changed or replaced.
    MayReplace,
    /// It is deleted.
    Delete,
    /// It leaves the stack, and stays in the account.
    Keep,
}

/// A resource, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// What.
    pub fate: Fate,
    /// Its name in the template.
    pub logical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// Its own name or id, if it is there.
    pub physical: String,
    /// The handlers and resources that it is there for.
    pub from: Vec<String>,
    /// What of it changes.
    pub changed: Vec<String>,
}

/// Something that is refused unless it is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "danger")]
pub enum Danger {
    /// A resource that keeps state becomes another, or may.
    Replaced {
        /// Its name in the template.
        logical: String,
        /// What it is there for.
        from: Vec<String>,
        /// What asks for it.
        changed: Vec<String>,
    },
    /// A resource that keeps state goes.
    Deleted {
        /// Its name in the template.
        logical: String,
        /// What it is there for.
        from: Vec<String>,
    },
    /// A resource's id is gone and another of its kind is new: renamed, most likely, and the data stays behind.
    Lost {
        /// `store`.
        kind: Kind,
        /// The id that is gone.
        id: String,
        /// Those of its kind that are new.
        new: Vec<String>,
    },
}

impl Danger {
    /// In a line.
    pub fn text(&self) -> String {
        let of = |from: &[String], logical: &str| if from.is_empty() { logical.to_owned() } else { from.join(", ") };
        match self {
            Danger::Replaced { logical, from, changed } => format!(
                "{} would become another, empty one ({logical}, for {})",
                of(from, logical),
                if changed.is_empty() { "its type".to_owned() } else { changed.join(", ") }
            ),
            Danger::Deleted { logical, from } => format!("{} would be deleted ({logical})", of(from, logical)),
            Danger::Lost { kind, id, new } => {
                format!(
                    "the {kind} `{id}` is gone and `{}` is new: what `{id}` keeps would stay behind",
                    new.join("`, `")
                )
            }
        }
    }
}

/// All that a deployment changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Handlers and resources of the application that come, go or change; empty if what is deployed has no record.
    pub graph: Vec<Node>,
    /// The stack's, by fate and name.
    pub resources: Vec<Resource>,
    /// What is refused unless it is allowed.
    pub dangers: Vec<Danger>,
}

impl Plan {
    /// What becomes of the stack if `changes` are made, which lead from one template and application to others.
    pub fn new(changes: &[Change], old: Option<&Value>, new: &Value, apps: (Option<&App>, &App)) -> Plan {
        // A stack that is there without a record of its application can't be compared.
        let graph = if apps.0.is_some() || old.is_none() { graph::changes(apps.0, apps.1) } else { Vec::new() };
        let mut resources: Vec<Resource> = changes.iter().map(|change| resource(change, old, new)).collect();
        resources.sort_by(|one, other| (one.fate, &one.logical).cmp(&(other.fate, &other.logical)));
        let mut dangers: Vec<Danger> = resources.iter().filter_map(danger).collect();
        dangers.extend(graph::lost(&graph));
        Plan { graph, resources, dangers }
    }

    /// What making a stack from nothing changes.
    pub fn of_new(new: &Value, app: &App) -> Plan {
        let all = new["Resources"].as_object().into_iter().flatten();
        let changes: Vec<Change> = all
            .map(|(logical, resource)| Change {
                action: Action::Add,
                logical: logical.clone(),
                physical: String::new(),
                kind: resource["Type"].as_str().unwrap_or_default().to_owned(),
                replacement: String::new(),
                policy: String::new(),
                changed: Vec::new(),
            })
            .collect();
        Plan::new(&changes, None, new, (None, app))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

fn resource(change: &Change, old: Option<&Value>, new: &Value) -> Resource {
    let fate = match (change.action, change.replacement.as_str()) {
        (Action::Add, _) => Fate::Create,
        // AWS says what becomes of it, other servers leave that to the template.
        (Action::Remove, _) if change.policy.starts_with("Retain") => Fate::Keep,
        (Action::Remove, _) if change.policy.is_empty() && old.is_some_and(|old| stays(old, &change.logical)) => {
            Fate::Keep
        }
        (Action::Remove, _) => Fate::Delete,
        (Action::Modify, "True") => Fate::Replace,
        (Action::Modify, "Conditional") => Fate::MayReplace,
        (Action::Modify, _) => Fate::Update,
        (Action::Other, _) => Fate::MayReplace,
    };
    let template = if change.action == Action::Remove { old.unwrap_or(new) } else { new };
    Resource {
        fate,
        logical: change.logical.clone(),
        kind: change.kind.clone(),
        physical: change.physical.clone(),
        from: origins(template, &change.logical),
        changed: change.changed.clone(),
    }
}

/// What a resource of a template is there for.
pub fn origins(template: &Value, logical: &str) -> Vec<String> {
    let from = template["Resources"][logical]["Metadata"]["updraft"]["from"].as_array();
    from.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a resource stays in the account when it leaves its stack.
pub(crate) fn stays(template: &Value, logical: &str) -> bool {
    let policy = template["Resources"][logical]["DeletionPolicy"].as_str();
    policy.is_some_and(|policy| policy.starts_with("Retain"))
}

/// Types whose resources keep what people want back.
const STATEFUL: [&str; 5] =
    ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"];

/// Whether a resource of this type keeps what people want back.
pub fn is_stateful(kind: &str) -> bool {
    STATEFUL.contains(&kind)
}

fn danger(resource: &Resource) -> Option<Danger> {
    if !is_stateful(&resource.kind) {
        return None;
    }
    let Resource { logical, from, changed, .. } = resource.clone();
    match resource.fate {
        Fate::Replace | Fate::MayReplace => Some(Danger::Replaced { logical, from, changed }),
        Fate::Delete => Some(Danger::Deleted { logical, from }),
        Fate::Create | Fate::Update | Fate::Keep => None,
    }
}
