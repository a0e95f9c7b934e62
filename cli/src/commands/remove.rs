//! `cargo updraft remove`: the stack goes, and what holds data stays.

use crate::args::Global;
use crate::aws::{self, Place, Progress, Session};
use crate::exit::{Failure, Result};
use crate::report::{Paint, Reporter};
use serde_json::json;
use std::io::{IsTerminal, stdin};
use updraft_aws_deploy::{Error, Leaving, News, explain};

/// Removes what was deployed. What holds data stays in the account, and is listed
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    place: Place,
    /// Don't ask for the stack's name. Without a terminal to ask on, nothing is removed without it
    #[arg(short, long)]
    yes: bool,
    /// Remove a stack that Updraft did not make, or another application's
    #[arg(long)]
    adopt: bool,
}

pub(crate) fn run(command: &Remove, global: &Global, reporter: &Reporter) -> Result {
    if !command.yes && !stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask on: say --yes".to_owned()));
    }
    let names = aws::names(global, &command.place)?;
    let session = &Session::new(&names.stack)?;
    session.change(async {
        let untouched = |error: Error| session.failed(&error);
        let target = names.connect(reporter).await?;
        let stack = target.stack(command.adopt).await.map_err(untouched)?;
        let parts = match &stack {
            Some(stack) => target.parts_of(stack).await.map_err(untouched)?,
            // Somebody may have deleted the main stack alone.
            None => target.stacks_of_parts(None).await.map_err(untouched)?,
        };
        if stack.is_none() && parts.is_empty() {
            let (region, account) = (target.region(), &target.account.id);
            reporter
                .status("Absent", &format_args!("there is no stack {} in {region}, account {account}", names.stack));
            return Ok(());
        }
        let mut leaving = Vec::new();
        let main = stack.iter().map(|stack| (&target, stack));
        for (target, stack) in main.chain(parts.iter().map(|(target, stack)| (target, stack))) {
            leaving.extend(target.leaving(stack).await.map_err(untouched)?);
        }
        show(&leaving, reporter);
        if !command.yes {
            let question = format!("This can't be undone. The stack's name, to remove {}: ", names.stack);
            if session.answer(&question).await?.trim() != names.stack {
                reporter.status("Left", &format_args!("the stack {} as it was", names.stack));
                return Ok(());
            }
        }
        let mut progress = Progress::before(reporter, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            progress.tell(news);
        };
        let outcome = target.remove_all(stack.as_ref(), &parts, tell).await.map_err(untouched)?;
        if outcome.stack.is_some() {
            let first = explain(&outcome, &serde_json::Value::Null);
            let stack = outcome.stack.as_ref().map_or(&names.stack, |stack| &stack.name);
            let said = aws::failed(first.as_ref(), &outcome, None, stack, false);
            reporter.diagnostics(&[said], &updraft_driver::source::Sources::default());
            return Err(Failure::Diagnostics);
        }
        reporter.status("Removed", &format_args!("the stack {}", names.stack));
        let kept: Vec<&Leaving> = leaving.iter().filter(|resource| resource.stays && holds(resource)).collect();
        if reporter.json() {
            aws::json(reporter, "removed", json!({ "stack": names.stack, "kept": kept, "bucket": target.bucket }));
            return Ok(());
        }
        if !kept.is_empty() {
            reporter.painted(Paint::Bold, "still in the account, with what they hold");
            kept.iter().for_each(|resource| reporter.result(&line(resource)));
            reporter.result("\nA new deployment makes new ones. Those that nobody wants any more are yours to delete.");
        }
        reporter.result(&format!(
            "Code and the history of versions stay in the bucket {}, below {}/.",
            target.bucket, names.app
        ));
        Ok(())
    })
}

/// Versions of functions stay by rule, but are nothing without their function.
fn holds(resource: &Leaving) -> bool {
    // Of Systems Manager's parameters, the stack's own go with it: those that stay hold secrets.
    updraft_aws_deploy::plan::is_stateful(&resource.kind) || resource.kind == "AWS::SSM::Parameter" && resource.stays
}

fn show(leaving: &[Leaving], reporter: &Reporter) {
    if reporter.json() {
        aws::json(reporter, "plan", json!({ "resources": leaving }));
        return;
    }
    let (stay, go): (Vec<&Leaving>, Vec<&Leaving>) =
        leaving.iter().filter(|one| !one.stays || holds(one)).partition(|one| one.stays);
    for (heading, paint, resources) in [("delete", Paint::Red, go), ("keep", Paint::Green, stay)] {
        if !resources.is_empty() {
            reporter.painted(Paint::Bold, &format!("{heading} ({})", resources.len()));
            resources.iter().for_each(|resource| reporter.painted(paint, &line(resource)));
        }
    }
}

fn line(resource: &Leaving) -> String {
    let from = if resource.from.is_empty() { String::new() } else { format!(" ← {}", resource.from.join(", ")) };
    format!("  {} {}{from}", resource.kind, resource.physical)
}
