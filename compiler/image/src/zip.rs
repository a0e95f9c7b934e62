//! A zip of Lambda's: `bootstrap`, which Lambda starts, and files beside it in `/var/task`. The same program and files give
//! the same bytes: entries are sorted, their time is the zip format's first.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// What Lambda starts in a runtime without a language (`provided.al2023`).
pub const BOOTSTRAP: &str = "bootstrap";

/// A function's code.
#[derive(Clone, PartialEq, Eq)]
pub struct Package {
    /// The zip.
    pub bytes: Vec<u8>,
    /// Hex SHA-256 of it: what an upload is named by.
    pub sha256: String,
    /// Bytes that it takes unpacked, which Lambda limits too.
    pub unpacked: u64,
}

/// Packs a program, with files by their names.
///
/// # Errors
/// If a file is called as the program is, or a name is not one of the format's; writing to memory can't fail.
pub fn package(program: &[u8], files: &BTreeMap<String, Vec<u8>>) -> io::Result<Package> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut unpacked = 0;
    let mut all: BTreeMap<&str, (&[u8], u32)> =
        files.iter().map(|(name, bytes)| (name.as_str(), (bytes.as_slice(), 0o644))).collect();
    if all.insert(BOOTSTRAP, (program, 0o755)).is_some() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a file is called as the program is"));
    }
    for (name, (bytes, mode)) in all {
        zip.start_file(name, options.unix_permissions(mode))?;
        zip.write_all(bytes)?;
        unpacked += bytes.len() as u64;
    }
    let bytes = zip.finish()?.into_inner();
    let sha256 = sha256(&bytes);
    Ok(Package { bytes, sha256, unpacked })
}

/// Takes a zip apart that [`package`] made: the program, and the files beside it.
///
/// # Errors
/// If it is no zip, or holds no program.
pub fn open(zip: &[u8]) -> io::Result<(Vec<u8>, BTreeMap<String, Vec<u8>>)> {
    let mut archive = ZipArchive::new(Cursor::new(zip))?;
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at)?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(entry.name()?.into_owned(), bytes);
    }
    let program =
        files.remove(BOOTSTRAP).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no program"));
    Ok((program?, files))
}

/// Hex SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed() -> Package {
        let files = BTreeMap::from([("binding.json".to_owned(), b"{}".to_vec())]);
        package(&[7; 100_000], &files).unwrap()
    }

    #[test]
    fn what_is_packed_is_found_again() {
        let package = packed();
        assert!(package.bytes.len() < 2_000, "{} bytes", package.bytes.len());
        assert_eq!(package.unpacked, 100_002);
        let mut zip = ZipArchive::new(Cursor::new(&package.bytes)).unwrap();
        let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["binding.json", "bootstrap"]);
        let mut program = zip.by_name(BOOTSTRAP).unwrap();
        assert_eq!(program.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        let mut bytes = Vec::new();
        program.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 100_000]);
        let (program, files) = open(&package.bytes).unwrap();
        assert_eq!((program, files["binding.json"].as_slice()), (bytes, &b"{}"[..]));
        assert!(open(b"no zip").is_err());
    }

    #[test]
    fn the_same_gives_the_same_bytes() {
        assert_eq!(packed().sha256, packed().sha256);
        assert_eq!(packed().sha256.len(), 64);
    }

    #[test]
    fn nothing_takes_the_programs_name() {
        let files = BTreeMap::from([(BOOTSTRAP.to_owned(), Vec::new())]);
        assert!(package(b"program", &files).is_err());
    }
}
