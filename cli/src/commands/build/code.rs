//! What Lambda runs: a zip of the program and its binding.

use super::{Job, feature, shown};
use crate::exit::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use updraft_aws_deploy::TAG;
use updraft_aws_lambda::{CODE_PARAMETERS, TEMPLATE};
use updraft_image::zip::{self, Package};
use updraft_model::{Artifacts, Handler, Kind};
use updraft_wire::aws::BINDING_FILE;
use updraft_wire::binding::Binding;

/// Its name, beside the template.
pub(super) const FILE: &str = "code.zip";

/// What a zip that is uploaded may have, unpacked, in bytes: Lambda's quota for a function's code (AWS, "Lambda quotas").
const UNPACKED_LIMIT: u64 = 250 << 20;

/// Links, proves and packs the program; with it, what the target makes of it.
pub(super) fn package(job: &Job<'_>, preview: &Artifacts) -> Result<(Artifacts, Package)> {
    let binding: Binding = serde_json::from_slice(file(preview, BINDING_FILE)?)
        .map_err(|error| Failure::Outside(format!("the binding can't be read back: {error}")))?;
    let program = job.program(&engines(job, &binding))?;
    let artifacts = job.compile(&format!("sha256:{}", zip::sha256(&program)))?;
    let beside = BTreeMap::from([(BINDING_FILE.to_owned(), file(&artifacts, BINDING_FILE)?.to_vec())]);
    let package = zip::package(&program, &beside)
        .map_err(|error| Failure::Outside(format!("the program can't be packed: {error}")))?;
    if package.unpacked > UNPACKED_LIMIT {
        return Err(Failure::Outside(format!(
            "the program has {} bytes, and Lambda takes {UNPACKED_LIMIT} at most: leave out what it does not need \
             (`cargo bloat`, `cargo tree`)",
            package.unpacked
        )));
    }
    Ok((artifacts, package))
}

/// Opens a zip that an earlier `build` wrote of this very source and these settings.
pub(super) fn open(job: &Job<'_>, path: &Path) -> Result<(Artifacts, Package)> {
    let wrong = |why: String| Failure::Usage(format!("{} can't be deployed: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let (program, files) = zip::open(&bytes).map_err(|error| wrong(format!("it is no zip of `build`'s: {error}")))?;
    let architecture = job.triple.split('-').next().unwrap_or_default();
    if machine(&program) != Some(architecture) {
        return Err(wrong(format!(
            "its program is not one of Linux on {architecture}, which the functions are to run on"
        )));
    }
    job.prove(&program)?;
    let artifacts = job.compile(&format!("sha256:{}", zip::sha256(&program)))?;
    if files.get(BINDING_FILE).map(Vec::as_slice) != Some(file(&artifacts, BINDING_FILE)?) {
        return Err(wrong(format!(
            "its {BINDING_FILE} is not what the source and Updraft.toml give now: build it again, with the same --env and features"
        )));
    }
    let unpacked = (program.len() + files.values().map(Vec::len).sum::<usize>()) as u64;
    Ok((artifacts, Package { sha256: zip::sha256(&bytes), bytes, unpacked }))
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
pub(super) fn tell(job: &Job<'_>, package: &Package, folder: &Path) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    job.reporter.status(
        "Code",
        &format_args!(
            "sha256:{} ({:.1} MB, {:.1} MB unpacked)",
            package.sha256,
            megabytes(package.bytes.len() as u64),
            megabytes(package.unpacked)
        ),
    );
    let (app, folder) = (&job.checked.app.name, shown(folder));
    let zip = folder.join(FILE);
    job.reporter.status("Deploy", &format_args!("cargo updraft deploy --target aws-lambda --code {}", zip.display()));
    // By hand, so that `deploy` knows the stack again.
    let key = format!("{app}/{}.zip", package.sha256);
    let [bucket, code] = CODE_PARAMETERS;
    job.reporter.detail(&format_args!(
        "or by hand: aws s3 cp {} s3://BUCKET/{key}\naws cloudformation deploy --stack-name {app} --template-file {} --s3-bucket BUCKET \
         --capabilities CAPABILITY_IAM --tags {TAG}={app} --parameter-overrides {bucket}=BUCKET {code}={key}",
        zip.display(),
        folder.join(TEMPLATE).display()
    ));
}

fn file<'a>(artifacts: &'a Artifacts, name: &str) -> Result<&'a [u8]> {
    let mut all = artifacts.iter();
    all.find_map(|(path, artifact)| (path == name).then_some(artifact.bytes.as_slice()))
        .ok_or_else(|| Failure::Outside(format!("the target made no {name}")))
}

/// The features of `updraft` that the functions need: a program carries no engine that it doesn't use.
fn engines(job: &Job<'_>, binding: &Binding) -> BTreeSet<&'static str> {
    // Whoever takes messages puts them back, and gives them up.
    let takes = job.checked.app.handlers.iter().any(Handler::takes_messages);
    // Functions are units of their own, unless they are placed beside their callers.
    let calls = binding.units.values().any(|unit| {
        let serves = |id: &str| unit.handlers.contains(id);
        let mut mine = job.checked.app.handlers.iter().filter(|it| serves(&it.id) || it.trigger.is_everywhere());
        mine.any(|handler| handler.grants.iter().any(|to| to.kind == Kind::Function && !serves(&to.resource)))
    });
    let bound = binding.resources.values().flat_map(BTreeMap::values).chain(&binding.once);
    let telemetry = job.checked.settings.telemetry.iter().filter_map(|telemetry| telemetry.endpoint.as_deref());
    let tls = telemetry.filter(|endpoint| endpoint.starts_with("https://")).map(|_| "client");
    let needed = [Some("lambda"), takes.then_some("sqs"), calls.then_some("invoke")];
    needed.into_iter().flatten().chain(bound.filter_map(feature)).chain(tls).collect()
}
