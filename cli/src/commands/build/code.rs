//! What Lambda runs: the program and its binding, in a zip or an image.

use super::by_hand::{self, Parts};
use super::{Job, engines::engines, shown};
use crate::exit::{Failure, Result};
use std::collections::BTreeMap;
use std::path::Path;
use updraft_aws_deploy::{Code, Image};
use updraft_aws_lambda::{CODE_PARAMETERS, IMAGE_BYTES, default_stack};
use updraft_driver::descriptors;
use updraft_image::zip::{self, Package};
use updraft_image::{Architecture, Layout, function};
use updraft_model::Artifacts;
use updraft_model::settings::Package as Packaging;
use updraft_wire::aws::BINDING_FILE;
use updraft_wire::binding::Binding;

/// The zip's name, beside the template.
const ZIP: &str = "code.zip";
/// The image's folder, beside the template.
const IMAGE: &str = "image";

/// What a zip that is uploaded may have, unpacked, in bytes: Lambda's quota for a function's code (AWS, "Lambda quotas").
const ZIP_BYTES: u64 = 250 << 20;

/// A program and its binding, packed.
pub(crate) enum Packed {
    Zip(Package),
    Image(Layout),
}

impl Packed {
    /// What it is made of, to be written beside the template.
    pub(super) fn files(&self) -> Vec<(String, &[u8])> {
        match self {
            Packed::Zip(package) => vec![(ZIP.to_owned(), &package.bytes)],
            Packed::Image(layout) => {
                layout.files.iter().map(|(path, bytes)| (format!("{IMAGE}/{path}"), bytes.as_slice())).collect()
            }
        }
    }

    /// The same for whoever deploys it.
    pub(crate) fn code(self, repository: Option<String>) -> Code {
        match self {
            Packed::Zip(package) => Code::Zip { bytes: package.bytes.into(), sha256: package.sha256 },
            Packed::Image(layout) => Code::Image(Image { digest: layout.digest, files: layout.files, repository }),
        }
    }

    /// Bytes, packed and unpacked.
    fn sizes(&self) -> (u64, u64) {
        match self {
            Packed::Zip(package) => (package.bytes.len() as u64, package.unpacked),
            Packed::Image(layout) => (layout.size, layout.unpacked),
        }
    }

    /// What Lambda takes at most, unpacked.
    fn limit(&self) -> u64 {
        match self {
            Packed::Zip(_) => ZIP_BYTES,
            Packed::Image(_) => IMAGE_BYTES,
        }
    }
}

/// Links, proves and packs the program; with it, what the target makes of it.
pub(super) fn package(job: &Job<'_>, preview: &Artifacts) -> Result<(Artifacts, Packed)> {
    let binding: Binding = serde_json::from_slice(file(preview, BINDING_FILE)?)
        .map_err(|error| Failure::Outside(format!("the binding can't be read back: {error}")))?;
    let program = job.program(&engines(job.checked, &binding))?;
    let artifacts = job.compile(&format!("sha256:{}", zip::sha256(&program)))?;
    let packed = pack(job, &program, file(&artifacts, BINDING_FILE)?)?;
    let ((_, unpacked), limit) = (packed.sizes(), packed.limit());
    if unpacked > limit {
        return Err(Failure::Outside(format!(
            "the program has {unpacked} bytes, and Lambda takes {limit} at most: leave out what it does not need (`cargo bloat`, \
             `cargo tree`)"
        )));
    }
    Ok((artifacts, packed))
}

/// Packs a program with its binding, as the settings say.
fn pack(job: &Job<'_>, program: &[u8], binding: &[u8]) -> Result<Packed> {
    let beside = BTreeMap::from([(BINDING_FILE.to_owned(), binding.to_vec())]);
    let packed = match job.checked.settings.aws_lambda.package {
        Packaging::Zip => zip::package(program, &beside).map(Packed::Zip),
        Packaging::Image => {
            let architecture = Architecture::of_triple(job.triple)
                .ok_or_else(|| Failure::Usage(format!("images can't be built for {}", job.triple)))?;
            let labels = BTreeMap::from([
                ("org.opencontainers.image.title".to_owned(), job.checked.app.name.clone()),
                ("dev.updraft.graph".to_owned(), descriptors::graph_hash(&job.checked.app)),
            ]);
            let image = updraft_image::Image { program, architecture, labels: &labels };
            function::layout(&image, &beside).map(Packed::Image)
        }
    };
    packed.map_err(|error| Failure::Outside(format!("the program can't be packed: {error}")))
}

