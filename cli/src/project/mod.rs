//! The project as cargo and rustc see it, remembered between runs: asking them takes longer than compiling.

mod cache;
mod features;
mod metadata;

use crate::args::Global;
use crate::exit::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use updraft_driver::Program;

/// Everything about the program that does not stand in its source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Project {
    /// The package that holds the program.
    pub(crate) package: String,
    /// The binary's name.
    pub(crate) bin: String,
    /// The package's Cargo.toml.
    pub(crate) manifest_path: PathBuf,
    /// Where the workspace's Cargo.toml lies.
    pub(crate) workspace_root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target_dir: PathBuf,
    /// Folders of packages that come from a path outside the workspace.
    pub(crate) outside: Vec<PathBuf>,
    /// Packages that only other people's packages use, by name, sorted.
    pub(crate) hidden: Vec<String>,
    /// What the driver needs to know.
    pub(crate) program: Program,
}

/// What is compiled for: decides which `cfg`s hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compilation {
    /// The host if absent.
    pub(crate) triple: Option<String>,
    /// Whether debug assertions are off.
    pub(crate) release: bool,
}

#[allow(dead_code, reason = "the paths are for commands that write")]
impl Project {
    /// Asks cargo and rustc, or remembers what they said when nothing has changed that they depend on.
    pub(crate) fn load(global: &Global, compilation: &Compilation) -> Result<Project> {
        let question = cache::Question::new(global, compilation)?;
        if let Some(project) = question.remembered() {
            return Ok(project);
        }
        let answer = metadata::ask(&question)?;
        question.remember(&answer);
        Ok(answer.project)
    }

    /// The folder of the package's Cargo.toml.
    pub(crate) fn package_dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.workspace_root)
    }

    /// Where everything that updraft makes for this workspace goes.
    pub(crate) fn output_dir(&self) -> PathBuf {
        self.target_dir.join("updraft")
    }
}
