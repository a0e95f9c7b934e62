//! Programs of one file, compiled for AWS without a disk or a linker.

use std::collections::BTreeSet;
use std::io;
use updraft_aws_lambda::AwsLambda;
use updraft_driver::world::{Crate, Extern};
use updraft_driver::{Checked, Program, Request, World, check, plan};
use updraft_model::{Artifacts, Severity, Sink, Target, ZERO_DIGEST};

/// A program, its settings, and a migration for its databases.
struct Files {
    source: String,
    settings: String,
}

impl World for Files {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match path {
            "src/main.rs" => Ok(self.source.clone().into_bytes()),
            "Updraft.toml" => Ok(self.settings.clone().into_bytes()),
            "migrations/0001_all.sql" => Ok(b"create table notes (note text);\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        if folder == "migrations" { Ok(vec!["0001_all.sql".into()]) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// What is found in the shop of this source, and what the target makes of it.
pub(crate) fn compiled(source: &str, settings: &str) -> (Checked, Artifacts) {
    let externs = [("updraft".to_owned(), Extern::Updraft), ("serde".to_owned(), Extern::Foreign)].into();
    let (dir, root, features) = (String::new(), "src/main.rs".to_owned(), BTreeSet::new());
    let krate =
        Crate { name: "shop".into(), package: "shop".into(), dir: dir.clone(), root, edition: 2024, features, externs };
    let program = Program { package: "shop".into(), dir, crates: vec![krate], cfg: [("unix".into(), None)].into() };
    let source = format!("use updraft::prelude::*;\n{source}\nupdraft::main!();\n");
    let files = Files { source, settings: settings.to_owned() };
    let checked = check(&program, &Request { env: None, target: Some(&AwsLambda) }, &files);
    let errors = checked.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|found| format!("{}: {}", found.code, found.message)).collect();
    assert_eq!(errors, Vec::<String>::new());
    let plan = plan::plan(&checked, String::new(), ZERO_DIGEST.to_owned());
    let artifacts = AwsLambda.compile(&plan, &mut Sink::default()).unwrap();
    (checked, artifacts)
}
