//! `cargo updraft build`: source to files that a cloud takes. Everything that can be refused is refused before the linker
//! starts; what may be deployed has been linked and proved.

use super::check;
use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::link;
use crate::output;
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use crate::targets::TargetName;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Instant;
use updraft_driver::{Checked, descriptors, plan, proof};
use updraft_image::{Architecture, Image, Layout};
use updraft_model::{Artifacts, Diagnostic, Sink, ZERO_DIGEST};
use updraft_wire::binding::Engine;

/// The image of a preview whose settings name none: a domain that can't exist.
const PLACEHOLDER: &str = "registry.invalid";

/// Compiles the program for a cloud: a proved static binary in an image, and the manifests that run it
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// What to build for
    #[arg(short, long, value_name = "TARGET")]
    target: TargetName,
    /// Where the manifests go [default: updraft/TARGET in the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the manifests without linking: with a digest of zeros, so that nobody can deploy them
    #[arg(long)]
    preview: bool,
}

pub(crate) fn run(command: &Build, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    let target = command.target.target();
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let project = Project::load(global, &Compilation { triple: Some(triple.clone()), release: true })?;
    let checked = check::check(&project, global, Some(target), reporter)?;
    let folder = command.out.clone().unwrap_or_else(|| project.output_dir().join(target.id()));

    let compile = |digest: &str| compile(command, &checked, digest, reporter);
    let (artifacts, image) = if command.preview {
        (compile(ZERO_DIGEST)?, None)
    } else {
        compile(ZERO_DIGEST)?; // what the target refuses, it refuses now
        let layout = image(&project, &checked, global, &triple, reporter)?;
        (compile(&layout.digest)?, Some(layout))
    };
    output::write(
        &project.output_dir(),
        &folder,
        artifacts.iter().map(|(path, artifact)| (path, artifact.bytes.as_slice())),
    )?;
    reporter.status(
        if command.preview { "Previewed" } else { "Built" },
        &format_args!(
            "{} for {}: {} files in {} ({:.2} s)",
            checked.app.name,
            target.id(),
            artifacts.iter().count(),
            shown(&folder).display(),
            started.elapsed().as_secs_f64()
        ),
    );
    if let Some(layout) = image {
        let place = project.output_dir().join("image");
        output::write(
            &project.output_dir(),
            &place,
            layout.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
        )?;
        let megabytes = layout.size as f64 / 1e6;
        reporter.status("Image", &format_args!("{} ({megabytes:.1} MB)", layout.digest));
        link::migrations::lock(&project, &checked.migrations, reporter)?;
        let name = image_name(command, &checked)?;
        reporter.status(
            "Push",
            &format_args!("skopeo copy --preserve-digests oci:{} docker://{name}", shown(&place).display()),
        );
    }
    Ok(())
}

/// Plans and lowers; shows what the target has to say.
fn compile(command: &Build, checked: &Checked, digest: &str, reporter: &Reporter) -> Result<Artifacts> {
    let plan = plan::plan(checked, image_name(command, checked)?, digest.to_owned());
    let mut sink = Sink::default();
    let artifacts = command.target.target().compile(&plan, &mut sink);
    // What the target's own check said has been shown with the other findings.
    let news: Vec<Diagnostic> =
        sink.into_sorted().into_iter().filter(|finding| !checked.diagnostics.contains(finding)).collect();
    if digest == ZERO_DIGEST {
        reporter.diagnostics(&news, &checked.sources);
    }
    artifacts.ok_or(Failure::Diagnostics)
}

/// Links, proves and packs the program.
fn image(project: &Project, checked: &Checked, global: &Global, triple: &str, reporter: &Reporter) -> Result<Layout> {
    let architecture = Architecture::of_triple(triple)
        .ok_or_else(|| Failure::Usage(format!("images can be built for x86_64 and aarch64, not for {triple}")))?;
    let engines = engines(checked);
    let engines: Vec<&str> = engines.iter().map(String::as_str).collect();
    link::migrations::refresh(project, &checked.migrations)?;
    let binary = link::link(project, global, &link::Request { triple, engines: &engines }, reporter)?;
    let program = std::fs::read(&binary).map_err(|error| Failure::Outside(format!("{}: {error}", binary.display())))?;
    let differences = proof::compare(&checked.app, &program);
    if !differences.is_empty() {
        reporter.diagnostics(&differences, &checked.sources);
        return Err(Failure::Diagnostics);
    }
    reporter.status(
        "Proved",
        &format_args!(
            "{} handlers and {} resources: binary and source agree",
            checked.app.handlers.len(),
            checked.app.resources.len()
        ),
    );
    let labels = BTreeMap::from([
        ("org.opencontainers.image.title".to_owned(), checked.app.name.clone()),
        ("dev.updraft.graph".to_owned(), descriptors::graph_hash(&checked.app)),
    ]);
    updraft_image::layout(&Image { program: &program, architecture, labels: &labels })
        .map_err(|error| Failure::Outside(format!("the image can't be packed: {error}")))
}

/// The features of `updraft` that bindings and telemetry need: a binary carries no engine that its target doesn't use.
fn engines(checked: &Checked) -> BTreeSet<String> {
    let plan = plan::plan(checked, String::new(), ZERO_DIGEST.to_owned());
    let dead_letters = checked.settings.knative.dead_letters.iter().map(|bound| &bound.engine);
    let once = checked.settings.once.iter().map(|bound| &bound.engine);
    let telemetry = checked.settings.telemetry.iter().filter_map(|telemetry| telemetry.endpoint.as_deref());
    let tls = telemetry.filter(|endpoint| endpoint.starts_with("https://")).map(|_| "client");
    plan.engines
        .values()
        .chain(dead_letters)
        .chain(once)
        .filter_map(|engine| match engine {
            Engine::Redis { .. } => Some("redis"),
            Engine::S3 { .. } => Some("s3"),
            Engine::Postgres { .. } => Some("postgres"),
            Engine::Broker {} | Engine::File {} | Engine::Value {} | Engine::Hosts { .. } => None,
            Engine::Sqs {} => Some("sqs"),
            Engine::Sns {} => Some("sns"),
            Engine::DynamoDb {} => Some("dynamodb"),
            Engine::AwsS3 {} => Some("s3"),
            Engine::SecretsManager {} => Some("secrets-manager"),
        })
        .chain(tls)
        .map(str::to_owned)
        .collect()
}

/// The repository that manifests name.
fn image_name(command: &Build, checked: &Checked) -> Result<String> {
    let named = match command.target {
        TargetName::Knative => checked.settings.knative.image.clone(),
    };
    match named {
        Some(name) => Ok(name),
        None if command.preview => Ok(format!("{PLACEHOLDER}/{}", checked.app.name)),
        None => {
            let id = command.target.target().id();
            Err(Failure::Usage(format!(
                "no image for {id}: say in Updraft.toml where it will be pushed\n\n[target.{id}]\nimage = \"registry.example.com/{}\"\n\n\
                 or look at the manifests with --preview",
                checked.app.name
            )))
        }
    }
}

/// A path as short as it can be said from here.
fn shown(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_owned(), Path::to_owned)
}
