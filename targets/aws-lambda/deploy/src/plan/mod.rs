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
use std::collections::BTreeSet;
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
    /// The part that it is of, by what goes behind the main stack's name; empty for the main stack's.
    pub part: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// Its own name or id, if it is there.
    pub physical: String,
    /// The handlers and resources that it is there for.
    pub from: Vec<String>,
    /// What of it changes.
    pub changed: Vec<String>,
    /// Whether what it holds goes with it, where it is replaced.
    pub emptied: bool,
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
        /// Whether the old one is deleted, and does not stay in the account.
        deleted: bool,
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
    /// A resource that keeps state leaves the stack and another of its type is new, and no record tells whether that is it by
    /// another name.
    Left {
        /// Its name in the template.
        logical: String,
        /// What it is there for.
        from: Vec<String>,
        /// Those of its type that are new.
        new: Vec<String>,
    },
    /// A function's URL becomes another, and with it the address that people and programs know.
    Readdressed {
        /// Its name in the template.
        logical: String,
        /// What it is there for.
        from: Vec<String>,
    },
    /// A resource that keeps state goes from one stack to another, which makes another.
    Moved {
        /// Its name in both templates.
        logical: String,
        /// What it is there for.
        from: Vec<String>,
        /// The part that has it; empty for the main stack.
        was: String,
        /// The one that it would be made anew in.
        is: String,
    },
}

