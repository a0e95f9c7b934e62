//! Writes what the compiler made. What an earlier run wrote to the same folder and this one did not is removed; files of
//! anyone else are left alone, so that `--out` may point at a folder that people keep other things in.

use crate::exit::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder → what was last written there, in updraft's own folder.
const RECORD: &str = "written.json";

type Record = BTreeMap<PathBuf, BTreeSet<String>>;

/// Writes `files` (path with `/` → contents) into `folder`. `own` is updraft's folder below the target directory.
///
/// # Errors
/// The disk's.
pub(crate) fn write<'a>(own: &Path, folder: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result {
    let mut now = BTreeSet::new();
    for (path, bytes) in files {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot("create", parent, &error))?;
        }
        // A file that stays the same keeps its time: whoever watches it is left in peace.
        if fs::read(&file).ok().as_deref() != Some(bytes) {
            fs::write(&file, bytes).map_err(|error| cannot("write", &file, &error))?;
        }
        now.insert(path.to_owned());
    }
    let key = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let file = own.join(RECORD);
    let mut record: Record =
        fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let before = record.insert(key, now.clone()).unwrap_or_default();
    for stale in before.difference(&now).map(|path| folder.join(path)).filter(|stale| stale.is_file()) {
        fs::remove_file(&stale).map_err(|error| cannot("remove", &stale, &error))?;
    }
    record.retain(|folder, _| folder.is_dir());
    fs::create_dir_all(own).map_err(|error| cannot("create", own, &error))?;
    let text = serde_json::to_vec(&record).map_err(|error| Failure::Outside(error.to_string()))?;
    fs::write(&file, text).map_err(|error| cannot("write", &file, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Outside(format!("can't {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_files_go_and_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, out) = (folder.path().join("own"), folder.path().join("out"));
        let put = |files: &[(&str, &str)]| {
            write(&own, &out, files.iter().map(|(path, text)| (*path, text.as_bytes()))).expect("written");
        };
        put(&[("a.yaml", "a"), ("blobs/b", "b")]);
        fs::write(out.join("notes.txt"), "mine").expect("written");
        put(&[("a.yaml", "A")]);
        assert_eq!(fs::read_to_string(out.join("a.yaml")).expect("a file"), "A");
        assert!(!out.join("blobs/b").exists());
        assert!(out.join("notes.txt").exists());
    }
}
