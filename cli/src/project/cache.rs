//! What cargo and rustc answered last time, and whether it still holds: keyed by the question (flags, environment) and
//! checked against everything that the answer depends on (manifests, lock, cargo's config, toolchain, which files exist).

use super::{Compilation, Project};
use crate::args::Global;
use crate::exit::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when [`Record`] changes.
const FORMAT: u32 = 4;

/// Variables that change what cargo and rustc answer.
const VARIABLES: [&str; 10] = [
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "PATH",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// What is asked.
pub(crate) struct Question {
    /// Where the command runs.
    pub(crate) directory: PathBuf,
    /// The Cargo.toml that was named or found above the directory.
    pub(crate) manifest: PathBuf,
    /// `-p`.
    pub(crate) package: Option<String>,
    /// `--features` and its kin, as cargo takes them.
    pub(crate) flags: Vec<String>,
    /// Their values.
    pub(crate) features: Vec<String>,
    /// `--no-default-features`.
    pub(crate) no_default_features: bool,
    /// `--all-features`.
    pub(crate) all_features: bool,
    /// What is compiled for.
    pub(crate) compilation: Compilation,
}

/// What cargo and rustc said, and the files that the answer depends on besides those that every question depends on.
pub(crate) struct Answer {
    pub(crate) project: Project,
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    version: String,
    /// File or folder → [`fingerprint`].
    inputs: BTreeMap<PathBuf, String>,
    project: Project,
}

impl Question {
    pub(crate) fn new(global: &Global, compilation: &Compilation) -> Result<Question> {
        let directory =
            env::current_dir().map_err(|error| Failure::Outside(format!("no current directory: {error}")))?;
        let manifest = match &global.manifest_path {
            Some(path) => directory.join(path),
            None => directory
                .ancestors()
                .map(|folder| folder.join("Cargo.toml"))
                .find(|manifest| manifest.is_file())
                .ok_or_else(|| {
                Failure::Usage(format!(
                    "no Cargo.toml in {} or above it; go to a package, or name one with --manifest-path",
                    directory.display()
                ))
            })?,
        };
        if !manifest.is_file() {
            return Err(Failure::Usage(format!("{} is no file", manifest.display())));
        }
        Ok(Question {
            directory,
            manifest,
            package: global.package.clone(),
            flags: global.feature_flags(),
            features: global.features.clone(),
            no_default_features: global.no_default_features,
            all_features: global.all_features,
            compilation: compilation.clone(),
        })
    }

    /// The answer of last time, if nothing that it depends on has changed.
    pub(crate) fn remembered(&self) -> Option<Project> {
        let record: Record = serde_json::from_slice(&fs::read(self.file()).ok()?).ok()?;
        let holds = record.format == FORMAT
            && record.version == env!("CARGO_PKG_VERSION")
            && record.inputs.iter().all(|(path, print)| fingerprint(path) == *print);
        holds.then_some(record.project)
    }

    /// Keeps an answer. Failing to is no failure: the next run asks again.
    pub(crate) fn remember(&self, answer: &Answer) {
        let inputs = self.inputs().into_iter().chain(answer.files.iter().cloned());
        let record = Record {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: inputs.map(|path| (path.clone(), fingerprint(&path))).collect(),
            project: answer.project.clone(),
        };
        let file = self.file();
        let Ok(text) = serde_json::to_vec(&record) else { return };
        // Written beside and renamed, so that a run at the same time reads the old or the new one.
        let beside = file.with_extension(format!("{}.tmp", std::process::id()));
        let written = file.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok());
        if written && fs::write(&beside, text).is_ok() && fs::rename(&beside, &file).is_err() {
            let _ = fs::remove_file(&beside);
        }
    }

    /// Files that every answer depends on: cargo's config and the toolchain's choice.
    fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs = self.configs();
        for folder in self.directory.ancestors() {
            inputs.extend(["rust-toolchain", "rust-toolchain.toml"].map(|name| folder.join(name)));
        }
        if let Some(home) = home("RUSTUP_HOME", ".rustup") {
            inputs.push(home.join("settings.toml"));
        }
        inputs
    }

    /// Where cargo looks for its config, the nearest first.
    fn configs(&self) -> Vec<PathBuf> {
        let folders =
            self.directory.ancestors().map(|folder| folder.join(".cargo")).chain(home("CARGO_HOME", ".cargo"));
        folders.flat_map(|folder| ["config.toml", "config"].map(|name| folder.join(name))).collect()
    }

    fn file(&self) -> PathBuf {
        let mut key = blake3::Hasher::new();
        let mut text = |text: &str| {
            key.update(&(text.len() as u64).to_le_bytes());
            key.update(text.as_bytes());
        };
        text(&self.directory.to_string_lossy());
        text(&self.manifest.to_string_lossy());
        text(&format!("{:?} {:?} {:?}", self.package, self.flags, self.compilation));
        for name in VARIABLES {
            text(&format!("{:?}", env::var_os(name)));
        }
        let key = key.finalize().to_hex();
        self.target_dir().join("updraft/cache").join(format!("project-{}.json", &key[..16]))
    }

    /// The target directory, found without cargo. It need not be exact: a wrong guess costs time, not truth.
    fn target_dir(&self) -> PathBuf {
        if let Some(dir) = env::var_os("CARGO_TARGET_DIR").or_else(|| env::var_os("CARGO_BUILD_TARGET_DIR")) {
            return self.directory.join(dir);
        }
        for config in self.configs() {
            let Ok(text) = fs::read_to_string(&config) else { continue };
            let table: Option<toml::Table> = text.parse().ok();
            let dir = table.as_ref().and_then(|table| table.get("build")?.get("target-dir")?.as_str());
            if let (Some(dir), Some(above)) = (dir, config.parent().and_then(Path::parent)) {
                return above.join(dir);
            }
        }
        let package = self.manifest.parent().unwrap_or(&self.directory);
        let root = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(package);
        root.join("target")
    }
}

/// What is compared: a file's contents, a folder's names, or that there is neither.
fn fingerprint(path: &Path) -> String {
    if let Ok(bytes) = fs::read(path) {
        return blake3::hash(&bytes).to_hex()[..32].to_owned();
    }
    let Ok(folder) = fs::read_dir(path) else { return String::new() };
    let mut names: Vec<_> = folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    blake3::hash(names.join("/").as_bytes()).to_hex()[..32].to_owned()
}

fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(below_home)))
}
