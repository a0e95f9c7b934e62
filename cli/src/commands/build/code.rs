//! What Lambda runs: a zip of the program and its binding.

use super::{Job, feature, shown};
use crate::exit::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use updraft_aws_lambda::{CODE_PARAMETERS, TEMPLATE, takes_messages};
use updraft_image::zip::{self, Package};
use updraft_model::{Artifacts, Kind};
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
    let key = format!("{app}/{}.zip", package.sha256);
    let [bucket, code] = CODE_PARAMETERS;
    job.reporter.status("Upload", &format_args!("aws s3 cp {} s3://BUCKET/{key}", folder.join(FILE).display()));
    job.reporter.status(
        "Deploy",
        &format_args!(
            "aws cloudformation deploy --stack-name {app} --template-file {} --s3-bucket BUCKET --capabilities CAPABILITY_IAM \
             --parameter-overrides {bucket}=BUCKET {code}={key}",
            folder.join(TEMPLATE).display()
        ),
    );
}

fn file<'a>(artifacts: &'a Artifacts, name: &str) -> Result<&'a [u8]> {
    let mut all = artifacts.iter();
    all.find_map(|(path, artifact)| (path == name).then_some(artifact.bytes.as_slice()))
        .ok_or_else(|| Failure::Outside(format!("the target made no {name}")))
}

/// The features of `updraft` that the functions need: a program carries no engine that it doesn't use.
fn engines(job: &Job<'_>, binding: &Binding) -> BTreeSet<&'static str> {
    // Whoever takes messages puts them back, and gives them up.
    let takes = job.checked.app.handlers.iter().any(takes_messages);
    // Functions are units of their own, unless they are placed beside their callers.
    let mut grants = job.checked.app.handlers.iter().flat_map(|handler| &handler.grants);
    let calls = grants.any(|grant| grant.kind == Kind::Function);
    let bound = binding.resources.values().flat_map(BTreeMap::values).chain(&binding.once);
    let telemetry = job.checked.settings.telemetry.iter().filter_map(|telemetry| telemetry.endpoint.as_deref());
    let tls = telemetry.filter(|endpoint| endpoint.starts_with("https://")).map(|_| "client");
    let needed = [Some("lambda"), takes.then_some("sqs"), calls.then_some("invoke")];
    needed.into_iter().flatten().chain(bound.filter_map(feature)).chain(tls).collect()
}
