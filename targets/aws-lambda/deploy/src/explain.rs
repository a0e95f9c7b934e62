//! Why an operation failed: the first resource that did, in AWS's words, and what it is there for.

use crate::cloudformation::Event;
use crate::follow::Outcome;
use crate::plan::origins;
use serde_json::Value;

/// The resource that failed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its name in the template.
    pub logical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// What was tried: `create`, `update`, `delete`, or `accept` where it was refused before that.
    pub tried: &'static str,
    /// AWS's words.
    pub reason: String,
    /// The handlers and resources that it is there for: `queue orders`, `consumer shop::orders::ship`.
    pub from: Vec<String>,
    /// What may help, where that is known.
    pub help: Option<&'static str>,
}

/// What failed first of an operation, if anything did.
pub fn explain(outcome: &Outcome, template: &Value) -> Option<Failed> {
    outcome.first_failure().map(|event| failed(event, template))
}

fn failed(event: &Event, template: &Value) -> Failed {
    let tried = match event.status.split('_').next() {
        Some("UPDATE") => "update",
        Some("DELETE") => "delete",
        Some("VALIDATION") => "accept",
        _ => "create",
    };
    let reason = event.reason.trim().to_owned();
    let help = help(&reason);
    Failed {
        logical: event.logical.clone(),
        kind: event.kind.clone(),
        tried,
        reason,
        from: origins(template, &event.logical),
        help,
    }
}

/// What people do about reasons that are met often.
fn help(reason: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["AccessDenied", "not authorized", "is not authorized to perform", "Forbidden"]) {
        return Some("allow the action that is named for the role or user that deploys");
    }
    if has(&["LimitExceeded", "limit exceeded", "Limit Exceeded", "TooMany", "quota"]) {
        return Some("remove what is not needed, or ask AWS for more (Service Quotas in the console)");
    }
    if has(&["already exists", "AlreadyExists"]) {
        return Some(
            "something of that name is there already: remove it, or rename the handler or resource (`name = \"…\"`)",
        );
    }
    if has(&["NotFound", "does not exist", "NonExistent", "NoSuch"]) {
        return Some(
            "it was deleted behind CloudFormation's back: `cargo updraft status --drift` shows what else was; make it again under its \
             old name, or rename the resource so that a new one is made",
        );
    }
    if has(&["ReservedConcurrentExecutions", "UnreservedConcurrentExecution"]) {
        return Some("lower `reserved` in `[target.aws-lambda.functions]`, or ask AWS for more concurrency");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(logical: &str, status: &str, reason: &str) -> Event {
        let (logical, status, reason) = (logical.to_owned(), status.to_owned(), reason.to_owned());
        Event { logical, status, reason, kind: "AWS::SQS::Queue".to_owned(), ..Event::default() }
    }

    #[test]
    fn the_first_that_failed_by_itself_is_it() {
        let template = json!({ "Resources": { "B": { "Metadata": { "updraft": { "from": ["queue b"] } } } } });
        let events = vec![
            event("A", "CREATE_IN_PROGRESS", ""),
            event("A", "CREATE_FAILED", "Resource creation cancelled"),
            event("B", "CREATE_FAILED", "User is not authorized to perform: sqs:CreateQueue"),
            event("C", "CREATE_FAILED", "something later"),
        ];
        let failed = explain(&Outcome { stack: None, events }, &template).unwrap();
        assert_eq!((&*failed.logical, failed.tried, &failed.from[..]), ("B", "create", &["queue b".to_owned()][..]));
        assert!(failed.help.unwrap().contains("allow the action"));
    }
}
