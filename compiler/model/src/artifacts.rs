//! What a target produces: files as a sorted map. Only the command line writes them.

use std::collections::BTreeMap;

/// Path (with `/`, relative to the output folder) → file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifacts(BTreeMap<String, Artifact>);

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Ids of the handlers, resources or units that it comes from.
    pub origins: Vec<String>,
}

impl Artifacts {
    /// Adds a file. The same path twice is a target's bug; the later one wins.
    pub fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>, origins: Vec<String>) {
        let path = path.into();
        debug_assert!(!self.0.contains_key(&path), "two artifacts at {path}");
        self.0.insert(path, Artifact { bytes: bytes.into(), origins });
    }

    /// By path, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Artifact)> {
        self.0.iter().map(|(path, artifact)| (path.as_str(), artifact))
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&Artifact> {
        self.0.get(path)
    }
}
