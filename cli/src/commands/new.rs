//! `cargo updraft new`: a project that works, to go on from.

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use handlebars::Handlebars;
use serde::Serialize;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// File of the project → its template.
const FILES: [(&str, &str); 7] = [
    (".gitignore", include_str!("../../templates/new/gitignore.hbs")),
    ("Cargo.toml", include_str!("../../templates/new/Cargo.toml.hbs")),
    ("README.md", include_str!("../../templates/new/README.md.hbs")),
    ("Updraft.toml", include_str!("../../templates/new/Updraft.toml.hbs")),
    ("src/lib.rs", include_str!("../../templates/new/lib.rs.hbs")),
    ("src/main.rs", include_str!("../../templates/new/main.rs.hbs")),
    ("tests/guests.rs", include_str!("../../templates/new/test.rs.hbs")),
];

/// Words that no crate can be called: keywords, and crates that every program has.
const TAKEN: [&str; 48] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "type",
    "updraft",
    "use",
    "where",
];

/// Starts a project that works: checks, tests, serves and builds
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// Where; the last part is the package's name
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// The folder of updraft's own crate, to depend on [default: that of the clone which this command was built from]
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    updraft: Option<PathBuf>,
    /// A repository of updraft, to depend on
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

/// What the templates know.
#[derive(Serialize)]
struct Context<'a> {
    /// The package's name.
    name: &'a str,
    /// The same in paths.
    krate: String,
    /// The dependency: `path = "…"`.
    updraft: String,
    /// Whether a folder above holds another project.
    nested: bool,
}

pub(crate) fn run(command: &New, _global: &Global, reporter: &Reporter) -> Result {
    let outside = |error: &dyn std::fmt::Display| Failure::Outside(format!("{}: {error}", command.path.display()));
    let here = env::current_dir().map_err(|error| outside(&error))?;
    let folder = here.join(&command.path);
    let name = command.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    valid(name).map_err(|why| Failure::Usage(format!("`{name}` can't be a package's name: {why}")))?;
    if folder.exists() {
        return Err(Failure::Usage(format!("{} is there already", command.path.display())));
    }
    let context = Context {
        name,
        krate: name.replace('-', "_"),
        updraft: dependency(command, &here)?,
        nested: folder.ancestors().skip(1).any(|above| above.join("Cargo.toml").is_file()),
    };
    let files = render(&context).map_err(|error| outside(&error))?;
    for (path, text) in files {
        let file = folder.join(path);
        let written = fs::create_dir_all(file.parent().unwrap_or(&folder)).and_then(|()| fs::write(&file, text));
        written.map_err(|error| outside(&error))?;
    }
    reporter.status("Created", &format_args!("{name}: `cd {} && cargo updraft dev` runs it", command.path.display()));
    Ok(())
}

/// The project's files.
fn render(context: &Context<'_>) -> Result<Vec<(&'static str, String)>, handlebars::RenderError> {
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    templates.register_escape_fn(handlebars::no_escape);
    FILES.iter().map(|(path, text)| Ok((*path, templates.render_template(text, context)?))).collect()
}

fn valid(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) {
        return Err("lower-case letters, digits, `-` and `_` make one");
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it must start with a letter");
    }
    if TAKEN.contains(&name.replace('-', "_").as_str()) {
        return Err("the word has a meaning of its own");
    }
    Ok(())
}

/// Until updraft is published, projects depend on a clone or a repository.
fn dependency(command: &New, here: &Path) -> Result<String> {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    if let Some(url) = &command.git {
        return Ok(format!("git = {}", text(url)));
    }
    let folder = match &command.updraft {
        Some(folder) => here.join(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("runtime"),
    };
    let folder = fs::canonicalize(&folder).ok().filter(|folder| folder.join("Cargo.toml").is_file());
    let folder = folder.as_deref().and_then(Path::to_str).ok_or_else(|| {
        Failure::Usage("updraft's own crate is not found: say where with --updraft DIR or --git URL".to_owned())
    })?;
    Ok(format!("path = {}", text(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_they_seem() {
        for nested in [false, true] {
            let updraft = r#"path = "/a \"b\"""#.to_owned();
            let context = Context { name: "my-app", krate: "my_app".to_owned(), updraft, nested };
            for (path, text) in render(&context).expect("rendered") {
                if path.ends_with(".toml") {
                    text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{path}: {error}\n{text}"));
                }
                assert!(!text.contains("{{"), "{path}\n{text}");
                assert!(path != "src/main.rs" || text.contains("main!(my_app)"), "{text}");
            }
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(valid("my-app2").is_ok());
        for wrong in ["", "2nd", "My", "a.b", "self", "std", "updraft", "proc-macro"] {
            assert!(valid(wrong).is_err(), "{wrong}");
        }
    }
}
