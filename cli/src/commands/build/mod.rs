//! `cargo updraft build`: source to files that a cloud takes. Everything that can be refused is refused before the linker
//! starts; what may be deployed has been linked and proved.

mod by_hand;
mod code;
mod engines;
#[cfg(test)]
pub(crate) mod fixture;
mod image;

use self::code::Packed;
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
use updraft_aws_deploy::Code;
use updraft_driver::{Checked, plan, proof};
use updraft_model::settings::Package as Packaging;
use updraft_model::{Artifacts, Diagnostic, Sink, ZERO_DIGEST};
use updraft_wire::binding::Engine;

/// Compiles the program for a cloud: a proved program in an image or a zip, and the manifests or the
/// template that run it
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// What to build for
    #[arg(short, long, value_name = "TARGET")]
    target: TargetName,
    /// Where manifests or template go [default: updraft/TARGET in the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write manifests or template without linking: with a digest of zeros, so that nobody can deploy them
    #[arg(long)]
    preview: bool,
}

pub(crate) fn run(command: &Build, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    let target = command.target.target();
    let triple = triple(command.target, global)?;
    let project = Project::load(global, &Compilation { triple: Some(triple.clone()), release: true })?;
    let checked = check::check(&project, global, Some(target), reporter)?;
    let job = Job {
        target: command.target,
        preview: command.preview,
        global,
        reporter,
        project: &project,
        checked: &checked,
        triple: &triple,
    };

    let preview = job.compile(ZERO_DIGEST)?; // what the target refuses, it refuses now
    let (artifacts, made) = match (command.preview, command.target) {
        (true, _) => (preview, None),
        (false, TargetName::Knative) => {
            let layout = image::layout(&job)?;
            (job.compile(&layout.digest)?, Some(Made::Image(layout)))
        }
        (false, TargetName::AwsLambda) => {
            let (artifacts, packed) = code::package(&job, &preview)?;
            (artifacts, Some(Made::Code(packed)))
        }
    };
    let folder = command.out.clone().unwrap_or_else(|| project.output_dir().join(target.id()));
    let mut files: Vec<(String, &[u8])> =
        artifacts.iter().map(|(path, artifact)| (path.to_owned(), artifact.bytes.as_slice())).collect();
    if let Some(Made::Code(packed)) = &made {
        files.extend(packed.files());
    }
    output::write(&project.output_dir(), &folder, files.iter().map(|(path, bytes)| (path.as_str(), *bytes)))?;
    reporter.status(
        if command.preview { "Previewed" } else { "Built" },
        &format_args!(
            "{} for {}: {} files in {} ({:.2} s)",
            checked.app.name,
            target.id(),
            files.len(),
            shown(&folder).display(),
            started.elapsed().as_secs_f64()
        ),
    );
    if made.is_some() {
        link::migrations::lock(&project, &checked.migrations, reporter)?;
    }
    match made {
        Some(Made::Image(layout)) => image::write(&job, &layout),
        Some(Made::Code(packed)) => {
            code::tell(&job, &packed, &artifacts, &folder);
            Ok(())
        }
        None => Ok(()),
    }
}

/// What Lambda runs, and all that was found out on the way to it.
pub(crate) struct Coded {
    pub(crate) checked: Checked,
    pub(crate) artifacts: Artifacts,
    /// What is uploaded.
    pub(crate) code: Code,
}

/// Builds for Lambda, or takes what `build` wrote, which is proved as a program that was linked just now is.
pub(crate) fn code(built: Option<&Path>, global: &Global, reporter: &Reporter) -> Result<Coded> {
    let target = TargetName::AwsLambda;
    let triple = triple(target, global)?;
    let project = Project::load(global, &Compilation { triple: Some(triple.clone()), release: true })?;
    let checked = check::check(&project, global, Some(target.target()), reporter)?;
    let job = Job { target, preview: false, global, reporter, project: &project, checked: &checked, triple: &triple };
    let (artifacts, packed) = match built {
        Some(path) => code::open(&job, path)?,
        None => {
            let preview = job.compile(ZERO_DIGEST)?;
            let made = code::package(&job, &preview)?;
            link::migrations::lock(&project, &checked.migrations, reporter)?;
            made
        }
    };
    let code = packed.code(checked.settings.aws_lambda.repository.clone());
    Ok(Coded { checked, artifacts, code })
}

