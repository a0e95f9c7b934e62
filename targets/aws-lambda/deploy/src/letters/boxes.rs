//! Where a stack's handlers have their dead letters, and the messages that they are redriven to: said by its own template.

use crate::cloudformation::StackResource;
use crate::plan::origins;
use serde_json::Value;

/// The logical id of what outboxes can't send.
const UNSENT: &str = "UnsentMessages";
/// What the logical ids of dead letters end with.
const ENDING: &str = "DeadLetters";
/// What may run a handler.
const RUNS: [&str; 4] = ["consumer ", "subscriber ", "object ", "schedule "];

/// A handler's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letterbox {
    /// Who gave them up; empty for those that no handler would have got: each is its sender's.
    pub(super) handler: String,
    /// `queue`, `topic`, `bucket`, `schedule` or `outbox`.
    pub(super) kind: String,
    /// The queue, the topic, the bucket, or the schedule's handler.
    pub(super) resource: String,
    /// Where they are.
    pub(super) letters_url: String,
    /// Where the handler takes its messages from.
    pub(super) queue_url: Option<String>,
    pub(super) fifo: bool,
}

impl Letterbox {
    /// Whether they are ticks of a schedule.
    pub(super) fn of_schedule(&self) -> bool {
        self.kind == "schedule"
    }
}

/// All of a stack, from its template and what that became.
pub(super) fn boxes(template: &str, resources: &[StackResource]) -> Vec<Letterbox> {
    let template: Value = serde_json::from_str(template).unwrap_or_default();
    let queues = || resources.iter().filter(|one| one.kind == "AWS::SQS::Queue" && one.status != "DELETE_COMPLETE");
    let mut all = Vec::new();
    for letters in queues().filter(|one| one.logical.ends_with(ENDING)) {
        let from = origins(&template, &letters.logical);
        let Some((runs, handler)) = from.first().and_then(|first| first.split_once(' ')) else { continue };
        if !RUNS.iter().any(|known| known.trim_end() == runs) {
            continue;
        }
        let takes = |one: &&StackResource| {
            one.logical != letters.logical && origins(&template, &one.logical).contains(&from[0])
        };
        let by = from.get(1).and_then(|by| by.split_once(' '));
        let (kind, resource) = by.unwrap_or(("schedule", handler));
        all.push(Letterbox {
            handler: handler.to_owned(),
            kind: kind.to_owned(),
            resource: resource.to_owned(),
            letters_url: letters.physical.clone(),
            queue_url: queues().find(takes).map(|queue| queue.physical.clone()),
            fifo: letters.physical.ends_with(".fifo"),
        });
    }
    let unsent = queues().find(|one| one.logical == UNSENT).map(|unsent| Letterbox {
        handler: String::new(),
        kind: "outbox".to_owned(),
        resource: "outbox".to_owned(),
        letters_url: unsent.physical.clone(),
        queue_url: None,
        fifo: false,
    });
    all.extend(unsent);
    all
}
