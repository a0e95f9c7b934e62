//! Dead letters of what is deployed: queues of SQS, one for each handler that takes messages.
//!
//! SQS shows nothing without handing it out, so whoever looks hides what is looked at from others meanwhile, and says at the
//! end that it may be seen again; a run that was killed has it seen again after [`HIDDEN`]. A letter is deleted when its message
//! is in its handler's queue, and not before: a run that ends between the two leaves both.

mod boxes;
mod letter;
mod sqs;

use crate::cloudformation::Stack;
use crate::error::Result;
use crate::stack::Target;
use boxes::Letterbox;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use letter::Letter;
use serde_json::{Value, json};
use sqs::Sqs;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For how long what was looked at is hidden from others at most.
const HIDDEN: Duration = Duration::from_secs(300);
/// Letters that a page holds unless it is asked for another number, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// Which letters, all conditions together; and which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The message's id.
    pub id: Option<String>,
    /// Who gave it up.
    pub handler: Option<String>,
    /// The queue, the topic, the bucket, or the schedule's handler.
    pub resource: Option<String>,
    /// Given up at least so many seconds ago.
    pub older_than: Option<u64>,
    /// Given up at most so many seconds ago.
    pub newer_than: Option<u64>,
    /// Goes on after this letter: the last page's `next`.
    pub from: Option<String>,
    /// How many a page holds.
    pub limit: Option<usize>,
}

/// What is done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A page of them is shown.
    List,
    /// All that is kept of one is shown.
    Show,
    /// Each goes to the handler that gave it up, and to no other.
    Redrive,
    /// They are forgotten.
    Drop,
}

impl Selection {
    fn wants(&self, held: &Letterbox, letter: &Letter, now: Timestamp) -> bool {
        let equal = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let ago = |seconds: u64| {
            let age = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            now.saturating_sub(age).unwrap_or(Timestamp::MIN)
        };
        equal(&self.id, &letter.id)
            && equal(&self.handler, letter.handler(held))
            && self.older_than.is_none_or(|age| letter.last <= ago(age))
            && self.newer_than.is_none_or(|age| letter.last >= ago(age))
    }

    fn opens(&self, held: &Letterbox) -> bool {
        let equal = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        (held.handler.is_empty() || equal(&self.handler, &held.handler)) && equal(&self.resource, &held.resource)
    }
}

/// What a look into one queue found.
#[derive(Debug)]
struct Found<'a> {
    held: &'a Letterbox,
    letters: Vec<Letter>,
    /// What became of those that were acted on at once.
    done: usize,
    failed: Vec<Value>,
    /// The messages' ids of those that were redriven.
    redriven: BTreeSet<String>,
    /// How many of those were given up again meanwhile.
    passed: u64,
    /// How many there are that SQS does not show.
    unseen: u64,
}

impl<'a> Found<'a> {
    fn of(held: &'a Letterbox) -> Self {
        let (letters, failed, redriven) = (Vec::new(), Vec::new(), BTreeSet::new());
        Found { held, letters, done: 0, failed, redriven, passed: 0, unseen: 0 }
    }
}

impl Target {
    /// Does something with dead letters; what a program or a job would answer. Without one that was meant, or where several
    /// could be, the inner error says so.
    ///
    /// # Errors
    /// AWS's.
    pub async fn letters(&self, stack: &Stack, act: Act, selection: &Selection) -> Result<Result<Value, String>> {
        let template = self.cloud().template(&stack.id).await?;
        let mut boxes = boxes::boxes(&template, &self.cloud().resources(&stack.id).await?);
        let template = serde_json::from_str(&template).unwrap_or_default();
        for (_, part) in self.stacks_of_parts(Some(&template)).await? {
            let template = self.cloud().template(&part.id).await?;
            boxes.extend(boxes::boxes(&template, &self.cloud().resources(&part.id).await?));
        }
        // An id is one letter's: only when all are seen is it known whose.
        let at_once = matches!(act, Act::Redrive | Act::Drop) && selection.id.is_none();
        let looks = boxes.iter().filter(|held| selection.opens(held));
        let looks = looks.map(|held| self.look(held, selection, at_once.then_some(act)));
        let mut all = Vec::new();
        let mut outcome = Ok(());
        for found in join_all(looks).await {
            match found {
                Ok(found) => all.push(found),
                Err(error) => outcome = Err(error),
            }
        }
        let answer = match (&outcome, act) {
            (Err(_), _) => Ok(Value::Null),
            (Ok(()), Act::List) => Ok(page(&all, selection)),
            (Ok(()), Act::Show) => one(&all).map(|(held, letter)| letter.whole(held, &self.app)),
            (Ok(()), Act::Redrive | Act::Drop) => match several(&all) {
                Some(several) if !at_once => Err(several),
                _ => {
                    for found in &mut all {
                        let letters = std::mem::take(&mut found.letters);
                        let left = self.each(found, letters, act).await;
                        found.letters = left;
                    }
                    Ok(done(&all))
                }
            },
        };
        // Whatever went wrong: what is still there is for others to see.
        for found in &all {
            self.sqs().show_again(&found.held.letters_url, &found.letters).await;
        }
        outcome.map(|()| answer)
    }