/// Opens what an earlier `build` wrote of this very source and these settings: a zip, or an image's folder.
pub(super) fn open(job: &Job<'_>, path: &Path) -> Result<(Artifacts, Packed)> {
    let wrong = |why: String| Failure::Usage(format!("{} can't be deployed: {why}", path.display()));
    let none = |error: std::io::Error| wrong(format!("it is none of `build`'s: {error}"));
    let kind = job.checked.settings.aws_lambda.package;
    let unread = |error: std::io::Error| wrong(format!("{error}; {}", asked_for(kind)));
    let (program, files, given) = match kind {
        Packaging::Zip => {
            let bytes = std::fs::read(path).map_err(unread)?;
            let (program, files) = zip::open(&bytes).map_err(none)?;
            let unpacked = (program.len() + files.values().map(Vec::len).sum::<usize>()) as u64;
            (program, files, Given::Zip(Package { sha256: zip::sha256(&bytes), bytes, unpacked }))
        }
        Packaging::Image => {
            let opened = function::open(&layout(path).map_err(unread)?).map_err(none)?;
            (opened.program, opened.files, Given::Image(opened.digest))
        }
    };
    let architecture = job.triple.split('-').next().unwrap_or_default();
    if machine(&program) != Some(architecture) {
        return Err(wrong(format!(
            "its program is not one of Linux on {architecture}, which the functions are to run on"
        )));
    }
    job.prove(&program)?;
    let artifacts = job.compile(&format!("sha256:{}", zip::sha256(&program)))?;
    let binding = file(&artifacts, BINDING_FILE)?;
    if files.get(BINDING_FILE).map(Vec::as_slice) != Some(binding) {
        return Err(wrong(format!(
            "its {BINDING_FILE} is not what the source and Updraft.toml give now: build it again, with the same --env and features"
        )));
    }
    let packed = match given {
        Given::Zip(package) => Packed::Zip(package),
        // The same program is packed to the same bytes: nothing else is in it then.
        Given::Image(digest) => match pack(job, &program, binding)? {
            Packed::Image(layout) if layout.digest == digest => Packed::Image(layout),
            _ => return Err(wrong("this version of `build` packs it otherwise: build it again".to_owned())),
        },
    };
    Ok((artifacts, packed))
}

/// What was opened.
enum Given {
    Zip(Package),
    Image(String),
}

/// What `[target.aws-lambda] package` makes of `--code`.
fn asked_for(kind: Packaging) -> String {
    match kind {
        Packaging::Zip => format!("functions' code is a zip: `build` writes {ZIP}"),
        Packaging::Image => format!("functions' code is an image: `build` writes the folder {IMAGE}"),
    }
}

/// The files of an image's folder, by their paths in it.
fn layout(folder: &Path) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for path in ["index.json", "oci-layout"] {
        files.insert(path.to_owned(), std::fs::read(folder.join(path))?);
    }
    for blob in std::fs::read_dir(folder.join("blobs/sha256"))? {
        let blob = blob?;
        files.insert(format!("blobs/sha256/{}", blob.file_name().display()), std::fs::read(blob.path())?);
    }
    Ok(files)
}

/// What a program runs on, in a triple's word: it stands at a place of its own in each ELF file.
fn machine(program: &[u8]) -> Option<&'static str> {
    match (program.get(..4)?, program.get(18..20)?) {
        (b"\x7fELF", [0x3e, 0]) => Some("x86_64"),
        (b"\x7fELF", [0xb7, 0]) => Some("aarch64"),
        _ => None,
    }
}

/// Says what there is, and how it is deployed.
pub(super) fn tell(job: &Job<'_>, packed: &Packed, artifacts: &Artifacts, folder: &Path) {
    let (size, unpacked) = packed.sizes();
    let [size, unpacked, limit] = [size, unpacked, packed.limit()].map(|bytes| bytes as f64 / 1e6);
    let (what, digest, file) = match packed {
        Packed::Zip(package) => ("Code", format!("sha256:{}", package.sha256), ZIP),
        Packed::Image(layout) => ("Image", layout.digest.clone(), IMAGE),
    };
    let of = format!("{digest} ({size:.1} MB, {unpacked:.1} MB unpacked, of {limit:.0} that Lambda takes)");
    job.reporter.status(what, &of);
    let parts = Parts::of(artifacts);
    parts.tell(job.reporter);
    let (app, folder) = (&job.checked.app.name, shown(folder));
    let code = folder.join(file);
    job.reporter.status("Deploy", &format_args!("cargo updraft deploy --target aws-lambda --code {}", code.display()));
    // By hand, so that `deploy` knows the stack again.
    let [bucket, key, image] = CODE_PARAMETERS;
    let (put, parameters) = match packed {
        Packed::Zip(package) => {
            let place = format!("{app}/{}.zip", package.sha256);
            (format!("aws s3 cp {} s3://BUCKET/{place}", code.display()), format!("{bucket}=BUCKET {key}={place}"))
        }
        Packed::Image(layout) => (
            format!("skopeo copy --preserve-digests oci:{} docker://REPOSITORY", code.display()),
            format!("{image}=REPOSITORY@{}", layout.digest),
        ),
    };
    let stack = default_stack(&job.checked.app, &job.checked.settings);
    let commands = by_hand::commands(&parts, (app, &stack), &folder, &parameters);
    job.reporter.detail(&format_args!("or by hand: {put}"));
    commands.iter().for_each(|command| job.reporter.detail(command));
}

fn file<'a>(artifacts: &'a Artifacts, name: &str) -> Result<&'a [u8]> {
    let mut all = artifacts.iter();
    all.find_map(|(path, artifact)| (path == name).then_some(artifact.bytes.as_slice()))
        .ok_or_else(|| Failure::Outside(format!("the target made no {name}")))
}
