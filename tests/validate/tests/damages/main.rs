//! Each damage to a template is caught, and it is known by whom: the validator, or one of the programs that the gate runs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

mod left_out;
mod others;
mod references;
mod rights;
mod values;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use updraft_validate::{Finding, cloudformation, patch};

/// Who catches a damage, by which rule.
#[derive(Clone, Copy, Debug)]
enum By {
    /// `cloudformation::check`.
    Us(&'static str),
    Lint(&'static str),
    Checkov(&'static str),
    Parliament(&'static str),
}

/// What is damaged, where in the shop's template, what is there instead (or nothing), and who says so.
type Damage = (&'static str, &'static str, Option<Value>, By);

fn get(name: &str, attribute: &str) -> Value {
    json!({ "Fn::GetAtt": [name, attribute] })
}

fn named(name: &str) -> Value {
    json!({ "Ref": name })
}

const SHIP: &str = "ShopOrdersShipX9ebedc29";
const MAIL: &str = "ShopMailEmailCustomerX969ed7d3";
const NIGHT: &str = "ShopReportsNightlyReportXa7f216c9";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/0";

/// With names in place of their short forms.
fn place(pointer: &str) -> String {
    let short = [
        ("{ship}", "ShopOrdersShipRole/Policies/0/PolicyDocument/Statement"),
        ("{inbox}", "{MAIL}InboxPolicy/PolicyDocument"),
        ("{SHIP}", SHIP),
        ("{MAIL}", MAIL),
        ("{NIGHT}", NIGHT),
    ];
    let full = short.iter().fold(pointer.to_owned(), |text, (short, long)| text.replace(short, long));
    // Of a resource's properties, unless it begins at the root.
    match (full.strip_prefix('/'), full.split_once('/')) {
        (Some(_), _) => full,
        (None, Some((name, rest))) => format!("/Resources/{name}/Properties/{rest}"),
        (None, None) => format!("/Resources/{full}/Properties"),
    }
}

/// What is expected of the shop.
fn shop() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop/expected/aws-lambda/template.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A resource and all that it needs: other programs take their time with each resource.
fn part(template: &Value, name: &str) -> Value {
    let all = template["Resources"].as_object().unwrap();
    let mut left = vec![name.to_owned()];
    let mut part = serde_json::Map::new();
    while let Some(name) = left.pop() {
        let Some(resource) = all.get(&name) else { continue };
        let text = resource.to_string();
        let needs = |other: &&String| {
            let forms = [format!("\"{other}\""), format!("${{{other}}}"), format!("${{{other}.")];
            forms.iter().any(|form| text.contains(form))
        };
        left.extend(all.keys().filter(needs).filter(|other| !part.contains_key(*other)).cloned());
        part.insert(name, resource.clone());
    }
    let mut template = template.clone();
    template.as_object_mut().unwrap().remove("Outputs");
    template["Resources"] = part.into();
    template
}

fn said(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn each_is_caught() {
    let whole = shop();
    let folder = tempfile::tempdir().unwrap();
    let (mut linted, mut checked, mut parsed) = (Vec::<(String, &str, PathBuf)>::new(), Vec::new(), Vec::new());
    let damages: Vec<Damage> =
        [values::damages(), references::damages(), rights::damages(), others::damages()].concat();
    assert!(damages.len() > 100);
    let mut missed = String::new();
    for (at, (what, pointer, value, by)) in damages.into_iter().enumerate() {
        let mut template = whole.clone();
        let value = value.map(|value| serde_json::from_str(&value.to_string().replace("{SHIP}", SHIP)).unwrap());
        assert!(patch::edit(&mut template, &place(pointer), value), "{what}: nothing at {}", place(pointer));
        assert_ne!(template, whole, "{what}");
        let write = |below: &str| {
            let file = folder.path().join(below).join(format!("{at:03}.json"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let damaged = place(pointer).split('/').nth(2).unwrap().to_owned();
            std::fs::write(&file, serde_json::to_string_pretty(&part(&template, &damaged)).unwrap()).unwrap();
            file
        };
        match by {
            By::Us(rule) => {
                let findings = cloudformation::check(&template);
                if !findings.iter().any(|finding| finding.rule == rule) {
                    missed += &format!("{what}: no {rule} in\n{}", said(&findings));
                }
            }
            By::Lint(rule) => linted.push((what.to_owned(), rule, write("linted"))),
            By::Checkov(rule) => checked.push((what.to_owned(), rule, write("checked"))),
            By::Parliament(rule) => parsed.push((what.to_owned(), rule, (format!("{at:03}"), template.clone()))),
        }
    }
    // Where a program is not there, it has said nothing at all, and the gate does not let that pass.
    let mut ask = |damages: Vec<(String, &str, String)>, findings: &[Finding]| {
        for (what, rule, file) in damages.into_iter().filter(|_| !findings.is_empty()) {
            let of_file = |finding: &&Finding| finding.object == file || finding.path.contains(&file);
            let found: Vec<Finding> = findings.iter().filter(of_file).cloned().collect();
            if !found.iter().any(|finding| finding.message.contains(rule)) {
                missed += &format!("{what}: no {rule} in\n{}", said(&found));
            }
        }
    };
    let files: Vec<PathBuf> = linted.iter().map(|(.., file)| file.clone()).collect();
    let templates: Vec<(String, Value)> = parsed.iter().map(|(.., template)| template.clone()).collect();
    // They take seconds each, and may as well side by side.
    let (lint, check, parse) = std::thread::scope(|scope| {
        let halves: Vec<_> = files
            .chunks(files.len().div_ceil(2))
            .map(|half| scope.spawn(|| cloudformation::cfn_lint(half, folder.path()).unwrap()))
            .collect();
        let check = cloudformation::checkov(&folder.path().join("checked")).unwrap();
        let parse = cloudformation::parliament(&templates, folder.path()).unwrap();
        let lint: Vec<Finding> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
        (lint, check, parse)
    });
    let name = |file: PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    ask(linted.into_iter().map(|(what, rule, file)| (what, rule, name(file))).collect(), &lint);
    ask(checked.into_iter().map(|(what, rule, file)| (what, rule, name(file))).collect(), &check);
    ask(parsed.into_iter().map(|(what, rule, (name, _))| (what, rule, name)).collect(), &parse);
    assert!(missed.is_empty(), "{missed}");
}
