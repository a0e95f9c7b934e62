//! Watches the files that a program is made of. What counts is a file's contents: an editor that writes the same text again
//! or a build that touches the lock file restarts nothing.

use crate::exit::{Failure, Result};
use crate::project::Project;
use notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Changes that come closer than this are one.
const QUIET: Duration = Duration::from_millis(150);

/// A running watch.
pub(crate) struct Watch {
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    changes: UnboundedReceiver<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// File → hash of its contents when last looked at.
    known: BTreeMap<PathBuf, Option<blake3::Hash>>,
}

impl Watch {
    /// Watches the sources and manifests that are known before anything is built.
    ///
    /// # Errors
    /// The system watches no more files.
    pub(crate) fn new(project: &Project) -> Result<Watch> {
        let (sender, changes) = unbounded_channel();
        let report = move |result: DebounceEventResult| {
            for path in result.into_iter().flatten().filter(|one| !one.kind.is_access()).flat_map(|one| one.event.paths)
            {
                let _ = sender.send(path);
            }
        };
        let debouncer = new_debouncer(QUIET, None, report).map_err(cannot)?;
        let mut watch = Watch { debouncer, changes, folders: BTreeSet::new(), known: BTreeMap::new() };
        watch.add(&project.workspace_root, false)?;
        watch.add(project.package_dir(), false)?;
        for krate in &project.program.crates {
            if let Some(source) = project.workspace_root.join(&krate.root).parent() {
                watch.add(source, true)?;
                if let Some(package) = source.parent() {
                    watch.add(package, false)?;
                }
            }
        }
        Ok(watch)
    }

    /// Watches what a build turned out to read besides: other packages of the workspace, included files. Cargo lists them in
    /// a file beside the executable.
    ///
    /// # Errors
    /// The system watches no more files.
    pub(crate) fn learn(&mut self, binary: &Path) -> Result {
        let list = fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
        for file in listed(&list) {
            if let Some(folder) = file.parent().filter(|folder| folder.is_dir()) {
                self.add(folder, false)?;
            }
            self.known.entry(file.clone()).or_insert_with(|| hash(&file));
        }
        Ok(())
    }

    /// Waits until a file has other contents; says which.
    pub(crate) async fn changed(&mut self) -> PathBuf {
        loop {
            let Some(path) = self.changes.recv().await else { return std::future::pending().await };
            if !self.known.contains_key(&path) && !is_source(&path) {
                continue;
            }
            let now = hash(&path);
            if self.known.insert(path.clone(), now) != Some(now) {
                // Whatever else came with it belongs to the same change.
                while let Ok(other) = self.changes.try_recv() {
                    if self.known.contains_key(&other) {
                        let now = hash(&other);
                        self.known.insert(other, now);
                    }
                }
                return path;
            }
        }
    }

    fn add(&mut self, folder: &Path, recursive: bool) -> Result {
        if !folder.is_dir() || self.folders.iter().any(|own| folder == own) {
            return Ok(());
        }
        self.debouncer.watch(folder, RecursiveMode::NonRecursive).map_err(cannot)?;
        self.folders.insert(folder.to_owned());
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if recursive && path.is_dir() {
                self.add(&path, true)?;
            } else if is_source(&path) {
                self.known.entry(path.clone()).or_insert_with(|| hash(&path));
            }
        }
        Ok(())
    }
}

fn cannot(error: notify::Error) -> Failure {
    Failure::Outside(format!("can't watch the sources: {error}"))
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["rs", "toml", "lock", "sql"].iter().any(|known| ending == *known))
}

fn hash(path: &Path) -> Option<blake3::Hash> {
    fs::read(path).ok().map(|bytes| blake3::hash(&bytes))
}

/// The files of a dependency list: `target: file file\ with\ spaces …`.
fn listed(text: &str) -> Vec<PathBuf> {
    let line = text.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, files)| files);
    let marked = line.replace("\\ ", "\0");
    marked.split(' ').filter(|file| !file.is_empty()).map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_lists_may_hold_spaces() {
        let files = listed("/t/debug/shop: /a/src/lib.rs /b\\ c/main.rs\n\n/a/src/lib.rs:\n");
        assert_eq!(files, [PathBuf::from("/a/src/lib.rs"), PathBuf::from("/b c/main.rs")]);
        assert!(listed("").is_empty());
    }
}
