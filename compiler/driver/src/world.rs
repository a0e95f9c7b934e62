//! How the outside world enters: files through [`World`], what cargo and rustc said as plain data in [`Program`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Reads files. Paths have `/` and are relative to the workspace's root, or absolute for what lies elsewhere.
pub trait World: Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file; anything else is reported as it is.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;

    /// The names of the files in a folder, in any order.
    ///
    /// # Errors
    /// As [`World::read`].
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// The program to compile: its binary and every library whose package depends on updraft.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Program {
    /// The package that holds the binary.
    pub package: String,
    /// The folder of that package's Cargo.toml.
    pub dir: String,
    /// The binary first; then libraries, sorted by name.
    pub crates: Vec<Crate>,
    /// What `rustc --print cfg` says for the target: `unix` → `("unix", None)`.
    pub cfg: BTreeSet<(String, Option<String>)>,
}

/// One crate.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Crate {
    /// As paths write it: `my_shop`.
    pub name: String,
    /// Its package, `my-shop`.
    pub package: String,
    /// The folder of its package's Cargo.toml.
    pub dir: String,
    /// Its root file, `src/main.rs`.
    pub root: String,
    /// `2015`, `2018`, `2021` or `2024`.
    pub edition: u16,
    /// The features that are on.
    pub features: BTreeSet<String>,
    /// The crates that its paths may start with, besides std's.
    pub externs: BTreeMap<String, Extern>,
}

/// What an extern crate's name stands for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Extern {
    /// Updraft itself.
    Updraft,
    /// One of [`Program::crates`], by its place there.
    Crate(usize),
    /// A package that does not depend on updraft.
    Foreign,
}
