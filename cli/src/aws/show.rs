//! Plans and progress, as people and scripts see them.

use crate::report::{Paint, Reporter};
use serde_json::{Value, json as object};
use std::collections::{BTreeMap, BTreeSet};
use updraft_aws_deploy::plan::{Plan, Resource, Tone, lines};
use updraft_aws_deploy::{Event, News};

/// A plan: on standard output, since it is what is asked for.
pub(crate) fn plan(plan: &Plan, all: bool, reporter: &Reporter) {
    if reporter.json() {
        let value = object!({
            "graph": plan.graph, "resources": plan.resources, "dangers": plan.dangers, "unrecorded": plan.unrecorded,
        });
        json(reporter, "plan", value);
        return;
    }
    for line in lines(plan, all) {
        reporter.painted(paint(line.tone), &line.text);
    }
}

fn paint(tone: Tone) -> Paint {
    match tone {
        Tone::Heading => Paint::Bold,
        Tone::Good => Paint::Green,
        Tone::Change => Paint::Yellow,
        Tone::Gone | Tone::Detail => Paint::None,
        Tone::Danger => Paint::Red,
    }
}

/// An object for scripts: `reason` says what it is of.
pub(crate) fn json(reporter: &Reporter, reason: &str, mut value: Value) {
    if let Some(map) = value.as_object_mut() {
        map.insert("reason".to_owned(), reason.into());
    }
    reporter.result(&value.to_string());
}

/// Tells what happens, a line for each resource that is done.
pub(crate) struct Progress<'a> {
    reporter: &'a Reporter,
    /// The main stack's name.
    stack: String,
    /// Where a resource comes from, by its part and its name in that template.
    from: BTreeMap<(String, String), String>,
    /// The resources that are to change, while they have not.
    left: BTreeSet<(String, String)>,
    total: usize,
}

impl<'a> Progress<'a> {
    /// Tells of what leads to an operation, and of all that happens in one without a plan: to this main stack, or its parts.
    pub(crate) fn before(reporter: &'a Reporter, stack: &str) -> Self {
        Progress { reporter, stack: stack.to_owned(), from: BTreeMap::new(), left: BTreeSet::new(), total: 0 }
    }

    /// Tells of a plan, as it is carried out.
    pub(crate) fn of(reporter: &'a Reporter, plan: &Plan, stack: &str) -> Self {
        let key = |resource: &Resource| (resource.part.clone(), resource.logical.clone());
        let from = plan.resources.iter().map(|resource| (key(resource), resource.from.join(", ")));
        let left: BTreeSet<(String, String)> = plan.resources.iter().map(key).collect();
        Progress { reporter, stack: stack.to_owned(), from: from.collect(), total: left.len(), left }
    }

    fn key(&self, event: &Event) -> (String, String) {
        let part = event.stack.strip_prefix(&self.stack).and_then(|rest| rest.strip_prefix('-'));
        (part.unwrap_or_default().to_owned(), event.logical.clone())
    }

    /// Something happened.
    pub(crate) fn tell(&mut self, news: News<'_>) {
        let reporter = self.reporter;
        match news {
            News::MadeBucket(name) => reporter.status("Made", &format_args!("the code bucket {name}")),
            News::MadeRepository(name) => reporter.status("Made", &format_args!("the repository {name}")),
            News::Uploaded(what, key) => reporter.status("Uploaded", &format_args!("{what} {key}")),
            News::Found(what, key) => reporter.detail(&format_args!("{what} {key} is there already")),
            News::Waiting(stack) => reporter.status(
                "Waiting",
                &format_args!("for what is under way: the stack {} is {}", stack.name, stack.status),
            ),
            News::Clearing(stack, leaving) => {
                reporter.status(
                    "Clearing",
                    &format_args!(
                        "the stack {}, which is {}: its {} failed",
                        stack.name,
                        stack.status,
                        if stack.status == "DELETE_FAILED" { "deletion" } else { "first deployment" }
                    ),
                );
                for one in leaving {
                    let what = format!("{} {}", one.kind, one.physical);
                    reporter.status(if one.stays { "Keeping" } else { "Deleting" }, &what);
                }
            }
            News::Trouble(error) => {
                let text = error.to_string();
                reporter.status("Waiting", &format_args!("for an answer: {}", text.lines().next().unwrap_or_default()));
            }
            News::Begun | News::AtRest => {}
            News::Stack(name, "") => reporter.status("Stack", &name),
            News::Stack(name, meanwhile) => reporter.status("Stack", &format_args!("{name}: {meanwhile}")),
            News::Leftover(name) => {
                reporter.status("Deleted", &format_args!("the change set {name}, which an earlier run left"));
            }
            News::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: &Event) {
        let (reporter, key) = (self.reporter, self.key(event));
        if reporter.json() {
            json(
                reporter,
                "event",
                object!({
                    "time": event.time, "stack": event.stack, "logical": event.logical, "physical": event.physical, "type": event.kind,
                    "status": event.status, "message": event.reason, "from": self.from.get(&key),
                }),
            );
            return;
        }
        if event.kind == "AWS::CloudFormation::Stack" {
            if event.status.contains("ROLLBACK_IN_PROGRESS") {
                reporter.status("Undoing", &format_args!("the stack {}: {}", event.logical, event.reason));
            }
            return;
        }
        let Some((verb, failed)) = verb(&event.status) else {
            reporter.detail(&format_args!("{:>12} {} {}", event.status, event.logical, event.reason));
            return;
        };
        // Some servers tell of resources that stay as they are, too.
        let planned = self.left.remove(&key);
        if self.total > 0 && !planned && !failed {
            return;
        }
        let from = self.from.get(&key).filter(|from| !from.is_empty());
        let from = from.map(|from| format!(" ← {from}")).unwrap_or_default();
        let width = self.total.to_string().len();
        let done = self.total - self.left.len();
        let count = if planned { format!("[{done:>width$}/{}] ", self.total) } else { String::new() };
        let part = if key.0.is_empty() { String::new() } else { format!(" in {}", key.0) };
        let line = format!("{count}{}{part}{from}", event.logical);
        if failed {
            reporter.trouble(verb, &format_args!("{line}: {}", event.reason));
        } else {
            reporter.status(verb, &line);
        }
    }
}

/// What is said of a resource that is done, and whether it failed.
fn verb(status: &str) -> Option<(&'static str, bool)> {
    match status {
        "CREATE_COMPLETE" => Some(("Created", false)),
        "UPDATE_COMPLETE" => Some(("Updated", false)),
        "DELETE_COMPLETE" => Some(("Deleted", false)),
        "DELETE_SKIPPED" => Some(("Kept", false)),
        status if status.ends_with("_FAILED") => Some(("Failed", true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    /// Of several stacks, several may have a resource of one name.
    #[test]
    fn what_happens_to_a_part_is_the_parts() {
        let cli = Cli::try_parse_from(["cargo-updraft", "check"]).unwrap();
        let reporter = Reporter::new(&cli.global);
        let progress = Progress::before(&reporter, "shop");
        let key = |stack: &str| {
            let event = Event { stack: stack.to_owned(), logical: "Part".to_owned(), ..Event::default() };
            progress.key(&event).0
        };
        assert_eq!(["shop", "shop-orders", "shopping-orders"].map(key), ["", "orders", ""]);
    }
}
