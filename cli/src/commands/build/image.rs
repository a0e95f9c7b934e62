//! What a cluster runs: an image.

use super::{Job, feature, shown};
use crate::exit::{Failure, Result};
use crate::output;
use std::collections::{BTreeMap, BTreeSet};
use updraft_driver::{Checked, descriptors, plan};
use updraft_image::{Architecture, Image, Layout};
use updraft_model::ZERO_DIGEST;

/// The image of a preview whose settings name none: a domain that can't exist.
const PLACEHOLDER: &str = "registry.invalid";

/// Links, proves and packs the program.
pub(super) fn layout(job: &Job<'_>) -> Result<Layout> {
    let architecture = Architecture::of_triple(job.triple)
        .ok_or_else(|| Failure::Usage(format!("images can be built for x86_64 and aarch64, not for {}", job.triple)))?;
    let program = job.program(&engines(job.checked))?;
    let labels = BTreeMap::from([
        ("org.opencontainers.image.title".to_owned(), job.checked.app.name.clone()),
        ("dev.updraft.graph".to_owned(), descriptors::graph_hash(&job.checked.app)),
    ]);
    updraft_image::layout(&Image { program: &program, architecture, labels: &labels })
        .map_err(|error| Failure::Outside(format!("the image can't be packed: {error}")))
}

/// Writes it, and says how it is pushed.
pub(super) fn write(job: &Job<'_>, layout: &Layout) -> Result {
    let place = job.project.output_dir().join("image");
    let files = layout.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    output::write(&job.project.output_dir(), &place, files)?;
    let megabytes = layout.size as f64 / 1e6;
    job.reporter.status("Image", &format_args!("{} ({megabytes:.1} MB)", layout.digest));
    let name = name(job)?;
    job.reporter.status(
        "Push",
        &format_args!("skopeo copy --preserve-digests oci:{} docker://{name}", shown(&place).display()),
    );
    Ok(())
}

/// The features of `updraft` that bindings and telemetry need: a binary carries no engine that its target doesn't use.
fn engines(checked: &Checked) -> BTreeSet<&'static str> {
    let plan = plan::plan(checked, String::new(), ZERO_DIGEST.to_owned());
    let dead_letters = checked.settings.knative.dead_letters.iter().map(|bound| &bound.engine);
    let once = checked.settings.once.iter().map(|bound| &bound.engine);
    let telemetry = checked.settings.telemetry.iter().filter_map(|telemetry| telemetry.endpoint.as_deref());
    let tls = telemetry.filter(|endpoint| endpoint.starts_with("https://")).map(|_| "client");
    let engines = plan.engines.values().chain(dead_letters).chain(once).filter_map(feature);
    // What is in front of a unit may speak it.
    engines.chain(tls).chain(["http2"]).collect()
}

/// The repository that manifests name.
pub(super) fn name(job: &Job<'_>) -> Result<String> {
    match &job.checked.settings.knative.image {
        Some(name) => Ok(name.clone()),
        None if job.preview => Ok(format!("{PLACEHOLDER}/{}", job.checked.app.name)),
        None => {
            let id = job.target.target().id();
            Err(Failure::Usage(format!(
                "no image for {id}: say in Updraft.toml where it will be pushed\n\n[target.{id}]\nimage = \"registry.example.com/{}\"\n\n\
                 or look at the manifests with --preview",
                job.checked.app.name
            )))
        }
    }
}
