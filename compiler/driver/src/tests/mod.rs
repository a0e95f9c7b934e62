//! Tests of the whole front, all through [`check`]: a program in, what was found and what came of it out.

mod pages;
mod programs;
mod robustness;
mod words;

use crate::render::{self, Style};
use crate::world::{Crate, Extern};
use crate::{Checked, Program, Request, World};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A program as a text: files after `//- path` lines; `//- env NAME`, `//- features a b` and `//- extern name = updraft`
/// say the rest. Without any such line the text is what stands in `src/main.rs` between the prelude and `main!`.
/// `src/lib.rs` makes a library of the package, `<name>/src/lib.rs` another crate.
pub(crate) struct Fixture {
    files: BTreeMap<String, String>,
    program: Program,
    env: Option<String>,
}

impl World for Fixture {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = |path: &String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        let names: Vec<String> = self.files.keys().filter_map(inside).filter(|name| !name.contains('/')).collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }
}

pub(crate) fn fixture(text: &str) -> Fixture {
    let mut fixture = Fixture { files: BTreeMap::new(), program: Program::default(), env: None };
    let mut externs = BTreeMap::from([("updraft".to_owned(), Extern::Updraft), ("serde".to_owned(), Extern::Foreign)]);
    let mut features = BTreeSet::new();
    let text = match text.starts_with("//- ") {
        true => text.to_owned(),
        false => format!("//- src/main.rs\nuse updraft::prelude::*;\n{text}\nupdraft::main!();\n"),
    };
    let mut file = String::new();
    for line in text.split_inclusive('\n') {
        let Some(directive) = line.strip_prefix("//- ").map(str::trim_end) else {
            fixture.files.entry(file.clone()).or_default().push_str(line);
            continue;
        };
        match directive.split_once(' ') {
            Some(("env", name)) => fixture.env = Some(name.to_owned()),
            Some(("features", names)) => features = names.split(' ').map(str::to_owned).collect(),
            Some(("extern", rest)) => {
                externs.remove("updraft");
                externs.insert(rest.split(' ').next().unwrap().to_owned(), Extern::Updraft);
            }
            _ => {
                file = directive.to_owned();
                fixture.files.insert(file.clone(), String::new());
            }
        }
    }
    let mut crates = vec![("shop", "shop", "src/main.rs".to_owned())];
    if fixture.files.contains_key("src/lib.rs") {
        crates.push(("shop", "shop", "src/lib.rs".to_owned()));
    }
    let others: Vec<String> =
        fixture.files.keys().filter_map(|path| path.strip_suffix("/src/lib.rs").map(str::to_owned)).collect();
    crates.extend(others.iter().map(|name| (name.as_str(), name.as_str(), format!("{name}/src/lib.rs"))));
    for (at, (name, _, _)) in crates.iter().enumerate().skip(1) {
        externs.insert((*name).to_owned(), Extern::Crate(at));
    }
    fixture.program = Program {
        package: "shop".into(),
        dir: String::new(),
        crates: crates
            .into_iter()
            .map(|(name, package, root)| Crate {
                name: name.into(),
                package: package.into(),
                dir: root.strip_suffix("/src/lib.rs").unwrap_or_default().to_owned(),
                root,
                edition: 2024,
                features: features.clone(),
                externs: externs.clone(),
            })
            .collect(),
        cfg: [("unix".to_owned(), None), ("target_os".to_owned(), Some("linux".to_owned()))].into(),
    };
    fixture
}

/// The one way in.
pub(crate) fn check(text: &str) -> Checked {
    let fixture = fixture(text);
    crate::check(&fixture.program, &Request { env: fixture.env.as_deref(), target: None }, &fixture)
}

/// Codes of all findings, in order.
pub(crate) fn codes(text: &str) -> Vec<&'static str> {
    check(text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

/// Source, findings and what came of it, in one text.
pub(crate) fn report(text: &str) -> String {
    let checked = check(text);
    let mut report = format!("{}\n", text.trim());
    for diagnostic in &checked.diagnostics {
        let human = render::human(diagnostic, &checked.sources, &Style { color: false, width: 100 });
        let human: Vec<&str> = human.lines().map(str::trim_end).collect();
        report.push_str(&format!("────\n{}\n", human.join("\n").trim()));
    }
    report.push_str("════\n");
    for handler in &checked.app.handlers {
        let options: Vec<String> = handler.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        report.push_str(&format!("{} {} [{}]\n", handler.trigger.kind(), handler.id, options.join(" ")));
        for grant in &handler.grants {
            report.push_str(&format!("    {} {} ({})\n", grant.kind, grant.resource, grant.access));
        }
    }
    for resource in &checked.app.resources {
        let options: Vec<String> = resource.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        report.push_str(&format!("{} {} = {} [{}]\n", resource.kind, resource.id, resource.path, options.join(" ")));
    }
    for unit in &checked.units {
        let handlers: Vec<&str> = unit.handlers.iter().map(String::as_str).collect();
        report.push_str(&format!("unit {}: {}\n", unit.id, handlers.join(", ")));
    }
    report
}
