//! Nothing of a template can be left out: no resource, no statement, no action.

use super::shop;
use serde_json::Value;
use std::collections::BTreeSet;
use updraft_validate::cloudformation;
use updraft_validate::value::{entries, items, text};

/// Whether anything is said of a template.
fn is_missed(template: &Value) -> bool {
    !cloudformation::check(template).is_empty()
}

#[test]
fn no_resource() {
    let whole = shop();
    let mut unmissed = BTreeSet::new();
    for (name, _) in entries(&whole["Resources"]) {
        let mut template = whole.clone();
        template["Resources"].as_object_mut().unwrap().remove(name);
        // Else that it is not told any more would be all that is said.
        template.as_object_mut().unwrap().remove("Outputs");
        if !is_missed(&template) {
            unmissed.insert(name.as_str());
        }
    }
    // Only the application knows which routes it has: a function may answer another one.
    assert!(unmissed.iter().all(|name| name.ends_with("Route")), "{unmissed:?}");
}

#[test]
fn no_statement_and_no_action() {
    let whole = shop();
    // Only the application knows whether it reads or writes what it is told of; and that a message is sent again is a service.
    let chosen = ["dynamodb:", "s3:"];
    let (mut looked_at, mut unmissed) = (0, Vec::new());
    for (name, resource) in entries(&whole["Resources"]) {
        let policies = items(&resource["Properties"]["Policies"]).len();
        let documents = (0..policies).map(|at| format!("/Resources/{name}/Properties/Policies/{at}/PolicyDocument"));
        let own =
            ["PolicyDocument", "AssumeRolePolicyDocument"].map(|key| format!("/Resources/{name}/Properties/{key}"));
        for document in documents.chain(own).filter(|document| whole.pointer(document).is_some()) {
            let statements = items(&whole.pointer(&document).unwrap()["Statement"]);
            for (at, statement) in statements.iter().enumerate() {
                let pointer = format!("{document}/Statement/{at}");
                let mut template = whole.clone();
                assert!(updraft_validate::patch::edit(&mut template, &pointer, None));
                looked_at += 1;
                if !is_missed(&template) {
                    unmissed.push(format!("{name} {}", text(&statement["Sid"])));
                }
                for (number, action) in items(&statement["Action"]).iter().enumerate() {
                    let mut template = whole.clone();
                    assert!(updraft_validate::patch::edit(&mut template, &format!("{pointer}/Action/{number}"), None));
                    looked_at += 1;
                    let again = text(action) == "sqs:SendMessage" && text(&statement["Sid"]).ends_with("Consume");
                    let free = again || chosen.iter().any(|service| text(action).starts_with(service));
                    if !free && !is_missed(&template) {
                        unmissed.push(format!("{name} {} {action}", text(&statement["Sid"])));
                    }
                }
            }
        }
    }
    assert!(looked_at > 150, "{looked_at}");
    // A store that is read and written is still reached if it is only the one or the other.
    unmissed.retain(|what| !what.ends_with("TableRead") && !what.ends_with("TableWrite"));
    assert!(unmissed.is_empty(), "{unmissed:#?}");
}
