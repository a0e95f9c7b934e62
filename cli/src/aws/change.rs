//! A release becomes what is live, whether it is new or was deployed before: plan, refusal, question, execution, report.

use super::{Consent, Names, Progress, Session, failed, json, plan, refused};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use serde_json::json as object;
use std::time::Instant;
use updraft_aws_deploy::{Ended, Ending, Error, News, Release, Stack, Staged, Standing, Target, explain};
use updraft_aws_lambda::CODE_PARAMETERS;
use updraft_driver::Checked;
use updraft_driver::source::Sources;
use updraft_model::App;

/// What is to go live.
pub(crate) struct Change<'a> {
    pub(crate) session: &'a Session,
    pub(crate) target: &'a Target,
    pub(crate) names: &'a Names,
    pub(crate) standing: &'a Standing,
    pub(crate) release: &'a Release,
    pub(crate) app: &'a App,
    /// The source, where it is the release's own.
    pub(crate) checked: Option<&'a Checked>,
    /// `deploy` or `rollback`.
    pub(crate) by: &'static str,
    pub(crate) started: Instant,
}

impl Change<'_> {
    /// Carries it out, if it is agreed to.
    pub(crate) async fn carry_out(&self, consent: &Consent, reporter: &Reporter) -> Result {
        let Change { session, target, names, release, .. } = *self;
        let untouched = |error: Error| session.failed(&error);
        let before = self.before().await.map_err(untouched)?;
        let mut early = Progress::before(reporter, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            early.tell(news);
        };
        target.await_parts(self.standing, release, CODE_PARAMETERS, tell).await.map_err(untouched)?;
        let staged = target.stage(self.standing, release, CODE_PARAMETERS, (before.as_ref(), self.app));
        let Some(staged) = staged.await.map_err(untouched)? else { return self.nothing_to_do(reporter).await };
        if !(reporter.is_quiet() && consent.yes) {
            plan(&staged.plan, reporter.is_verbose(), reporter);
        }
        if !staged.plan.dangers.is_empty() && !consent.allow_replacement {
            target.leave(&staged).await.map_err(untouched)?;
            let diagnostics = refused(&staged.plan.dangers, self.checked, names);
            reporter.diagnostics(&diagnostics, self.sources().unwrap_or(&Sources::default()));
            return Err(Failure::Diagnostics);
        }
        let verb = if self.by == "deploy" { "Deploy" } else { "Roll back" };
        let question = format!("{verb} to {} in {}, account {}?", names.stack, target.region(), target.account.id);
        if !consent.ask(&question, session).await? {
            target.leave(&staged).await.map_err(untouched)?;
            reporter.status("Left", &format_args!("the stack {} as it was", names.stack));
            return Ok(());
        }
        self.execute(&staged, consent.allow_replacement, reporter).await
    }

    async fn execute(&self, staged: &Staged, allow_replacement: bool, reporter: &Reporter) -> Result {
        let Change { session, target, names, release, .. } = *self;
        let (entry, record) = target.begin(release, self.app, self.by).await.map_err(|error| session.failed(&error))?;
        let ended =
            |ending| async { target.end(&entry, &record, ending).await.map_err(|error| session.failed(&error)) };
        let mut progress = Progress::of(reporter, &staged.plan, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            progress.tell(news);
        };
        let carried = target.carry_out(staged, release, CODE_PARAMETERS, allow_replacement, tell);
        let Ended { outcome, template } = match carried.await {
            Ok(ended) => ended,
            Err(error) => {
                let failure = session.failed(&error);
                if !session.has_begun() {
                    // What the service says of it counts for more than that this can't be written down either.
                    let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
                    let _ = ended(Ending::Failed(reason)).await;
                }
                return Err(failure);
            }
        };
        // An operation that ended with no stack made none.
        let now =
            if outcome.is_success() { target.stack(true).await.map_err(|error| session.failed(&error))? } else { None };
        let Some(stack) = now else {
            let first = explain(&outcome, &template);
            let reason = first.as_ref().map(|first| format!("{}: {}", first.logical, first.reason));
            ended(Ending::Failed(reason.unwrap_or_default())).await?;
            let stack = outcome.stack.as_ref().map_or(&names.stack, |stack| &stack.name);
            let said = failed(first.as_ref(), &outcome, self.checked, stack, staged.is_sequence());
            reporter.diagnostics(&[said], self.sources().unwrap_or(&Sources::default()));
            return Err(Failure::Diagnostics);
        };
        ended(Ending::Deployed).await?;
        let seconds = self.started.elapsed().as_secs_f64();
        let (verb, what) = match self.by {
            "deploy" => ("Deployed", format!("{} to {}, version {}", names.app, names.stack, release.version)),
            _ => ("Rolled back", format!("{} to version {}", names.stack, release.version)),
        };
        reporter.status(verb, &format_args!("{what} ({seconds:.0} s)"));
        report(target, names, &stack, &release.version, true, reporter).await
    }

    fn sources(&self) -> Option<&Sources> {
        self.checked.map(|checked| &checked.sources)
    }

    /// The application that is live, if that is written down.
    async fn before(&self) -> updraft_aws_deploy::Result<Option<App>> {
        let Standing::Ready(stack) = self.standing else { return Ok(None) };
        let live = self.target.live(stack, CODE_PARAMETERS).await?;
        if live.is_between {
            // Nobody has seen it live.
            return Ok(self.target.recorded(&live.version).await?.map(|(_, record)| record.app));
        }
        Ok(self.target.recorded_live(&live.version).await?.map(|record| record.app))
    }

    /// The release is live already. A run that nobody waited for may have brought it there: then that is written down now.
    async fn nothing_to_do(&self, reporter: &Reporter) -> Result {
        let Change { session, target, names, release, .. } = *self;
        let Standing::Ready(stack) = self.standing else {
            return Err(Failure::Outside("CloudFormation finds nothing in the template to make".to_owned()));
        };
        let live = target.live(stack, CODE_PARAMETERS).await.map_err(|error| session.failed(&error))?.version;
        let write = async {
            // What CloudFormation does not tell apart is another version nevertheless, and not live.
            if live != release.version {
                return Ok(());
            }
            let recorded = match target.recorded(&release.version).await? {
                Some((_, record)) if record.outcome == Some(Ending::Deployed) => return Ok(()),
                Some(recorded) => recorded,
                None => target.begin(release, self.app, self.by).await?,
            };
            target.end(&recorded.0, &recorded.1, Ending::Deployed).await
        };
        write.await.map_err(|error: Error| session.failed(&error))?;
        reporter.status("Unchanged", &format_args!("{}: version {live} is live already", names.stack));
        report(target, names, stack, &live, false, reporter).await
    }
}

/// What people need to know of what is deployed.
async fn report(
    target: &Target,
    names: &Names,
    stack: &Stack,
    version: &str,
    changed: bool,
    reporter: &Reporter,
) -> Result {
    // Who may deploy need not be allowed to look at secrets.
    let empty = target.empty_secrets(stack).await.unwrap_or_default();
    let outputs = target.outputs(stack).await.unwrap_or_else(|_| stack.outputs.clone());
    if reporter.json() {
        let outputs: serde_json::Map<String, serde_json::Value> =
            outputs.iter().map(|(key, value, _)| (key.clone(), value.as_str().into())).collect();
        let secrets: Vec<&str> = empty.iter().map(|secret| &*secret.arn).collect();
        let value = object!({
            "stack": names.stack, "version": version, "changed": changed, "outputs": outputs, "empty_secrets": secrets,
        });
        json(reporter, "deployed", value);
        return Ok(());
    }
    for (key, value, _) in &outputs {
        reporter.result(&format!("{key} = {value}"));
    }
    super::secrets(&empty, reporter);
    Ok(())
}