    fn sqs(&self) -> Sqs<'_> {
        Sqs(&self.client)
    }

    /// Looks at all that a queue shows; acts on what is wanted at once, or keeps it hidden.
    async fn look<'a>(&self, held: &'a Letterbox, selection: &Selection, act: Option<Act>) -> Result<Found<'a>> {
        let now = Timestamp::now();
        let mut found = Found::of(held);
        let (mut seen, mut passed) = (BTreeSet::new(), Vec::new());
        let outcome = loop {
            let batch = match self.sqs().receive(&held.letters_url, held.fifo).await {
                Ok(batch) => batch,
                Err(error) => break Err(error),
            };
            // What is seen again was hidden for too long: there was more than could be looked at.
            let fresh: Vec<Letter> = batch.into_iter().filter(|letter| seen.insert(letter.item.clone())).collect();
            if fresh.is_empty() {
                break Ok(());
            }
            let (wanted, others) = fresh.into_iter().partition(|letter| selection.wants(held, letter, now));
            passed.extend::<Vec<Letter>>(others);
            match act {
                Some(act) => passed.extend(self.each(&mut found, wanted, act).await),
                None => found.letters.extend::<Vec<Letter>>(wanted),
            }
        };
        if held.fifo && outcome.is_ok() {
            found.unseen = self.sqs().waiting(&held.letters_url).await.unwrap_or_default();
        }
        self.sqs().show_again(&held.letters_url, &passed).await;
        match outcome {
            Ok(()) => Ok(found),
            Err(error) => {
                self.sqs().show_again(&held.letters_url, &found.letters).await;
                Err(error)
            }
        }
    }

    /// Acts on letters, one after another; those that stay. What this run redrove and is given up again is another message to
    /// SQS, and would be redriven for ever: it is passed over.
    async fn each(&self, found: &mut Found<'_>, letters: Vec<Letter>, act: Act) -> Vec<Letter> {
        let mut stay = Vec::new();
        let mut held_back: BTreeSet<String> = BTreeSet::new();
        let mut redriven = BTreeSet::new();
        for letter in letters {
            let group = letter.group.clone().filter(|_| found.held.fifo);
            if found.redriven.contains(&letter.id) {
                found.passed += 1;
                held_back.extend(group);
                stay.push(letter);
                continue;
            }
            // None overtakes one of its group that stays.
            let outcome = match &group {
                Some(group) if held_back.contains(group) => Err("one before it in its group stays".to_owned()),
                _ => self.act(found.held, &letter, act).await,
            };
            match outcome {
                Ok(()) => {
                    found.done += 1;
                    redriven.extend((act == Act::Redrive).then_some(letter.id));
                }
                Err(reason) => {
                    held_back.extend(group);
                    let (id, handler) = (&letter.id, letter.handler(found.held));
                    found.failed.push(json!({ "id": id, "handler": handler, "reason": reason }));
                    stay.push(letter);
                }
            }
        }
        found.redriven.append(&mut redriven);
        stay
    }

    async fn act(&self, held: &Letterbox, letter: &Letter, act: Act) -> Result<(), String> {
        if act == Act::Redrive {
            let queue = held.queue_url.as_deref().ok_or("nobody in the application takes it")?;
            self.sqs().send(queue, &letter.again(held)).await.map_err(|error| error.to_string())?;
        }
        let deleted = self.sqs().delete(&held.letters_url, &letter.receipt).await;
        deleted.map_err(|error| match act {
            Act::Redrive => format!("its message is on its way, but the letter is still there: {error}"),
            _ => error.to_string(),
        })
    }
}

/// Letters by key, each with its box. (The same handler's letter with the same id is the same letter.)
fn sorted<'a>(all: &'a [Found<'_>]) -> BTreeMap<String, (&'a Letterbox, &'a Letter)> {
    let letters = all.iter().flat_map(|found| found.letters.iter().map(|letter| (found.held, letter)));
    letters.map(|(held, letter)| (letter.key(held), (held, letter))).collect()
}

/// A page of a list.
fn page(all: &[Found<'_>], selection: &Selection) -> Value {
    let limit = selection.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let all_keys = sorted(all);
    let left = all_keys.iter().filter(|(key, _)| selection.from.as_ref().is_none_or(|from| *key > from));
    let mut left: Vec<_> = left.collect();
    let next = (left.len() > limit).then(|| left[limit - 1].0.clone());
    left.truncate(limit);
    let letters: Vec<Value> = left.into_iter().map(|(_, (held, letter))| letter.summary(held)).collect();
    let mut page = json!({ "letters": letters });
    if let Some(next) = next {
        page["next"] = next.into();
    }
    with_unseen(page, all)
}

/// The one letter that there is.
fn one<'a>(all: &'a [Found<'_>]) -> Result<(&'a Letterbox, &'a Letter), String> {
    if let Some(several) = several(all) {
        return Err(several);
    }
    let letter = sorted(all).into_values().next();
    letter.ok_or_else(|| "there is no such dead letter; `dead-letters list` shows all".to_owned())
}

/// Why an id does not say which letter is meant.
fn several<'a>(all: &'a [Found<'_>]) -> Option<String> {
    let first = |found: &'a Found<'_>| found.letters.first().map(|letter| letter.handler(found.held));
    let mut handlers = all.iter().filter_map(first);
    let (one, other) = (handlers.next()?, handlers.next()?);
    Some(format!("several handlers gave it up: say which with --handler, {one} or {other}"))
}

fn done(all: &[Found<'_>]) -> Value {
    let failed: Vec<&Value> = all.iter().flat_map(|found| &found.failed).collect();
    let mut answer = json!({ "done": all.iter().map(|found| found.done).sum::<usize>(), "failed": failed });
    let passed: u64 = all.iter().map(|found| found.passed).sum();
    if passed > 0 {
        answer["passed"] = passed.into();
    }
    with_unseen(answer, all)
}

fn with_unseen(mut answer: Value, all: &[Found<'_>]) -> Value {
    let unseen: u64 = all.iter().map(|found| found.unseen).sum();
    if unseen > 0 {
        answer["unseen"] = unseen.into();
    }
    answer
}

#[cfg(test)]
mod tests;