/// The templates that an application becomes on AWS, without linking it: the main stack's, and those of parts by their names.
pub(crate) fn templates(
    global: &Global,
    reporter: &Reporter,
) -> Result<(serde_json::Value, BTreeMap<String, serde_json::Value>)> {
    let target = TargetName::AwsLambda;
    let triple = triple(target, global)?;
    let project = Project::load(global, &Compilation { triple: Some(triple.clone()), release: true })?;
    let checked = check::check(&project, global, Some(target.target()), reporter)?;
    let job = Job { target, preview: true, global, reporter, project: &project, checked: &checked, triple: &triple };
    let artifacts = job.compile(ZERO_DIGEST)?;
    let templates = crate::aws::templates(&artifacts);
    let read = |text: &[u8]| {
        serde_json::from_slice(text)
            .map_err(|error| Failure::Outside(format!("a template can't be read back: {error}")))
    };
    let parts = templates.parts.iter().map(|(name, text)| Ok((name.clone(), read(text)?)));
    Ok((read(&templates.main)?, parts.collect::<Result<_>>()?))
}

/// What is deployed beside the manifests.
enum Made {
    Image(updraft_image::Layout),
    Code(Packed),
}

/// What every step of a build needs to know.
struct Job<'a> {
    target: TargetName,
    preview: bool,
    global: &'a Global,
    reporter: &'a Reporter,
    project: &'a Project,
    checked: &'a Checked,
    triple: &'a str,
}

/// What is compiled for. Lambda's functions have an architecture of their own, which only the settings tell.
fn triple(target: TargetName, global: &Global) -> Result<String> {
    let triple = |architecture: &str| format!("{architecture}-unknown-linux-gnu");
    let host = triple(env::consts::ARCH);
    match target {
        TargetName::Knative => Ok(host),
        TargetName::AwsLambda => {
            let project = Project::load(global, &Compilation { triple: Some(host), release: true })?;
            Ok(triple(match check::settings(&project, global).aws_lambda.architecture {
                updraft_model::settings::Architecture::Arm64 => "aarch64",
                updraft_model::settings::Architecture::X86 => "x86_64",
            }))
        }
    }
}

impl Job<'_> {
    /// Plans and lowers; shows what the target has to say.
    fn compile(&self, digest: &str) -> Result<Artifacts> {
        let image = match self.target {
            TargetName::Knative => image::name(self)?,
            TargetName::AwsLambda => String::new(),
        };
        let plan = plan::plan(self.checked, image, digest.to_owned());
        let mut sink = Sink::default();
        let artifacts = self.target.target().compile(&plan, &mut sink);
        // What the target's own check said has been shown with the other findings.
        let news: Vec<Diagnostic> =
            sink.into_sorted().into_iter().filter(|finding| !self.checked.diagnostics.contains(finding)).collect();
        if digest == ZERO_DIGEST {
            self.reporter.diagnostics(&news, &self.checked.sources);
        }
        artifacts.ok_or(Failure::Diagnostics)
    }

    /// Links the program with these features of `updraft`, and proves it.
    fn program(&self, engines: &BTreeSet<&str>) -> Result<Vec<u8>> {
        let engines: Vec<&str> = engines.iter().copied().collect();
        link::migrations::refresh(self.project, &self.checked.migrations)?;
        let function = self.target == TargetName::AwsLambda;
        let request = link::Request { triple: self.triple, alone: self.is_alone(), function, engines: &engines };
        let binary = link::link(self.project, self.global, &request, self.reporter)?;
        let program =
            std::fs::read(&binary).map_err(|error| Failure::Outside(format!("{}: {error}", binary.display())))?;
        self.prove(&program)?;
        Ok(program)
    }

    /// Whether what runs the program gives it no library: an image of ours holds none.
    fn is_alone(&self) -> bool {
        match self.target {
            TargetName::Knative => true,
            TargetName::AwsLambda => self.checked.settings.aws_lambda.package == Packaging::Image,
        }
    }

    /// Compares a program with the source, and shows where they differ.
    fn prove(&self, program: &[u8]) -> Result {
        let differences = proof::compare(&self.checked.app, program);
        if !differences.is_empty() {
            self.reporter.diagnostics(&differences, &self.checked.sources);
            return Err(Failure::Diagnostics);
        }
        self.reporter.status(
            "Proved",
            &format_args!(
                "{} handlers and {} resources: binary and source agree",
                self.checked.app.handlers.len(),
                self.checked.app.resources.len()
            ),
        );
        Ok(())
    }
}

/// The feature of `updraft` that an engine takes.
fn feature(engine: &Engine) -> Option<&'static str> {
    match engine {
        Engine::Redis { .. } => Some("redis"),
        Engine::S3 { .. } | Engine::AwsS3 {} => Some("s3"),
        Engine::Postgres { .. } => Some("postgres"),
        Engine::Sqs {} => Some("sqs"),
        Engine::Sns {} => Some("sns"),
        Engine::DynamoDb {} => Some("dynamodb"),
        Engine::SecretsManager {} => Some("secrets-manager"),
        Engine::ParameterStore {} => Some("parameter-store"),
        Engine::Broker {} | Engine::File {} | Engine::Value {} | Engine::Hosts { .. } => None,
    }
}

/// A path as short as it can be said from here.
fn shown(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_owned(), Path::to_owned)
}
