//! `cargo updraft check`: the source view and every rule on it, without compiling.

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use crate::targets::TargetName;
use crate::world::Disk;
use std::time::Instant;
use updraft_driver::Checked;
use updraft_model::{Settings, Target};

/// Checks the program without compiling it
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Check what this target demands, too
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
}

pub(crate) fn run(command: &Check, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    let target = command.target.map(TargetName::target);
    let project = Project::load(global, &Compilation::default())?;
    let checked = check(&project, global, target, reporter)?;
    reporter.status(
        "Checked",
        &format!(
            "{}: {} handlers, {} resources, {} units in {:.1} ms",
            checked.app.name,
            checked.app.handlers.len(),
            checked.app.resources.len(),
            checked.units.len(),
            started.elapsed().as_secs_f64() * 1e3
        ),
    );
    Ok(())
}

/// What most commands start with: the driver's stages up to placement, diagnostics shown, an error if any of them is one.
pub(crate) fn check(
    project: &Project,
    global: &Global,
    target: Option<&dyn Target>,
    reporter: &Reporter,
) -> Result<Checked> {
    let checked = look(project, global, target);
    reporter.diagnostics(&checked.diagnostics, &checked.sources);
    if checked.has_errors() { Err(Failure::Diagnostics) } else { Ok(checked) }
}

/// The same, for commands that show nothing but errors: whoever calls a handler has seen the warnings before.
pub(crate) fn check_quietly(project: &Project, global: &Global, reporter: &Reporter) -> Result<Checked> {
    let checked = look(project, global, None);
    if checked.has_errors() {
        reporter.diagnostics(&checked.diagnostics, &checked.sources);
        return Err(Failure::Diagnostics);
    }
    Ok(checked)
}

/// The settings alone, whatever is wrong with the rest: who needs more looks again, and shows it.
pub(crate) fn settings(project: &Project, global: &Global) -> Settings {
    look(project, global, None).settings
}

fn look(project: &Project, global: &Global, target: Option<&dyn Target>) -> Checked {
    let world = Disk { root: project.workspace_root.clone() };
    updraft_driver::check(&project.program, &updraft_driver::Request { env: global.env.as_deref(), target }, &world)
}

/// The examples' expected files for AWS Lambda, byte for byte, of its default placement.
#[cfg(test)]
mod aws_lambda {
    #![allow(clippy::disallowed_methods, reason = "expected files")]

    use super::*;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use updraft_aws_lambda::AwsLambda;
    use updraft_driver::plan;
    use updraft_model::{Sink, ZERO_DIGEST};

    /// How to write them anew.
    const ANEW: &str = "UPDRAFT_EXPECT=write cargo test -p cargo-updraft aws_lambda";

    fn files(folder: &Path) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let file = |entry: std::fs::DirEntry| {
            let text = std::fs::read_to_string(entry.path()).expect("text");
            (entry.file_name().into_string().expect("a name"), text)
        };
        entries.map(file).collect()
    }

    fn checked(example: &str) -> Checked {
        let manifest: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "..", "examples", example, "Cargo.toml"].into_iter().collect();
        let global = Global { manifest_path: Some(manifest), package: Some(example.to_owned()), ..Global::default() };
        let project = Project::load(&global, &Compilation::default()).expect("a project");
        look(&project, &global, Some(&AwsLambda))
    }

    fn as_expected(example: &str) {
        let checked = checked(example);
        let mut sink = Sink::default();
        let plan = plan::plan(&checked, String::new(), ZERO_DIGEST.to_owned());
        let artifacts = AwsLambda.compile(&plan, &mut sink);
        let findings = sink.into_sorted();
        let artifacts = artifacts.unwrap_or_else(|| panic!("{findings:#?}"));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let written: BTreeMap<String, String> =
            artifacts.iter().map(|(path, artifact)| (path.to_owned(), text(&artifact.bytes))).collect();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let expected = workspace.join("examples").join(example).join("expected/aws-lambda");
        if std::env::var("UPDRAFT_EXPECT").is_ok_and(|value| value == "write") {
            let _ = std::fs::remove_dir_all(&expected);
            std::fs::create_dir_all(&expected).expect("a folder");
            for (name, text) in &written {
                std::fs::write(expected.join(name), text).expect("a file");
            }
        }
        let held = files(&expected);
        assert_eq!(
            written.keys().collect::<Vec<_>>(),
            held.keys().collect::<Vec<_>>(),
            "other files; if right: {ANEW}"
        );
        for (name, text) in &written {
            let first = text.lines().zip(held[name].lines()).find(|(one, other)| one != other);
            assert!(*text == held[name], "{name} differs, first at {first:?}; if that is right: {ANEW}");
        }
    }

    #[test]
    fn shop_on_aws_lambda() {
        as_expected("shop");
    }

    #[test]
    fn library_on_aws_lambda() {
        as_expected("library");
    }

    /// It has a database.
    #[test]
    fn ledger_is_refused() {
        let codes: Vec<&str> = checked("ledger").diagnostics.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&"UD2001"), "{codes:?}");
    }
}
