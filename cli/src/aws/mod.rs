//! What the commands share that work on what is deployed to AWS: where that is, and how it is spoken of. What is done there
//! is `updraft-aws-deploy`'s.

mod change;
mod failed;
mod session;
mod show;

pub(crate) use change::Change;
pub(crate) use failed::{EXPLAINS, failed, nothing_changed, refused};
pub(crate) use session::Session;
pub(crate) use show::{Progress, json, plan};

use crate::args::Global;
use crate::commands::check;
use crate::exit::{Failure, Result};
use crate::project::{Compilation, Project};
use crate::report::Reporter;
use clap::ValueEnum;
use std::io::{IsTerminal, stdin};
use tokio::runtime::Runtime;
use updraft_aws_deploy::{Empty, Release, Target, Templates};
use updraft_aws_lambda::{LONGEST_STACK, PARTS, TEMPLATE, default_stack};
use updraft_model::Artifacts;

/// The clouds that are deployed to. (What a cluster runs, its own tools apply.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cloud {
    /// AWS Lambda, and what stands beside it
    AwsLambda,
}

/// Where, and as which stack.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// What to deploy to. Region, credentials and endpoint are found as the AWS CLI finds them (AWS_REGION, AWS_PROFILE, …)
    #[arg(short, long, value_name = "TARGET")]
    pub(crate) target: Cloud,
    /// The stack's name [default: `stack` in `[target.aws-lambda]`, or the app's name; with `-ENV` where --env is given]
    #[arg(long, value_name = "NAME", value_parser = stack_name)]
    pub(crate) stack: Option<String>,
}

/// What it takes to change a stack.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Consent {
    /// Don't ask. Without a terminal to ask on, nothing is done without it
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Let resources that keep data be replaced, deleted or left behind, and a function's URL become another
    #[arg(long)]
    pub(crate) allow_replacement: bool,
    /// Take over a stack that Updraft did not make, or another application's
    #[arg(long)]
    pub(crate) adopt: bool,
}

impl Consent {
    /// Refuses at once what could not be asked for later.
    pub(crate) fn can_be_had(&self) -> Result {
        if self.yes || stdin().is_terminal() {
            return Ok(());
        }
        Err(Failure::Usage("there is no terminal to ask on: look at `cargo updraft diff`, then say --yes".to_owned()))
    }

    /// Asks. A no leaves everything as it was.
    pub(crate) async fn ask(&self, question: &str, session: &Session) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        let answer = session.answer(&format!("{question} [y/N] ")).await?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// The application's name and the stack's, as settings and arguments say.
pub(crate) fn names(global: &Global, place: &Place) -> Result<Names> {
    let project = &Project::load(global, &Compilation::default())?;
    let looked = check::look(project, global, None);
    let settings = looked.settings;
    let default = default_stack(&looked.app, &settings);
    let app = looked.app.name;
    let stack = match (&place.stack, &global.env) {
        (Some(stack), _) => stack.clone(),
        (None, env) => {
            let own = settings.aws_lambda.stack.clone();
            // An environment that names its stack has that name; one that does not must not meet another's.
            let base = Global { env: None, ..global.clone() };
            let inherited = env.is_some() && own == check::settings(project, &base).aws_lambda.stack;
            let name = default;
            let name = match env {
                Some(env) if inherited => format!("{name}-{}", sanitized(env)),
                _ => name,
            };
            stack_name(&name).map_err(|why| Failure::Usage(format!("`{name}` can't be a stack's name: {why}")))?
        }
    };
    let bucket = settings.aws_lambda.code_bucket;
    match bucket.as_deref().filter(|bucket| bucket.contains('.')) {
        // Its host has more labels than S3's certificate is for.
        Some(bucket) => Err(Failure::Usage(format!(
            "code_bucket = \"{bucket}\": by TLS, S3 answers for no bucket with a dot in its name"
        ))),
        None => Ok(Names { app, stack, bucket }),
    }
}

/// An application's templates, among what was made of it.
pub(crate) fn templates(artifacts: &Artifacts) -> Templates {
    let text = |bytes: &[u8]| bytes.to_vec().into();
    let part = |path: &str| Some(path.strip_prefix(PARTS)?.strip_prefix('/')?.strip_suffix(".json")?.to_owned());
    Templates {
        main: artifacts.get(TEMPLATE).map(|file| text(&file.bytes)).unwrap_or_default(),
        parts: artifacts.iter().filter_map(|(path, file)| Some((part(path)?, text(&file.bytes)))).collect(),
    }
}

/// Refuses a stack's name that is too long for parts' functions to begin with it.
pub(crate) fn fits_functions_names(release: &Release, stack: &str) -> Result {
    if release.parts.is_empty() || stack.len() <= LONGEST_STACK {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "`{stack}` is too long for an application of several stacks, whose functions' names begin with it: {LONGEST_STACK} characters \
         at most (--stack NAME, or `stack` in `[target.aws-lambda]`)\n\nNothing was changed."
    )))
}

/// What things are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) app: String,
    pub(crate) stack: String,
    pub(crate) bucket: Option<String>,
}

impl Names {
    /// Connects to the account that the environment tells of.
    pub(crate) async fn connect(&self, reporter: &Reporter) -> Result<Target> {
        let target = updraft_aws_deploy::connect(&self.app, &self.stack, self.bucket.as_deref()).await;
        let target = target.map_err(|error| nothing_changed(&error))?;
        reporter.detail(&format_args!("{} in {}, account {}", target.account.arn, target.region(), target.account.id));
        Ok(target)
    }
}

/// The secrets that have no value yet, and how each gets one.
pub(crate) fn secrets(empty: &[Empty], reporter: &Reporter) {
    if empty.is_empty() {
        return;
    }
    reporter.result("\nsecrets without a value: each is read from standard input, so that it is in no shell's history");
    for secret in empty {
        reporter.result(&format!("  {}", secret.command()));
    }
}

fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// What CloudFormation takes.
pub(crate) fn stack_name(name: &str) -> Result<String, String> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !plain || !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.len() > 128 {
        return Err("a letter, then letters, digits and `-`, 128 at most".to_owned());
    }
    Ok(name.to_owned())
}

/// Runs what waits for AWS. One for a whole command: connections live in it.
pub(crate) fn runtime() -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Outside(format!("no runtime: {error}")))
}
