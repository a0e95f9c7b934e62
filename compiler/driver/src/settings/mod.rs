//! `Updraft.toml`: validated, with one environment's overrides on top. Unknown keys are errors, and every environment is
//! validated, whichever was asked for: a mistake must not wait for the day of the deployment.

pub mod codes;
mod keys;
#[cfg(test)]
mod page;
mod value;

use crate::source::{File, Sources};
use crate::world::{Program, World};
use std::cell::RefCell;
use std::io::ErrorKind;
use std::sync::Arc;
use updraft_model::{Diagnostic, Place, Settings, Sink};
use value::{Data, Report, Table, Value};

/// The file's name, beside the package's Cargo.toml.
pub const FILE: &str = "Updraft.toml";

/// Settings, and where what they name stands: a group's member, a dev secret.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) settings: Settings,
    /// (what names it, the name) → the name's place.
    pub(crate) places: Vec<(Names, String, Place)>,
}

/// What a text in the file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// The app.
    App,
    /// A unit, by a group's key.
    Unit,
    /// A handler, module or crate, in the group of this name.
    Member(String),
    /// A resource of this kind.
    Resource(updraft_model::Kind),
    /// A resource of any kind.
    AnyResource,
}

/// The settings alone, as far as they can be read: whoever shows their mistakes runs the whole check.
pub fn of(program: &Program, env: Option<&str>, world: &dyn World) -> Settings {
    read(program, env, world, &mut Sources::default(), &mut Sink::default()).settings
}

/// Reads the file. An app without one works.
pub(crate) fn read(
    program: &Program,
    env: Option<&str>,
    world: &dyn World,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Read {
    let path = if program.dir.is_empty() { FILE.to_owned() } else { format!("{}/{FILE}", program.dir) };
    let text = match world.read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            sink.push(Diagnostic::error(codes::TOML, format!("{path} can't be read: {error}")));
            return Read::default();
        }
    };
    let file = Arc::new(File::new(path, text));
    sources.add(file.clone());
    let report = Report { file: &file, found: RefCell::default() };
    let (table, errors) = value::parse(&file.text);
    for error in errors {
        let range = error.span().unwrap_or_default();
        let message = format!("this is no TOML: {}", error.message());
        report.push(codes::TOML, range, message, "can't be read", "https://toml.io shows how it is written".to_owned());
    }
    let (base, envs) = split(&table, &report);
    let mut read = keys::read(&base, &report);
    let mut found_env = false;
    for (name, overrides) in &envs {
        let merged = keys::read(&value::merge(&base, overrides), &report);
        if Some(name.as_str()) == env {
            found_env = true;
            read = merged;
        }
    }
    if let Some(env) = env
        && !found_env
    {
        let names: Vec<&str> = envs.iter().map(|(name, _)| name.as_str()).collect();
        let help = match (updraft_syntax::names::closest(env, names.iter().copied()), &names[..]) {
            (Some(meant), _) => format!("did you mean `--env {meant}`?"),
            (None, []) => format!("add `[env.{env}]` to it, with what differs there"),
            (None, names) => format!("its environments are {}", names.join(", ")),
        };
        sink.push(Diagnostic::error(codes::ENV, format!("{} has no environment `{env}`", file.path)).help(help));
    }
    sink.extend(report.found.into_inner());
    read
}

/// `[env.*]` apart from the rest.
fn split(table: &Table, report: &Report<'_>) -> (Table, Vec<(String, Table)>) {
    let mut base = table.clone();
    let mut envs = Vec::new();
    match base.remove("env") {
        None => {}
        Some((_, Value { data: Data::Table(table), .. })) => {
            for (name, (place, value)) in table {
                match value.data {
                    Data::Table(overrides) => envs.push((name, overrides)),
                    _ => report.push(
                        codes::VALUE,
                        place,
                        format!("`env.{name}` is a table"),
                        "no table",
                        format!("write `[env.{name}]` and what differs there below"),
                    ),
                }
            }
        }
        Some((place, _)) => report.push(
            codes::VALUE,
            place,
            "`env` is a table of environments".to_owned(),
            "no table",
            "write `[env.prod]` and what differs there below".to_owned(),
        ),
    }
    (base, envs)
}
