//! `cargo updraft deploy`: builds, uploads, shows what changes, and makes it so.

use super::build;
use crate::args::Global;
use crate::aws::{self, Change, Consent, Place, Progress, Session};
use crate::exit::Result;
use crate::report::Reporter;
use std::path::PathBuf;
use std::time::Instant;
use updraft_aws_deploy::{Clear, Error, News};

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
    /// What `build` wrote of this very source, `code.zip` or the folder `image`: proved, and deployed as it is
    #[arg(long, value_name = "PATH")]
    code: Option<PathBuf>,
}

pub(crate) fn run(command: &Deploy, global: &Global, reporter: &Reporter) -> Result {
    let started = Instant::now();
    command.consent.can_be_had()?;
    let names = aws::names(global, &command.place)?;
    let session = Session::new(&names.stack)?;
    // What AWS would refuse it refuses now, and not after some minutes of linking.
    let target = session.look(async {
        let target = names.connect(reporter).await?;
        target.stack(command.consent.adopt).await.map_err(|error| aws::nothing_changed(&error))?;
        Ok(target)
    })?;
    let built = build::code(command.code.as_deref(), global, reporter)?;
    let app = &built.checked.app;
    let templates = aws::templates(&built.artifacts);

    session.change(async {
        let failed = |error: Error| session.failed(&error);
        let mut early = Progress::before(reporter, &names.stack);
        let tell = &mut |news: News<'_>| {
            session.note(&news);
            early.tell(news);
        };
        let Consent { adopt, allow_replacement, .. } = command.consent;
        let standing = target.settle(adopt, Clear::Failed { allow_replacement }, tell).await.map_err(failed)?;
        let release = target.release(&built.code, &templates).map_err(failed)?;
        aws::fits_functions_names(&release, &names.stack)?;
        target.upload(&release, &templates, Some(built.code), tell).await.map_err(failed)?;
        let change = Change {
            session: &session,
            target: &target,
            names: &names,
            standing: &standing,
            release: &release,
            app,
            checked: Some(&built.checked),
            by: "deploy",
            started,
        };
        change.carry_out(&command.consent, reporter).await
    })
}
