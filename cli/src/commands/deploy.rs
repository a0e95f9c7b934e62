//! `cargo updraft deploy`: builds, uploads, shows what changes, and makes it so.

use super::build;
use crate::args::Global;
use crate::aws::{self, Consent, Place, Progress};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use updraft_aws_deploy::{Code, News, Standing, explain};
use updraft_aws_lambda::{CODE_PARAMETERS, TEMPLATE};

/// Builds the program and deploys it: uploads, shows what changes, asks, and follows CloudFormation to its end
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a pipeline say --yes: without a terminal to ask on, nothing is done without it. What would lose or leave data is refused \
even then, unless --allow-replacement says otherwise.

A run that was interrupted is completed by the next: it waits for what is under way, and finds again what is uploaded.")]
pub(crate) struct Deploy {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    consent: Consent,
    /// A `code.zip` that `build` wrote of this very source: proved, and deployed as it is
    #[arg(long, value_name = "ZIP")]
    code: Option<PathBuf>,
}

pub(crate) fn run(command: &Deploy, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    command.consent.can_be_had()?;
    let names = aws::names(global, &command.place)?;
    let runtime = aws::runtime()?;
    // What AWS would refuse it refuses now, and not after some minutes of linking.
    let target = runtime.block_on(async {
        let target = names.connect(reporter).await?;
        target.stack(command.consent.adopt).await.map_err(|error| aws::nothing_changed(&error))?;
        Ok(target)
    })?;
    let built = build::code(command.code.as_deref(), global, reporter)?;
    let app = &built.checked.app;
    let template = built.artifacts.get(TEMPLATE).map(|file| file.bytes.as_slice()).unwrap_or_default();
    let code = Code { bytes: built.package.bytes.into(), sha256: built.package.sha256 };

    runtime.block_on(async {
        let untouched = |error: updraft_aws_deploy::Error| aws::nothing_changed(&error);
        let mut early = Progress::before(reporter);
        let tell = &mut |news: News<'_>| early.tell(news);
        let standing = aws::unless_interrupted(&names.stack, target.settle(command.consent.adopt, tell)).await?;
        let release = target.upload(&code, template, tell).await.map_err(untouched)?;
        let proposed = target.propose(&standing, &release, CODE_PARAMETERS, (None, app));
        let Some(proposal) = proposed.await.map_err(untouched)? else {
            if let Standing::Ready(stack) = &standing {
                reporter
                    .status("Deployed", &format_args!("{}: version {} is live already", names.stack, release.version));
                return report(&names, stack, &release.version, false, reporter);
            }
            return Err(Failure::Outside("CloudFormation finds nothing to make".to_owned()));
        };
        aws::plan(&proposal.plan, false, reporter);
        if !proposal.plan.dangers.is_empty() && !command.consent.allow_replacement {
            target.discard(&proposal).await.map_err(untouched)?;
            let refused = aws::refused(&proposal.plan.dangers, &built.checked, &names);
            reporter.diagnostics(&refused, &built.checked.sources);
            return Err(Failure::Diagnostics);
        }
        let question = format!("Deploy to {} in {}, account {}?", names.stack, target.region(), target.account.id);
        if !command.consent.ask(&question)? {
            target.discard(&proposal).await.map_err(untouched)?;
            reporter.status("Left", &format_args!("the stack {} as it was", names.stack));
            return Ok(());
        }
        let mut progress = Progress::of(reporter, &proposal.plan);
        let tell = &mut |news: News<'_>| progress.tell(news);
        let outcome = aws::unless_interrupted(&names.stack, target.execute(&proposal, tell)).await?;
        match &outcome.stack {
            Some(stack) if outcome.is_success() => {
                reporter.status(
                    "Deployed",
                    &format_args!(
                        "{} to {}, version {} ({:.0} s)",
                        names.app,
                        names.stack,
                        release.version,
                        started.elapsed().as_secs_f64()
                    ),
                );
                report(&names, stack, &release.version, true, reporter)
            }
            _ => {
                let failed = explain(&outcome, &release.template);
                let said = aws::failed(failed.as_ref(), &outcome, Some(&built.checked), &names.stack);
                reporter.diagnostics(&[said], &built.checked.sources);
                Err(Failure::Diagnostics)
            }
        }
    })
}

/// What people need to know of what is deployed.
fn report(
    names: &aws::Names,
    stack: &updraft_aws_deploy::Stack,
    version: &str,
    changed: bool,
    reporter: &Reporter,
) -> Result {
    if reporter.json() {
        let outputs: serde_json::Map<String, serde_json::Value> =
            stack.outputs.iter().map(|(key, value, _)| (key.clone(), value.as_str().into())).collect();
        let value = json!({ "stack": names.stack, "version": version, "changed": changed, "outputs": outputs });
        aws::json(reporter, "deployed", value);
        return Ok(());
    }
    for (key, value, _) in &stack.outputs {
        reporter.result(&format!("{key} = {value}"));
    }
    Ok(())
}
