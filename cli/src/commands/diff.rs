//! `cargo updraft diff`: what `deploy` would change.

use super::build;
use crate::args::Global;
use crate::aws::{self, Place, Progress, Session};
use crate::exit::Result;
use crate::report::Reporter;
use std::path::PathBuf;
use updraft_aws_deploy::plan::Plan;
use updraft_aws_deploy::{Error, News, Standing};
use updraft_aws_lambda::CODE_PARAMETERS;

/// Shows what `deploy` would change, and changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It builds, since the code is part of what changes, and asks CloudFormation, which alone knows what is changed in place and what \
is replaced: with a change set that is deleted again. Where there is no stack yet, everything comes, and nothing is asked.")]
pub(crate) struct Diff {
    #[command(flatten)]
    place: Place,
    /// Compare with a stack that Updraft did not make, or another application's
    #[arg(long)]
    adopt: bool,
    /// What `build` wrote of this very source, `code.zip` or the folder `image`
    #[arg(long, value_name = "PATH")]
    code: Option<PathBuf>,
}

pub(crate) fn run(command: &Diff, global: &Global, reporter: &Reporter) -> Result {
    let names = aws::names(global, &command.place)?;
    let session = Session::new(&names.stack)?;
    let untouched = |error: Error| session.failed(&error);
    let (target, standing) = session.look(async {
        let target = names.connect(reporter).await?;
        let standing = target.standing(command.adopt).await.map_err(untouched)?;
        Ok((target, standing))
    })?;
    let built = build::code(command.code.as_deref(), global, reporter)?;
    let app = &built.checked.app;
    let templates = aws::templates(&built.artifacts);
    let release = target.release(&built.code, &templates).map_err(untouched)?;
    aws::fits_functions_names(&release, &names.stack)?;
    let Standing::Ready(stack) = &standing else {
        reporter.status("New", &format_args!("there is no stack {} in {} yet", names.stack, target.region()));
        aws::plan(&release.plan_of_new(app), reporter.is_verbose(), reporter);
        return Ok(());
    };
    session.look(async {
        let mut progress = Progress::before(reporter, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            progress.tell(news);
        };
        target.upload(&release, &templates, None, tell).await.map_err(untouched)?;
        let live = target.live(stack, CODE_PARAMETERS).await.map_err(untouched)?.version;
        let before = target.recorded(&live).await.map_err(untouched)?.map(|(_, record)| record.app);
        let staged = target.stage(&standing, &release, CODE_PARAMETERS, (before.as_ref(), app));
        let Some(staged) = staged.await.map_err(untouched)? else {
            reporter.status("Unchanged", &format_args!("{}: version {live} is live", names.stack));
            aws::plan(&Plan::default(), false, reporter);
            return Ok(());
        };
        target.leave(&staged).await.map_err(untouched)?;
        aws::plan(&staged.plan, reporter.is_verbose(), reporter);
        if !staged.plan.dangers.is_empty() {
            reporter
                .status("Note", &"`deploy` would refuse this without --allow-replacement; `explain UD2102` says more");
        }
        Ok(())
    })
}
