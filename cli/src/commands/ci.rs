//! `cargo updraft ci`: a pipeline that checks, tests and deploys, and the role that it deploys with.

use super::{build, check};
use crate::args::Global;
use crate::aws::{self, Place};
use crate::exit::{Failure, Result};
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use clap::ValueEnum;
use handlebars::Handlebars;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use updraft_aws_deploy::{Deployer, Issuer};
use updraft_model::settings::Architecture;

/// Writes a pipeline that checks, tests and deploys, and the role that it deploys with: no key is kept anywhere
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The role is a template of CloudFormation's own, with the rights that this very application takes today and no others: its stacks, \
buckets and secrets are named one by one. Whoever may make roles deploys it once; what is to be done is said when it is written.\n\n\
Write it again, and deploy it, before a version with a new kind of resource, another bucket, secret or stack (`build` says which \
stacks there are; an application gets another one by growing, or as an image): `deploy` says which right is missing. Stacks that such \
a version has no more it changes and deletes all the same, by their tag: going back to the version before takes that one's role. \
Before a version that has a kind of resource less, the other way round: deploy that, then write it again.\n\n\
With `[target.aws-lambda] permissions_boundary = \"NAME\"` the template also makes a policy of that name, and the role gives the \
application's functions no rights beyond it.")]
pub(crate) struct Ci {
    /// Whose pipelines
    service: Service,
    #[command(flatten)]
    place: Place,
    /// Where to deploy to
    #[arg(long, value_name = "REGION", env = "AWS_REGION")]
    region: String,
    /// The branch that is deployed
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// The repository of updraft, to install the command from; not needed where it is in the workspace itself
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// The commit or tag of it. What runs with the role must be what somebody looked at
    #[arg(long, value_name = "REV", requires = "git")]
    rev: Option<String>,
    /// Write over files that say something else
    #[arg(long)]
    force: bool,
}

/// Whose pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
}

/// What the templates know.
#[derive(Debug, Serialize)]
struct Context<'a> {
    name: &'a str,
    /// What is tested: `--package shop`.
    tests: String,
    branch: &'a str,
    region: &'a str,
    stack: &'a str,
    environment: &'a str,
    /// Of the command: `--package shop --env prod`.
    arguments: String,
    /// How the command is installed, if it has to be.
    install: Option<String>,
    /// A machine of the functions' own architecture, so that nothing is compiled for another.
    runner: Option<&'static str>,
    /// Where the pipeline is written.
    file: &'static str,
    /// Where the role's template is.
    deployer: &'static str,
    /// Whether it is so long that CloudFormation reads it from a bucket alone.
    from_bucket: bool,
}

/// A template that is handed over itself, in bytes (AWS, "CloudFormation quotas").
const LARGEST_HANDED_OVER: usize = 51_200;

const GITHUB: &str = include_str!("../../templates/ci/github.yml.hbs");
const GITLAB: &str = include_str!("../../templates/ci/gitlab.yml.hbs");

impl Service {
    fn pipeline(self) -> &'static str {
        match self {
            Service::Github => ".github/workflows/updraft.yml",
            Service::Gitlab => ".gitlab/updraft.yml",
        }
    }

    fn deployer(self) -> &'static str {
        match self {
            Service::Github => ".github/updraft/deployer.json",
            Service::Gitlab => ".gitlab/updraft/deployer.json",
        }
    }

    fn issuer(self) -> Issuer {
        match self {
            Service::Github => Issuer::GitHub,
            Service::Gitlab => Issuer::GitLab,
        }
    }

    /// Hosted machines; GitLab's runners of x86-64 need no tag.
    fn runner(self, architecture: Architecture) -> Option<&'static str> {
        match (self, architecture) {
            (Service::Github, Architecture::Arm64) => Some("ubuntu-24.04-arm"),
            (Service::Github, Architecture::X86) => Some("ubuntu-24.04"),
            (Service::Gitlab, Architecture::Arm64) => Some("saas-linux-small-arm64"),
            (Service::Gitlab, Architecture::X86) => None,
        }
    }
}

pub(crate) fn run(command: &Ci, global: &Global, reporter: &Reporter) -> Result {
    let names = aws::names(global, &command.place)?;
    let project = Project::load(global, &Compilation::default())?;
    for (what, text) in [("--branch", &command.branch), ("--region", &command.region)] {
        plain(text).map_err(|why| Failure::Usage(format!("{what} {text}: {why}")))?;
    }
    let (template, parts) = build::templates(global, reporter)?;
    let root = repository(&project.workspace_root);
    let settings = check::settings(&project, global).aws_lambda;
    let deployer = Deployer {
        app: &names.app,
        stack: &names.stack,
        bucket: names.bucket.as_deref(),
        repository: settings.repository.as_deref(),
        template: &template,
        parts: &parts,
        issuer: command.service.issuer(),
    };
    let role = deployer.template().map_err(|why| Failure::Outside(format!("{why}\n\nNothing was written.")))?;
    let role = format!("{role:#}\n");
    let context = Context {
        name: &names.app,
        branch: &command.branch,
        region: &command.region,
        stack: &names.stack,
        environment: global.env.as_deref().unwrap_or("production"),
        arguments: arguments(&project, global, &root),
        tests: manifest(&project, &root)
            .into_iter()
            .chain(["--package".to_owned(), project.package.clone()])
            .collect::<Vec<_>>()
            .join(" "),
        install: install(command, &project)?,
        runner: command.service.runner(settings.architecture),
        file: command.service.pipeline(),
        deployer: command.service.deployer(),
        from_bucket: role.len() > LARGEST_HANDED_OVER,
    };
    let pipeline = render(command.service, &context).map_err(|error| Failure::Outside(error.to_string()))?;
    let files = [(command.service.pipeline(), pipeline), (command.service.deployer(), role)];
    for (path, text) in &files {
        let there = fs::read_to_string(root.join(path)).ok();
        if there.is_some_and(|there| there != *text) && !command.force {
            return Err(Failure::Usage(format!(
                "{path} is there already, and says something else: look at it, then say --force"
            )));
        }
    }
    for (path, text) in &files {
        let file = root.join(path);
        let written = fs::create_dir_all(file.parent().unwrap_or(&root)).and_then(|()| fs::write(&file, text));
        written.map_err(|error| Failure::Outside(format!("{}: {error}", file.display())))?;
        reporter.status("Written", path);
    }
    reporter.result(&next(command.service, &context));
    Ok(())
}

