//! A layer: a tar archive that depends on its entries alone, compressed the same way every time.

use crate::spec;
use flate2::{Compression, GzBuilder};
use std::borrow::Cow;
use std::io::{self, Write as _};
use tar::{EntryType, Header};

/// A packed layer.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Compressed.
    pub(crate) bytes: Vec<u8>,
    /// Digest of what was compressed, which the configuration names.
    pub(crate) diff_id: String,
    /// Bytes before they were compressed.
    pub(crate) unpacked: u64,
}

/// A file or folder of a layer; root owns all of them, so that a program can't change what it runs from.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    path: &'a str,
    mode: u32,
    contents: Option<Cow<'a, [u8]>>,
}

impl<'a> Entry<'a> {
    /// A file.
    pub(crate) fn file(path: &'a str, mode: u32, contents: impl Into<Cow<'a, [u8]>>) -> Self {
        Entry { path, mode, contents: Some(contents.into()) }
    }

    /// A folder; its path ends with `/`.
    pub(crate) fn folder(path: &'a str, mode: u32) -> Self {
        Entry { path, mode, contents: None }
    }
}

/// Packs entries, sorted by path, so that a folder stands before what is in it.
pub(crate) fn pack(entries: &[Entry<'_>]) -> io::Result<Layer> {
    let mut entries: Vec<&Entry<'_>> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.path);

    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let contents = entry.contents.as_deref().unwrap_or_default();
        let mut header = Header::new_ustar();
        header.set_entry_type(if entry.contents.is_some() { EntryType::Regular } else { EntryType::Directory });
        header.set_path(entry.path)?;
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        tar.append(&header, contents)?;
    }
    let tar = tar.into_inner()?;

    // 255: the operating system is unknown. Neither a name nor a time gets into the header.
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::default());
    gzip.write_all(&tar)?;
    Ok(Layer { bytes: gzip.finish()?, diff_id: spec::digest(&tar), unpacked: tar.len() as u64 })
}
