//! A command's time with AWS: what it has done so far, so that a failure or an interruption says what became of it.

use crate::exit::{Failure, Result};
use std::cell::Cell;
use std::future::Future;
use std::io::{BufRead, Write, stderr, stdin};
use tokio::runtime::Runtime;
use updraft_aws_deploy::{Error, News};

/// What is done to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing yet.
    Before,
    /// An earlier run's operation is waited for.
    Waiting,
    /// What a first deployment left that failed is deleted.
    Clearing,
    /// Our operation is under way.
    UnderWay,
    /// It has ended.
    Ended,
}

/// What a command has done so far. One for a whole command: connections live in its runtime.
#[derive(Debug)]
pub(crate) struct Session {
    /// `None` once it is dropped.
    runtime: Option<Runtime>,
    stack: String,
    phase: Cell<Phase>,
    uploaded: Cell<bool>,
    cleared: Cell<bool>,
}

impl Session {
    pub(crate) fn new(stack: &str) -> Result<Self> {
        let (runtime, stack) = (Some(super::runtime()?), stack.to_owned());
        let phase = Cell::new(Phase::Before);
        Ok(Session { runtime, stack, phase, uploaded: Cell::new(false), cleared: Cell::new(false) })
    }

    /// Waits for what changes nothing. An interruption ends it as it ends any program.
    pub(crate) fn look<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime()?.block_on(future)
    }

    /// Waits for what changes something, which a person may stop waiting for wherever it is.
    pub(crate) fn change<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime()?.block_on(async {
            tokio::select! {
                done = future => done,
                _ = tokio::signal::ctrl_c() => Err(Failure::Outside(self.interrupted())),
            }
        })
    }

    fn runtime(&self) -> Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| Failure::Outside("no runtime".to_owned()))
    }

    /// What a person types. Read beside the rest, so that an interruption is heard meanwhile.
    pub(crate) async fn answer(&self, question: &str) -> Result<String> {
        let question = question.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let mut out = stderr();
            write!(out, "{question}").and_then(|()| out.flush())?;
            stdin().lock().read_line(&mut line)?;
            Ok::<_, std::io::Error>(line)
        });
        let failed = |error: std::io::Error| Failure::Outside(format!("the terminal: {error}"));
        read.await.map_err(std::io::Error::other).and_then(|line| line).map_err(failed)
    }

    /// Keeps in mind what happened.
    pub(crate) fn note(&self, news: &News<'_>) {
        match (news, self.phase.get()) {
            (News::MadeBucket(_) | News::MadeRepository(_) | News::Uploaded(..), _) => self.uploaded.set(true),
            // Of several stacks one that is waited for or cleared is one of those that we are at.
            (News::Waiting(_) | News::Clearing(..), Phase::UnderWay) => {}
            (News::Waiting(_) | News::Clearing(..) | News::Begun, Phase::Ended) => self.phase.set(Phase::UnderWay),
            (News::Waiting(_), _) => self.phase.set(Phase::Waiting),
            (News::Clearing(..), _) => self.phase.set(Phase::Clearing),
            (News::Begun, Phase::Before) => self.phase.set(Phase::UnderWay),
            (News::AtRest, Phase::Waiting) => self.phase.set(Phase::Before),
            (News::AtRest, Phase::Clearing) => {
                self.cleared.set(true);
                self.phase.set(Phase::Before);
            }
            (News::AtRest, _) => self.phase.set(Phase::Ended),
            _ => {}
        }
    }

    /// Whether an operation of ours was begun, or may have been.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.phase.get(), Phase::UnderWay | Phase::Ended)
    }

    /// An error, and how far things had come.
    pub(crate) fn failed(&self, error: &Error) -> Failure {
        let text = format!("{error}\n\n{}", self.come());
        let by_user = matches!(
            error,
            Error::NoRegion
                | Error::Credentials(_)
                | Error::ForeignStack { .. }
                | Error::InTheWay { .. }
                | Error::NoStack { .. }
        );
        if by_user && self.phase.get() == Phase::Before { Failure::Usage(text) } else { Failure::Outside(text) }
    }

    fn interrupted(&self) -> String {
        match self.phase.get() {
            Phase::Before => format!("interrupted before anything was begun\n\n{}", self.come()),
            Phase::Ended => format!("interrupted\n\n{}", self.come()),
            Phase::Waiting | Phase::Clearing | Phase::UnderWay => format!(
                "interrupted: CloudFormation goes on with the stack {}\n\n`cargo updraft status` says how it stands; the same command again \
                 follows it and completes what is left",
                self.stack
            ),
        }
    }

    fn come(&self) -> String {
        let stack = &self.stack;
        match self.phase.get() {
            Phase::Before => match (self.cleared.get(), self.uploaded.get()) {
                (false, false) => "Nothing was changed.".to_owned(),
                (false, true) => {
                    format!("The stack {stack} was left as it is. What was uploaded is found again by the next run.")
                }
                (true, _) => format!(
                    "Nothing was changed but that the stack {stack} is gone, whose first deployment had failed. The next run goes on from there."
                ),
            },
            Phase::Ended => format!(
                "What was done to the stack {stack} has ended: `cargo updraft status` says how. The same command again completes what is left."
            ),
            Phase::Waiting | Phase::Clearing | Phase::UnderWay => format!(
                "What was begun goes on without us: `cargo updraft status` says how the stack {stack} stands; the same command again \
                 follows it and completes what is left"
            ),
        }
    }
}

