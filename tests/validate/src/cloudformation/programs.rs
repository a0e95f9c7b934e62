//! Other people's programs: `cfn-lint` with the rules for serverless applications, `checkov`, and `parliament` for policies; and
//! what of theirs is waived.

use super::finding;
use super::policies::documents;
use super::resolve::Stack;
use crate::Finding;
use crate::external::run;
use crate::value::{items, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Rules of each program's that do not apply, with the reason.
const WAIVED: [(&str, &str); 13] = [
    (
        "CKV_AWS_18",
        "access logs of a bucket are another bucket, with a bill of its own: an account's decision, as CloudTrail is",
    ),
    ("CKV_AWS_27", "queues are encrypted with SQS's own key, which the rule does not count"),
    (
        "CKV_AWS_115",
        "functions share the account's concurrency unless `reserved` says otherwise: an unasked limit turns requests away",
    ),
    ("CKV_AWS_116", "of asynchronous invocations: there are none, each queue has dead letters of its own"),
    ("CKV_AWS_117", "functions reach AWS's services and hosts outside, nothing in a private network"),
    ("CKV_AWS_119", "tables are encrypted with AWS's own key; one of the customer's has a bill and rights of its own"),
    ("CKV_AWS_149", "secrets are encrypted with the account's key for Secrets Manager"),
    ("CKV_AWS_158", "logs are encrypted with AWS's own key"),
    ("CKV_AWS_173", "variables hold names and no secrets, and are encrypted with the account's key for Lambda"),
    (
        "ES1001",
        "of streams: what a queue's poller gives up is the queue's own to redrive, and this validator asks for that",
    ),
    (
        "CKV_AWS_258",
        "of URLs that anyone may ask by, as by an API: whoever takes one says so in the settings, and this validator asks that \
         nothing but the URL leads in",
    ),
    ("ES6000", "dead letters have no dead letters; that queues which are taken from have some, this validator asks"),
    ("WS1004", "looks for a group of the function's name; functions name their group, and this validator asks for it"),
];

fn is_waived(rule: &str) -> bool {
    WAIVED.iter().any(|(waived, _)| *waived == rule)
}

/// What `cfn-lint` says of templates, by their files' names.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn cfn_lint(templates: &[PathBuf], folder: &Path) -> Result<Vec<Finding>, String> {
    let mut arguments = vec!["--append-rules", "cfn_lint_serverless.rules", "--format", "json"];
    arguments.extend(["--regions", "eu-central-1", "--template"]);
    let names: Vec<String> = templates.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    arguments.extend(names.iter().map(String::as_str));
    let Some(output) = run("cfn-lint", &arguments, folder)? else { return Ok(Vec::new()) };
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.trim().is_empty() {
        return Ok(Vec::new());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named 'cfn_lint_serverless'") {
        return crate::external::missing("cfn-lint-serverless").map(|()| Vec::new());
    }
    let said: Value = serde_json::from_str(&said).map_err(|error| format!("cfn-lint said {said}{errors}: {error}"))?;
    let one = |found: &Value| {
        let path: Vec<String> = items(&found["Location"]["Path"]).iter().map(step).collect();
        let message = format!("{} {}", text(&found["Rule"]["Id"]), text(&found["Message"]));
        finding(file_name(text(&found["Filename"])), &path.join("/"), "external/cfn-lint", message)
    };
    let counts = |found: &&Value| !is_waived(text(&found["Rule"]["Id"]));
    Ok(items(&said).iter().filter(counts).map(one).collect())
}

fn step(part: &Value) -> String {
    part.as_str().map_or_else(|| part.to_string(), str::to_owned)
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What `checkov` says of the templates in a folder, by their files' paths.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn checkov(folder: &Path) -> Result<Vec<Finding>, String> {
    let waived: Vec<&str> = WAIVED.iter().map(|(rule, _)| *rule).filter(|rule| rule.starts_with("CKV")).collect();
    crate::external::checkov_in(folder, "cloudformation", &waived.join(","))
}

/// What `parliament` says of the policies of templates, by the names that they are given.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn parliament(templates: &[(String, Value)], folder: &Path) -> Result<Vec<Finding>, String> {
    let policies = folder.join("policies");
    std::fs::create_dir_all(&policies).map_err(|error| error.to_string())?;
    for (at, (name, template)) in templates.iter().enumerate() {
        for (number, (_, document)) in documents(&Stack::of(template)).into_iter().enumerate() {
            let file = policies.join(format!("{name}.{at}.{number}.json"));
            std::fs::write(&file, document.to_string()).map_err(|error| error.to_string())?;
        }
    }
    let arguments = ["--directory", &policies.to_string_lossy(), "--json"];
    let Some(output) = run("parliament", &arguments, folder)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.trim().is_empty()) {
        let said: Value = serde_json::from_str(line).map_err(|error| format!("parliament said {line}: {error}"))?;
        let issue = text(&said["issue"]);
        let file = file_name(text(&said["location"]["filepath"]));
        let name = file.split('.').next().unwrap_or(file);
        let message = format!("{issue} {} {}", said["detail"], said["location"]["string"]);
        if !is_waived(issue) {
            found.push(finding(name, file, "external/parliament", message));
        }
    }
    if !output.status.success() && found.is_empty() && output.stdout.is_empty() {
        return Err(format!("parliament: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waived_is_explained_and_stands_once() {
        for (at, (rule, why)) in WAIVED.iter().enumerate() {
            assert!(why.len() > 20, "{rule}");
            assert!(WAIVED[at + 1..].iter().all(|(other, _)| other != rule), "{rule}");
        }
    }
}
