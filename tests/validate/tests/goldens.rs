//! What the examples become on AWS is taken as it lies in the repository.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use updraft_validate::{Finding, cloudformation};

/// The templates that are expected of the examples.
fn goldens() -> Vec<(String, PathBuf, Value)> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut all = Vec::new();
    for folder in std::fs::read_dir(examples).unwrap() {
        let folder = folder.unwrap();
        let file = folder.path().join("expected/aws-lambda/template.json");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let name = folder.file_name().into_string().unwrap();
            all.push((name, file.canonicalize().unwrap(), serde_json::from_str(&text).unwrap()));
        }
    }
    assert!(all.len() >= 2, "{all:?}");
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn said(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn each_has_the_rights_that_it_needs() {
    for (name, _, template) in goldens() {
        let findings = cloudformation::check(&template);
        assert!(findings.is_empty(), "{name}:\n{}", said(&findings));
    }
}

/// Nothing but what is waived, with its reason.
#[test]
fn other_programs_find_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let goldens = goldens();
    let files: Vec<PathBuf> = goldens.iter().map(|(_, file, _)| file.clone()).collect();
    let mut findings = cloudformation::cfn_lint(&files, folder.path()).unwrap();
    let templates: Vec<(String, Value)> = goldens.into_iter().map(|(name, _, template)| (name, template)).collect();
    findings.extend(cloudformation::parliament(&templates, folder.path()).unwrap());
    let copies = folder.path().join("templates");
    std::fs::create_dir(&copies).unwrap();
    for (file, (name, _)) in files.iter().zip(&templates) {
        std::fs::copy(file, copies.join(format!("{name}.json"))).unwrap();
    }
    findings.extend(cloudformation::checkov(&copies).unwrap());
    assert!(findings.is_empty(), "{}", said(&findings));
}
