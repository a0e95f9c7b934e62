//! An OCI image layout as a sorted map of files, and what Lambda takes, [`zip`] or [`function`]: bytes in, bytes out. No daemon,
//! no clock, no host.
//!
//! The same program gives the same digest, wherever and whenever it is packed: times are zero, entries are sorted, owners
//! are numbers, the certificates come from a crate whose version the lock file pins. Two layers: what an empty image needs
//! (the same for every application, so that registries and nodes keep one copy), then the program.

mod base;
pub mod function;
mod layer;
mod spec;
pub mod zip;

use layer::Layer;
use spec::Execution;
use std::collections::BTreeMap;
use std::io;

/// Where the program lies in the image.
pub const PROGRAM: &str = "/app";

/// The user and group that it runs as. High enough for policies that ask for 10000 or more, and a number, so that
/// `runAsNonRoot` can see that it isn't root.
pub const USER: u32 = 65532;

/// What to pack.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// A static executable.
    pub program: &'a [u8],
    /// What it runs on.
    pub architecture: Architecture,
    /// Labels of the image's configuration, as `org.opencontainers.image.title`.
    pub labels: &'a BTreeMap<String, String>,
}

/// What a program runs on, in the words of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

impl Architecture {
    /// `amd64` or `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }

    /// The architecture of a target triple, if images of ours can have it.
    pub fn of_triple(triple: &str) -> Option<Architecture> {
        match triple.split('-').next()? {
            "x86_64" => Some(Architecture::Amd64),
            "aarch64" => Some(Architecture::Arm64),
            _ => None,
        }
    }
}

/// A packed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `sha256:…` of the manifest: what a registry calls the image.
    pub digest: String,
    /// Path within the layout → contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Bytes that a registry stores: the compressed layers.
    pub size: u64,
    /// Bytes that they take unpacked.
    pub unpacked: u64,
}

/// Packs a program.
///
/// # Errors
/// None that a caller could cause: writing to memory is what could fail.
pub fn layout(image: &Image<'_>) -> io::Result<Layout> {
    let program = layer::Entry::file(PROGRAM.trim_start_matches('/'), 0o755, image.program);
    let run = Execution {
        user: Some(format!("{USER}:{USER}")),
        env: Vec::new(),
        entrypoint: [PROGRAM.to_owned()],
        working_dir: "/",
        labels: image.labels,
    };
    packed(image.architecture, run, &[program])
}

/// What is run, on what every image of ours has.
fn packed(architecture: Architecture, run: Execution<'_>, entries: &[layer::Entry<'_>]) -> io::Result<Layout> {
    let layers = [layer::pack(&base::entries())?, layer::pack(entries)?];
    let mut files = BTreeMap::new();
    let config = spec::config(architecture, run, &layers)?;
    let manifest = spec::manifest(&config, &layers)?;
    let digest = spec::digest(&manifest);
    let size = layers.iter().map(|layer| layer.bytes.len() as u64).sum();
    let unpacked = layers.iter().map(|layer| layer.unpacked).sum();

    files.insert("oci-layout".to_owned(), spec::LAYOUT.as_bytes().to_vec());
    files.insert("index.json".to_owned(), spec::index(&manifest, architecture)?);
    for blob in layers.into_iter().map(|layer| layer.bytes).chain([config, manifest]) {
        files.insert(spec::blob_path(&spec::digest(&blob)), blob);
    }
    Ok(Layout { digest, files, size, unpacked })
}
