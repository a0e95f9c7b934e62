//! The migrations of the program's databases: read through [`World`], their fingerprint put beside the other options, so
//! that the proof holds binary and source to the same files.

use crate::lower::Lowered;
use crate::world::{Program, World};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use updraft_model::{Kind, Place};
use updraft_syntax::migrations::{LOCK, Problem, order};

/// The option that carries the fingerprint.
const FILES: &str = "files";

/// The migrations of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// The database's id.
    pub database: String,
    /// Their folder, as [`World`] takes it.
    pub folder: String,
    /// In the order in which they run: name, hash in hex.
    pub files: Vec<(String, String)>,
    /// What the folder's lock says: the line's number from 1, name, hash. Empty without one.
    pub(crate) locked: Vec<(usize, String, String)>,
    /// What is wrong with the folder.
    pub(crate) problems: Vec<Problem>,
    /// The database's declaration.
    pub(crate) place: Place,
}

impl Migrations {
    /// Where the lock lies.
    pub fn lock_path(&self) -> String {
        format!("{}/{LOCK}", self.folder)
    }

    /// The lock's text once all that is there has been released.
    pub fn lock(&self) -> String {
        let mut text = "# Migrations that were released, and what they held: written by `cargo updraft build`, to be committed.\n\
                        # `cargo updraft check` refuses an edit of any of them, for databases have run them as they are here.\n"
            .to_owned();
        for (name, hash) in &self.files {
            text.push_str(&format!("{hash} {name}\n"));
        }
        text
    }
}

/// Reads the folders of all databases of the program.
pub(crate) fn read(program: &Program, lowered: &mut Lowered, world: &dyn World) -> Vec<Migrations> {
    let dirs: BTreeMap<&str, &str> =
        program.crates.iter().map(|krate| (krate.name.as_str(), krate.dir.as_str())).collect();
    let mut all = Vec::new();
    for resource in lowered.app.resources.iter_mut().filter(|resource| resource.kind == Kind::Database) {
        let krate = resource.path.split("::").next().unwrap_or_default();
        let dir = dirs.get(krate).copied().unwrap_or(&program.dir);
        let shown = resource.options.get("migrations").cloned().unwrap_or_default();
        let folder = if dir.is_empty() { shown.clone() } else { format!("{dir}/{shown}") };
        let mut migrations = Migrations {
            database: resource.id.clone(),
            folder,
            files: Vec::new(),
            locked: Vec::new(),
            problems: Vec::new(),
            place: resource.place.clone(),
        };
        if let Some(print) = fill(&mut migrations, &shown, world) {
            resource.options.insert(FILES.to_owned(), print);
        }
        all.push(migrations);
    }
    all
}

/// Reads one folder; its fingerprint if it is sound.
fn fill(migrations: &mut Migrations, shown: &str, world: &dyn World) -> Option<String> {
    let unreadable = |what: &str, error: std::io::Error| Problem {
        code: updraft_syntax::codes::NO_MIGRATIONS,
        message: format!("`{what}` can't be read: {error}"),
        help: "see that it is there and readable".to_owned(),
    };
    let names = match world.list(&migrations.folder) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            migrations.problems.push(unreadable(shown, error));
            return None;
        }
    };
    let files = match order(shown, names.iter().map(String::as_str)) {
        Ok(files) => files,
        Err(problems) => {
            migrations.problems = problems;
            return None;
        }
    };
    let mut texts = Vec::new();
    for file in files {
        match world.read(&format!("{}/{}", migrations.folder, file.name)) {
            Ok(text) => {
                migrations.files.push((file.name.to_owned(), blake3::hash(&text).to_hex().to_string()));
                texts.push((file.name, text));
            }
            Err(error) => migrations.problems.push(unreadable(&format!("{shown}/{}", file.name), error)),
        }
    }
    if let Ok(lock) = world.read(&migrations.lock_path()) {
        migrations.locked = read_lock(&String::from_utf8_lossy(&lock));
    }
    let print = updraft_wire::migrations::fingerprint(texts.iter().map(|(name, text)| (*name, text.as_slice())));
    migrations.problems.is_empty().then_some(print)
}

fn read_lock(text: &str) -> Vec<(usize, String, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    let entries = lines.filter_map(|(at, line)| {
        let (hash, name) = line.trim().split_once(' ')?;
        Some((at + 1, name.trim().to_owned(), hash.to_owned()))
    });
    entries.collect()
}
