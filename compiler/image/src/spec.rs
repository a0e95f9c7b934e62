//! The documents of the OCI image specification, with their fields in a fixed order.

use crate::{Architecture, Layer};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io;

/// The file that says what a folder is.
pub(crate) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: [Descriptor; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize)]
struct Configuration<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    config: Execution<'a>,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Execution<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    pub(crate) entrypoint: [String; 1],
    pub(crate) working_dir: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'static str,
    diff_ids: Vec<&'a str>,
}

/// `sha256:…`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// Where a blob lies in the layout.
pub(crate) fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// The configuration: what to run, as whom.
pub(crate) fn config(architecture: Architecture, run: Execution<'_>, layers: &[Layer]) -> io::Result<Vec<u8>> {
    let configuration = Configuration {
        created: "1970-01-01T00:00:00Z",
        architecture: architecture.as_str(),
        os: "linux",
        config: run,
        rootfs: RootFs { r#type: "layers", diff_ids: layers.iter().map(|layer| layer.diff_id.as_str()).collect() },
    };
    Ok(serde_json::to_vec(&configuration)?)
}

/// The manifest: a configuration and its layers. Its digest is the image's.
pub(crate) fn manifest(config: &[u8], layers: &[Layer]) -> io::Result<Vec<u8>> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config: descriptor(CONFIG, config),
        layers: layers.iter().map(|layer| descriptor(LAYER, &layer.bytes)).collect(),
    };
    Ok(serde_json::to_vec(&manifest)?)
}

/// The list of the layout's images: one.
pub(crate) fn index(manifest: &[u8], architecture: Architecture) -> io::Result<Vec<u8>> {
    let platform = Some(Platform { architecture: architecture.as_str(), os: "linux" });
    let manifests = [Descriptor { platform, ..descriptor(MANIFEST, manifest) }];
    Ok(serde_json::to_vec(&Index { schema_version: 2, media_type: INDEX, manifests })?)
}

fn descriptor(media_type: &'static str, bytes: &[u8]) -> Descriptor {
    Descriptor { media_type, digest: digest(bytes), size: bytes.len() as u64, platform: None }
}
