//! A stack's operation, followed to its end.

use crate::cloudformation::{CloudFormation, Event, Stack};
use crate::error::{Error, Result};
use crate::remove::Leaving;
use std::time::{Duration, Instant};

/// Between two looks, at first and at most. CloudFormation answers an account some times a second, all its users together.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// A server that stands in for it answers as often as it is asked.
const PAUSES_ELSEWHERE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// How long nothing that is looked at may be seen: a network comes back, and CloudFormation has not stopped meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);

/// What happens, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// A code bucket was made.
    MadeBucket(&'a str),
    /// A repository was made.
    MadeRepository(&'a str),
    /// Something was put where it is kept: what, and its key in the bucket or its address.
    Uploaded(&'a str, &'a str),
    /// Something is there already.
    Found(&'a str, &'a str),
    /// An earlier operation is under way, and waited for.
    Waiting(&'a Stack),
    /// What is left of a first deployment that failed is removed, with these if it has any.
    Clearing(&'a Stack, &'a [Leaving]),
    /// One of several stacks is turned to, and what it is on the way to what it is to be; nothing, if it is that then.
    Stack(&'a str, &'a str),
    /// A change set that an earlier run left is deleted.
    Leftover(&'a str),
    /// CloudFormation does something to the stack, or may: the answer to the request was lost.
    Begun,
    /// Something happened to a resource.
    Event(&'a Event),
    /// What happens can't be seen just now, and is looked for on.
    Trouble(&'a Error),
    /// It has ended, one way or the other.
    AtRest,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The stack, as it is now; `None` if it is gone.
    pub stack: Option<Stack>,
    /// What happened, the oldest first.
    pub events: Vec<Event>,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        let done = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"];
        self.stack.as_ref().is_none_or(|stack| done.contains(&&*stack.status))
    }

    /// What failed first: what fails after it was cancelled for it, more often than not.
    pub fn first_failure(&self) -> Option<&Event> {
        let failed = |event: &&Event| event.status.ends_with("_FAILED") && event.kind != "AWS::CloudFormation::Stack";
        let cancelled = |event: &&Event| event.reason.contains("cancelled");
        self.events.iter().filter(failed).find(|event| !cancelled(event)).or_else(|| self.events.iter().find(failed))
    }
}

/// Follows the stack of this id from the event after `since` until nothing is done to it any more.
///
/// `started` says that an operation was begun just now, so that a stack which is still at rest has not seen it yet.
pub(crate) async fn follow(
    cloud: CloudFormation<'_>,
    id: &str,
    since: Option<String>,
    started: bool,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Outcome> {
    let mut since = since;
    let mut events: Vec<Event> = Vec::new();
    let (mut pause, longest) = if cloud.0.is_elsewhere() { PAUSES_ELSEWHERE } else { PAUSES };
    let mut begun = !started;
    let mut seen = Instant::now();
    tell(News::Begun);
    loop {
        let (stack, news) = match look(cloud, id, since.as_deref()).await {
            Ok(looked) => looked,
            Err(error) if error.is_passing() && seen.elapsed() < PATIENCE => {
                tell(News::Trouble(&error));
                tokio::time::sleep(longest).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        seen = Instant::now();
        for event in &news {
            begun = begun || (event.is_of_stack(id) && event.status.ends_with("_IN_PROGRESS"));
            tell(News::Event(event));
        }
        since = news.last().map(|event| event.id.clone()).or(since);
        events.extend(news);
        if stack.as_ref().is_none_or(|stack| begun && !stack.is_busy()) {
            tell(News::AtRest);
            return Ok(Outcome { stack, events });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

/// A stack and what happened to it since.
async fn look(cloud: CloudFormation<'_>, id: &str, since: Option<&str>) -> Result<(Option<Stack>, Vec<Event>)> {
    // The state first: what happened before it came about is then among the events.
    let stack = cloud.stack(id).await?.filter(|stack| stack.status != "DELETE_COMPLETE");
    match cloud.events(id, since).await {
        // Nobody remembers what became of a stack that is gone.
        Err(_) if stack.is_none() => Ok((stack, Vec::new())),
        news => Ok((stack, news?)),
    }
}
