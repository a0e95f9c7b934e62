//! `cargo updraft rollback`: an earlier version goes live again.

use crate::args::Global;
use crate::aws::{self, Change, Consent, Place, Progress, Session};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use std::time::Instant;
use updraft_aws_deploy::{Clear, Ending, Error, News, Record, Standing, Target, choose, explain};
use updraft_aws_lambda::CODE_PARAMETERS;

/// Makes an earlier version live again, as it was: its template and its code
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Data is not taken back: tables, buckets and queues stay as they are. What would replace or leave one is refused as in `deploy`.

Where an update failed and so did going back (UPDATE_ROLLBACK_FAILED), it goes on with going back, and does nothing else.")]
pub(crate) struct Rollback {
    /// Which: a version that `status` lists, or how it begins [default: the one before what is live, or what is live where a
    /// deployment ended half-way]
    version: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    consent: Consent,
}

pub(crate) fn run(command: &Rollback, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    command.consent.can_be_had()?;
    let names = aws::names(global, &command.place)?;
    let session = &Session::new(&names.stack)?;
    session.change(async {
        let untouched = |error: Error| session.failed(&error);
        let target = names.connect(reporter).await?;
        let stack = target.stack(command.consent.adopt).await.map_err(untouched)?;
        let absent = || Error::NoStack { stack: names.stack.clone(), region: target.region().to_owned() };
        let stack = stack.ok_or_else(|| untouched(absent()))?;
        let stuck = target.half_back(&stack, CODE_PARAMETERS).await.map_err(untouched)?;
        if !stuck.is_empty() {
            for (target, stack) in &stuck {
                go_on(session, target, stack, reporter).await?;
            }
            return Ok(());
        }
        let mut early = Progress::before(reporter, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            early.tell(news);
        };
        let standing = target.settle(command.consent.adopt, Clear::Nothing, tell).await.map_err(untouched)?;
        let Standing::Ready(stack) = &standing else { return Err(untouched(absent())) };
        let now = target.live(stack, CODE_PARAMETERS).await.map_err(untouched)?;
        let parts = target.stacks_of_parts(Some(&now.template)).await.map_err(untouched)?;
        let half_way = target.is_half_way(&now, &parts, CODE_PARAMETERS).await.map_err(untouched)?;
        let live = now.version;
        let mut records = Vec::new();
        for entry in target.history().await.map_err(untouched)? {
            records.extend(target.record(&entry).await.map_err(untouched)?);
        }
        let is_deployed = |record: &Record| record.outcome == Some(Ending::Deployed);
        let was_live = records.iter().filter(|record| is_deployed(record) || record.version == live);
        let past: Vec<String> = was_live.map(|record| record.version.clone()).collect();
        // Going back that nobody saw to its end is completed. And where a deployment ended half-way, the main stack still says
        // what was live before it.
        let is_going_back = |record: &Record| record.version == live && record.by == "rollback" && !is_deployed(record);
        let other = records.iter().rev().find(|record| record.version != live);
        let is_unfinished = half_way && !now.is_between && other.is_some_and(|record| !is_deployed(record));
        let completes = is_unfinished || records.last().is_some_and(is_going_back);
        let chosen = match &command.version {
            None if completes => Ok(live.as_str()),
            named => choose(&past, &live, named.as_deref()),
        };
        let version = chosen.map_err(|why| {
            Failure::Usage(format!("{why}: `cargo updraft status` lists all\n\nNothing was changed."))
        })?;
        let recorded = target.recorded(version).await.map_err(untouched)?;
        let (_, record) = recorded.ok_or_else(|| Failure::Outside(format!("the record of {version} is gone")))?;
        let release = target.release_of(&record).await.map_err(untouched)?;
        reporter.status("Chosen", &format_args!("version {version}, of {} by {}", record.time, record.who));
        let change = Change {
            session,
            target: &target,
            names: &names,
            standing: &standing,
            release: &release,
            app: &record.app,
            checked: None,
            by: "rollback",
            started,
        };
        change.carry_out(&command.consent, reporter).await
    })
}

/// An update failed, and so did going back: once what was in the way is gone, it can go on.
async fn go_on(session: &Session, target: &Target, stack: &updraft_aws_deploy::Stack, reporter: &Reporter) -> Result {
    reporter.status("Undoing", &format_args!("what is left of the update of {} that failed", stack.name));
    let mut progress = Progress::before(reporter, &stack.name);
    let tell = &mut |news: News<'_>| {
        session.note(&news);
        progress.tell(news);
    };
    let outcome = target.continue_rollback(stack, tell).await.map_err(|error| session.failed(&error))?;
    match &outcome.stack {
        Some(now) if now.status == "UPDATE_ROLLBACK_COMPLETE" => {
            reporter.status("Restored", &format_args!("{}: it is what it was before the update", stack.name));
            Ok(())
        }
        _ => {
            let first = explain(&outcome, &serde_json::Value::Null);
            let said = aws::failed(first.as_ref(), &outcome, None, &stack.name, false);
            reporter.diagnostics(&[said], &updraft_driver::source::Sources::default());
            Err(Failure::Diagnostics)
        }
    }
}
