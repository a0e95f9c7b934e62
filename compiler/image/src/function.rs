//! A function of Lambda's as an image: one manifest of one architecture, since Lambda takes no index; the program and files
//! beside it where it has them unpacked from a zip, so that a program need not know which of the two it came in.

use crate::layer::Entry;
use crate::spec::{self, Execution};
use crate::zip::BOOTSTRAP;
use crate::{Image, Layout, packed};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Where the program lies, and what is beside it.
const FOLDER: &str = "/var/task";

/// The variable that says so: Lambda sets it for a zip, and for an image its base does, which is ours.
const FOLDER_VARIABLE: &str = "LAMBDA_TASK_ROOT";

/// Packs a program, with files by their names. No user: Lambda runs it as one of its own.
///
/// # Errors
/// If a file is called as the program is; writing to memory can't fail.
pub fn layout(image: &Image<'_>, files: &BTreeMap<String, Vec<u8>>) -> io::Result<Layout> {
    if files.contains_key(BOOTSTRAP) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file is called as the program is"));
    }
    let (program, folder) = (format!("{FOLDER}/{BOOTSTRAP}"), format!("{}/", &FOLDER[1..]));
    let paths: Vec<String> = files.keys().map(|name| format!("{folder}{name}")).collect();
    let beside = paths.iter().zip(files.values()).map(|(path, bytes)| Entry::file(path, 0o644, bytes.as_slice()));
    let mut entries = vec![
        Entry::folder("var/", 0o755),
        Entry::folder(&folder, 0o755),
        Entry::file(&program[1..], 0o755, image.program),
    ];
    entries.extend(beside);
    let run = Execution {
        user: None,
        env: vec![format!("{FOLDER_VARIABLE}={FOLDER}")],
        entrypoint: [program.clone()],
        working_dir: FOLDER,
        labels: image.labels,
    };
    packed(image.architecture, run, &entries)
}

/// What [`layout`] packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The program.
    pub program: Vec<u8>,
    /// The files beside it.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The image's digest.
    pub digest: String,
}

/// Takes a layout apart that [`layout`] made.
///
/// # Errors
/// If it is none, holds no program, or more than one image.
pub fn open(layout: &BTreeMap<String, Vec<u8>>) -> io::Result<Opened> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let bytes = layout.get(&spec::blob_path(digest)).filter(|bytes| spec::digest(bytes) == digest);
        bytes.ok_or_else(|| wrong("a part of it is missing or damaged"))
    };
    let index: Value = serde_json::from_slice(layout.get("index.json").ok_or_else(|| wrong("it has no index.json"))?)?;
    let [manifest] = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(wrong("it does not hold one image"));
    };
    let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
    let manifest: Value = serde_json::from_slice(blob(manifest)?)?;
    let top = manifest["layers"].as_array().and_then(|layers| layers.last()).ok_or_else(|| wrong("it has no layer"))?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(GzDecoder::new(blob(top)?.as_slice())).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if let Some(name) = path.strip_prefix(&format!("{}/", &FOLDER[1..])).filter(|name| !name.is_empty()) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(name.to_owned(), bytes);
        }
    }
    let program = files.remove(BOOTSTRAP).ok_or_else(|| wrong("it has no program"))?;
    Ok(Opened { program, files, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    fn of(files: &BTreeMap<String, Vec<u8>>) -> io::Result<Layout> {
        let labels = BTreeMap::from([("title".to_owned(), "shop".to_owned())]);
        layout(&Image { program: b"program", architecture: Architecture::Arm64, labels: &labels }, files)
    }

    #[test]
    fn what_is_packed_is_found_again() {
        let files = BTreeMap::from([("binding.json".to_owned(), b"{}".to_vec())]);
        let packed = of(&files).unwrap();
        let opened = open(&packed.files).unwrap();
        assert_eq!((opened.program.as_slice(), &opened.files), (&b"program"[..], &files));
        assert_eq!(opened.digest, packed.digest);
        assert!(packed.unpacked > packed.size);

        let mut damaged = packed.files.clone();
        for bytes in damaged.iter_mut().filter(|(path, _)| path.starts_with("blobs/")).map(|(_, bytes)| bytes) {
            bytes.push(0);
        }
        assert!(open(&damaged).unwrap_err().to_string().contains("damaged"));
        assert!(open(&BTreeMap::new()).is_err());
    }

    #[test]
    fn nothing_takes_the_programs_name() {
        assert!(of(&BTreeMap::from([(BOOTSTRAP.to_owned(), Vec::new())])).is_err());
    }
}