/// What is left to do by hand, once.
fn next(service: Service, context: &Context<'_>) -> String {
    let Context { stack, region, deployer, branch, environment, file, from_bucket, .. } = context;
    // Any bucket of the account's in that region: the template alone goes through it.
    let through = if *from_bucket { " --s3-bucket BUCKET" } else { "" };
    let subject = match service {
        Service::Github => format!("repo:OWNER/REPOSITORY:environment:{environment}"),
        Service::Gitlab => format!("project_path:GROUP/PROJECT:ref_type:branch:ref:{branch}"),
    };
    let host = match service {
        Service::Github => "token.actions.githubusercontent.com",
        Service::Gitlab => "gitlab.com",
    };
    let tell = match service {
        Service::Github => {
            "Set the repository's variable UPDRAFT_ROLE to the role's ARN, and protect the environment as you like."
        }
        Service::Gitlab => "Set the project's variable UPDRAFT_ROLE to the role's ARN, and protect the branch.",
    };
    let include = match service {
        Service::Github => String::new(),
        Service::Gitlab => format!("\nInclude {file} in .gitlab-ci.yml (`include: [{{ local: {file} }}]`)."),
    };
    format!(
        "Once, by whoever may make roles (the account's provider for {host}, if it has one, as ProviderArn=…, too):\n\n  \
         aws cloudformation deploy --region {region} --stack-name updraft-deployer-of-{stack} --template-file {deployer} \\\n    \
         --capabilities CAPABILITY_NAMED_IAM{through} --parameter-overrides Subject={subject}\n  \
         aws cloudformation describe-stacks --region {region} --stack-name updraft-deployer-of-{stack} --query 'Stacks[0].Outputs'\n\n{tell}{include}"
    )
}

fn render(service: Service, context: &Context<'_>) -> Result<String, handlebars::RenderError> {
    let mut templates = Handlebars::new();
    templates.set_strict_mode(true);
    templates.register_escape_fn(handlebars::no_escape);
    let text = match service {
        Service::Github => GITHUB,
        Service::Gitlab => GITLAB,
    };
    templates.render_template(text, context)
}

/// Where the workspace is, if that is not the repository's root.
fn manifest(project: &Project, root: &Path) -> Vec<String> {
    match project.workspace_root.strip_prefix(root) {
        Ok(below) if below != Path::new("") => {
            vec!["--manifest-path".to_owned(), below.join("Cargo.toml").display().to_string()]
        }
        _ => Vec::new(),
    }
}

fn arguments(project: &Project, global: &Global, root: &Path) -> String {
    let mut arguments = manifest(project, root);
    arguments.extend(["--package".to_owned(), project.package.clone()]);
    arguments.extend(global.feature_flags());
    if let Some(env) = &global.env {
        arguments.extend(["--env".to_owned(), env.clone()]);
    }
    arguments.join(" ")
}

/// Where the command is not part of the workspace, a pipeline installs it. It is in no registry yet: a name there would be
/// someone else's.
fn install(command: &Ci, project: &Project) -> Result<Option<String>> {
    let own = project.workspace_root.join("cli/Cargo.toml").is_file()
        && fs::read_to_string(project.workspace_root.join(".cargo/config.toml"))
            .is_ok_and(|text| text.contains("cargo-updraft"));
    let rev = command.rev.as_deref().unwrap_or_default();
    match &command.git {
        Some(_) if plain(rev).is_err() => {
            Err(Failure::Usage("say with --rev which commit or tag of --git a pipeline installs".to_owned()))
        }
        Some(url) if url.chars().all(|c| c.is_ascii_graphic() && !"'\"\\$`;&|<>(){}".contains(c)) => {
            Ok(Some(format!("cargo install --locked --git {url} --rev {rev} cargo-updraft")))
        }
        Some(url) => Err(Failure::Usage(format!("--git {url}: that is no URL of a repository"))),
        None if own => Ok(None),
        None => Err(Failure::Usage("say with --git URL where a pipeline gets `cargo updraft` from".to_owned())),
    }
}

/// What stands in YAML and in a shell as it is.
fn plain(text: &str) -> Result<(), &'static str> {
    let fine = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if fine { Ok(()) } else { Err("letters, digits, `-`, `_`, `.` and `/` make one") }
}

/// The repository's root: where pipelines are looked for.
fn repository(workspace: &Path) -> PathBuf {
    workspace.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(workspace).to_owned()
}

#[cfg(test)]
mod tests;