impl Danger {
    /// In a line.
    pub fn text(&self) -> String {
        let of = |from: &[String], logical: &str| if from.is_empty() { logical.to_owned() } else { from.join(", ") };
        match self {
            Danger::Replaced { logical, from, changed, deleted } => format!(
                "{} would become another, empty one ({logical}, for {}){}",
                of(from, logical),
                if changed.is_empty() { "its type".to_owned() } else { changed.join(", ") },
                if *deleted { ", and the old one would be deleted with what it keeps" } else { "" }
            ),
            Danger::Deleted { logical, from } => format!("{} would be deleted ({logical})", of(from, logical)),
            Danger::Lost { kind, id, new } => {
                format!(
                    "the {kind} `{id}` is gone and `{}` is new: what `{id}` keeps would stay behind",
                    new.join("`, `")
                )
            }
            Danger::Left { logical, from, new } => format!(
                "{} would leave the stack ({logical}) where {} of its type is new: what it keeps would stay behind",
                of(from, logical),
                new.join(", ")
            ),
            Danger::Readdressed { logical, from } => format!(
                "the address of {} would be another ({logical}): who knows the old one would reach nobody",
                of(from, logical)
            ),
            Danger::Moved { logical, from, was, is } => format!(
                "{} would be made anew, empty, in {} ({logical}): what it keeps would stay behind, which is in {}",
                of(from, logical),
                stack(is),
                stack(was)
            ),
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
    /// Whether what is deployed has no record that can be read, so that applications were not compared.
    pub unrecorded: bool,
}

impl Plan {
    /// What becomes of the stack if `changes` are made, which lead from one template and application to others.
    pub fn new(changes: &[Change], old: Option<&Value>, new: &Value, apps: (Option<&App>, &App)) -> Plan {
        // A stack that is there without a record of its application can't be compared.
        let unrecorded = apps.0.is_none() && old.is_some();
        let graph = if unrecorded { Vec::new() } else { graph::changes(apps.0, apps.1) };
        let mut resources: Vec<Resource> = changes.iter().map(|change| resource(change, old, new)).collect();
        resources
            .sort_by(|one, other| (one.fate, &one.logical, &one.part).cmp(&(other.fate, &other.logical, &other.part)));
        let mut dangers: Vec<Danger> = resources.iter().filter_map(danger).collect();
        dangers.extend(graph::lost(&graph));
        dangers.extend(readdressed(&resources, new));
        if unrecorded {
            dangers.extend(left(&resources, &resources));
        }
        Plan { graph, resources, dangers, unrecorded }
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

    /// Adds what becomes of a part, from one template to another. CloudFormation is not asked, since it would look for what the
    /// main stack does not tell yet: of what keeps something, which a part may have, what can't be changed is known here.
    /// `recoded` says that the code is another.
    pub(crate) fn add_part(&mut self, part: &str, old: Option<&Value>, new: Option<&Value>, recoded: bool) {
        let none = Value::Null;
        let (before, after) = (old.unwrap_or(&none), new.unwrap_or(&none));
        let names = |template: &Value| -> BTreeSet<String> {
            template["Resources"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        for logical in names(before).union(&names(after)) {
            let (was, is) = (&before["Resources"][logical], &after["Resources"][logical]);
            let action = match (was.is_null(), is.is_null()) {
                (true, _) => Action::Add,
                (_, true) => Action::Remove,
                _ if was == is && !(recoded && is["Type"] == "AWS::Lambda::Function") => continue,
                _ => Action::Modify,
            };
            let kind = if is.is_null() { was } else { is }["Type"].as_str().unwrap_or_default().to_owned();
            let properties = |resource: &Value| resource["Properties"].as_object().cloned().unwrap_or_default();
            let (was, is) = (properties(was), properties(is));
            let changed = is.iter().filter(|(name, value)| action == Action::Modify && was.get(*name) != Some(value));
            let change = Change {
                action,
                logical: logical.clone(),
                physical: String::new(),
                kind,
                replacement: String::new(),
                policy: String::new(),
                changed: changed.map(|(name, _)| name.clone()).collect(),
            };
            let mut resource = Resource { part: part.to_owned(), ..resource(&change, old, after) };
            if FIXED
                .iter()
                .any(|(kind, property)| *kind == resource.kind && resource.changed.iter().any(|one| one == property))
            {
                resource.fate = Fate::Replace;
            }
            self.dangers.extend(danger(&resource));
            self.resources.push(resource);
        }
        self.resources
            .sort_by(|one, other| (one.fate, &one.logical, &one.part).cmp(&(other.fate, &other.logical, &other.part)));
    }

    /// Adds what becomes of parts to what becomes of the main stack.
    pub(crate) fn join(&mut self, parts: Plan) {
        self.resources.extend(parts.resources);
        self.dangers.extend(parts.dangers);
        self.resources
            .sort_by(|one, other| (one.fate, &one.logical, &one.part).cmp(&(other.fate, &other.logical, &other.part)));
        self.look_for_moves();
    }

    /// What keeps something and goes from one stack to another is made anew there. Asked when all parts are added: what leaves one
    /// stack may come in any.
    pub(crate) fn look_for_moves(&mut self) {
        let comes = |gone: &Resource| {
            let mut all = self.resources.iter();
            all.find(|one| one.fate == Fate::Create && one.logical == gone.logical)
        };
        let leaves = |one: &&Resource| matches!(one.fate, Fate::Keep | Fate::Delete) && is_stateful(&one.kind);
        let leaving = self.resources.iter().filter(leaves);
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        for one in leaving {
            let Some(there) = comes(one) else {
                gone.push(one);
                continue;
            };
            let Resource { logical, from, part: was, .. } = one.clone();
            found.push(Danger::Moved { logical, from, was, is: there.part.clone() });
        }
        if self.unrecorded {
            // The main stack alone did not tell all that is new.
            self.dangers.retain(|danger| !matches!(danger, Danger::Left { .. }));
            found.extend(left(gone, &self.resources));
        }
        self.dangers.extend(found);
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

/// What people call a stack, by its part.
fn stack(part: &str) -> String {
    if part.is_empty() { "the main stack".to_owned() } else { format!("the part {part}") }
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
        part: String::new(),
        kind: change.kind.clone(),
        physical: change.physical.clone(),
        from: origins(template, &change.logical),
        changed: change.changed.clone(),
        emptied: matches!(fate, Fate::Replace | Fate::MayReplace) && !is_kept(change, new),
    }
}

/// Whether what a resource was stays in the account when another takes its place.
fn is_kept(change: &Change, new: &Value) -> bool {
    match change.policy.strip_prefix("ReplaceAnd") {
        Some(policy) => policy != "Delete",
        None => {
            let policy = new["Resources"][&change.logical]["UpdateReplacePolicy"].as_str();
            policy.is_some_and(|policy| policy != "Delete")
        }
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

/// Types whose resources can be made again from the template, with nothing lost but what was logged. A stack that is taken over
/// may have any type in it: one that nobody knows keeps something.
const STATELESS: [&str; 25] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CDK::Metadata",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
    "AWS::Scheduler::Schedule",
];

/// What of resources that keep something can't be changed (CloudFormation, "Update requires: Replacement").
const FIXED: [(&str, &str); 4] = [
    ("AWS::DynamoDB::Table", "KeySchema"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::SQS::Queue", "FifoQueue"),
    ("AWS::SQS::Queue", "QueueName"),
];

/// Whether a resource of this type keeps what people want back.
pub fn is_stateful(kind: &str) -> bool {
    !STATELESS.contains(&kind)
}

fn danger(resource: &Resource) -> Option<Danger> {
    if !is_stateful(&resource.kind) {
        return None;
    }
    let Resource { logical, from, changed, emptied: deleted, .. } = resource.clone();
    match resource.fate {
        Fate::Replace | Fate::MayReplace => Some(Danger::Replaced { logical, from, changed, deleted }),
        Fate::Delete => Some(Danger::Deleted { logical, from }),
        Fate::Create | Fate::Update | Fate::Keep => None,
    }
}

/// URLs of functions that become others: AWS chooses them. Of one that only may be replaced, its function says whether it is:
/// AWS knows that before the URL's turn comes.
fn readdressed<'a>(all: &'a [Resource], new: &'a Value) -> impl Iterator<Item = Danger> + 'a {
    let is_url = |one: &Resource| one.kind == "AWS::Lambda::Url";
    let function =
        |url: &Resource| new["Resources"][&url.logical]["Properties"]["TargetFunctionArn"]["Fn::GetAtt"][0].as_str();
    let is_replaced = move |url: &Resource| {
        let function = function(url);
        all.iter().any(|one| one.fate == Fate::Replace && Some(one.logical.as_str()) == function)
    };
    let becomes_another = move |url: &&Resource| match url.fate {
        Fate::Replace => true,
        Fate::MayReplace => is_replaced(url),
        Fate::Delete => all.iter().any(|one| is_url(one) && one.fate == Fate::Create),
        Fate::Create | Fate::Update | Fate::Keep => false,
    };
    let urls = all.iter().filter(move |one| is_url(one)).filter(becomes_another);
    urls.map(|url| Danger::Readdressed { logical: url.logical.clone(), from: url.from.clone() })
}

/// Of these, what stays in the account when its stack has it no more, where another of its type comes.
fn left<'a>(gone: impl IntoIterator<Item = &'a Resource>, all: &'a [Resource]) -> impl Iterator<Item = Danger> {
    let name = |one: &Resource| if one.from.is_empty() { one.logical.clone() } else { one.from.join(", ") };
    let kept = gone.into_iter().filter(|one| one.fate == Fate::Keep && is_stateful(&one.kind));
    kept.filter_map(move |gone| {
        let came = all.iter().filter(|one| one.fate == Fate::Create && one.kind == gone.kind);
        let new: Vec<String> = came.map(name).collect();
        let Resource { logical, from, .. } = gone.clone();
        if new.is_empty() { None } else { Some(Danger::Left { logical, from, new }) }
    })
}
