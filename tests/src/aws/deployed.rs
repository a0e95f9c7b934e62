//! An application in an account: its template, and the zip that its functions run.

use super::account::{Account, Stack};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use updraft_wire::aws::BINDING_FILE;

/// Where what is deployed is uploaded to.
const CODE: &str = "code";

/// Makes a stack of a template, whose functions run what is in the zip.
///
/// # Panics
/// If it can't be made.
pub async fn deploy(account: &Account, name: &str, template: Value, zip: Vec<u8>) -> Stack {
    account.make_bucket(CODE).await;
    account.put(CODE, &format!("{name}.zip"), zip).await;
    made_of(account, "CreateStack", name, template).await
}

/// Makes another template of the stack. Its zip stays.
///
/// # Panics
/// If it can't be made.
pub(super) async fn update(account: &Account, name: &str, template: Value) -> Stack {
    made_of(account, "UpdateStack", name, template).await
}

async fn made_of(account: &Account, action: &str, name: &str, template: Value) -> Stack {
    let (code, key) = (format!("{name}.zip"), format!("{name}.json"));
    account.put(CODE, &key, permitting_batches(template).to_string()).await;
    let url = format!("{}/{CODE}/{key}", account.endpoint());
    let members = [
        ("TemplateURL", url.as_str()),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Tags.member.1.Key", "updraft:app"),
        ("Tags.member.1.Value", name),
        ("Parameters.member.1.ParameterKey", "CodeBucketName"),
        ("Parameters.member.1.ParameterValue", CODE),
        ("Parameters.member.2.ParameterKey", "CodeKey"),
        ("Parameters.member.2.ParameterValue", &code),
    ];
    account.formation(action, name, &members).await;
    let status = account.settled(name).await;
    if !["CREATE_COMPLETE", "UPDATE_COMPLETE"].contains(&status.as_str()) {
        panic!("{status}: {}", account.formation("DescribeStackEvents", name, &[]).await);
    }
    account.stack(name).await
}

/// With [`allow_batches`] for each role.
fn permitting_batches(mut template: Value) -> Value {
    for resource in template["Resources"].as_object_mut().expect("resources").values_mut() {
        if let Some(statements) = resource.pointer_mut("/Properties/Policies/0/PolicyDocument/Statement") {
            allow_batches(statements);
        }
    }
    template
}

/// AWS lets whoever may send, send batches (Service Authorization Reference, Amazon SQS: there are no actions of batches);
/// MiniStack asks for a right of the call's own name.
pub(super) fn allow_batches(statements: &mut Value) {
    const BATCHES: [&str; 4] = ["sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sns:Publish"];
    for statement in statements.as_array_mut().expect("statements") {
        let actions = statement["Action"].as_array_mut().expect("actions");
        let single = actions.iter().filter_map(Value::as_str).filter(|action| BATCHES.contains(action));
        let batches: Vec<Value> = single.map(|action| format!("{action}Batch").into()).collect();
        actions.extend(batches);
    }
}

/// What Lambda is given: a program, stripped of what only a debugger reads, and its binding.
///
/// # Panics
/// If there is no `strip`.
pub fn zip(program: &Path, binding: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let stripped = folder.path().join("bootstrap");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
    assert!(status.is_ok_and(|status| status.success()), "strip, of the linker's package");
    let program = std::fs::read(stripped).expect("a program");
    let files = BTreeMap::from([(BINDING_FILE.to_owned(), binding.to_vec())]);
    updraft_image::zip::package(&program, &files).expect("packed").bytes
}