impl Drop for Session {
    /// Without waiting for a question that nobody answers any more.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Error {
        Error::ChangeSet { reason: "it is in the way".to_owned() }
    }

    fn said(failure: &Failure) -> String {
        match failure {
            Failure::Usage(text) | Failure::Outside(text) => text.clone(),
            other => format!("{other:?}"),
        }
    }

    /// What is said to have been done is what was done, wherever it fails.
    #[test]
    fn a_failure_says_how_far_things_had_come() {
        let session = Session::new("shop").unwrap();
        let stack = updraft_aws_deploy::Stack::default();
        let steps = [
            (None, "Nothing was changed."),
            (Some(News::Waiting(&stack)), "goes on without us"),
            (Some(News::Begun), "goes on without us"),
            (Some(News::AtRest), "Nothing was changed."),
            (Some(News::MadeBucket("code")), "was left as it is. What was uploaded"),
            (Some(News::Begun), "goes on without us"),
            (Some(News::AtRest), "has ended"),
        ];
        for (news, expected) in steps {
            if let Some(news) = &news {
                session.note(news);
            }
            let text = said(&session.failed(&denied()));
            assert!(text.contains(expected), "{news:?}: {text}");
        }
        assert!(session.has_begun());
    }

    /// Of several stacks one may be busy still, or be left by an attempt that failed: what was done to others is not undone by that.
    #[test]
    fn what_was_begun_stays_begun() {
        let stack = updraft_aws_deploy::Stack::default();
        for among in [News::Waiting(&stack), News::Clearing(&stack, &[])] {
            let session = Session::new("shop").unwrap();
            let says = |news: &News<'_>, expected: &str| {
                session.note(news);
                let text = said(&session.failed(&denied()));
                assert!(text.contains(expected) && session.has_begun(), "{news:?}: {text}");
            };
            says(&News::Begun, "goes on without us");
            says(&among, "goes on without us");
            says(&News::AtRest, "has ended");
            // Parts are gone, and the main stack is waited for.
            says(&among, "goes on without us");
            says(&News::Begun, "goes on without us");
            says(&News::AtRest, "has ended");
        }
    }

    #[test]
    fn what_was_cleared_is_said() {
        let session = Session::new("shop").unwrap();
        let stack = updraft_aws_deploy::Stack::default();
        [News::Clearing(&stack, &[]), News::Begun, News::AtRest].iter().for_each(|news| session.note(news));
        assert!(said(&session.failed(&denied())).contains("but that the stack shop is gone"));
        assert!(!session.has_begun());
    }
}
