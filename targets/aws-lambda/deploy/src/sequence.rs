//! A release that goes live in as many steps as it takes: one change set, or the main stack's and its parts' in an order in
//! which nothing is missing for a moment.
//!
//! The main stack gets what is new and keeps what goes; parts turn into what they are to be; the main stack leads requests to
//! them, and lets go. A run that is interrupted leaves old and new side by side, and the next one goes on from there.

use crate::between::{MOST_RESOURCES, between, towards, with_release};
use crate::cloudformation::Stack;
use crate::code;
use crate::error::{Error, Result};
use crate::follow::{News, Outcome};
use crate::parts::{Part, hashes};
use crate::plan::Plan;
use crate::stack::{Clear, Live, Proposal, Release, Standing, Target, fits, version};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::App;

/// Stacks that are changed at a time: CloudFormation answers an account some times a second, all its users together.
const AT_ONCE: usize = 4;

/// A release, and what it takes for it to go live.
#[derive(Clone, Debug)]
pub struct Staged {
    /// What changes.
    pub plan: Plan,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// By one change set.
    Single(Proposal),
    /// By several.
    Sequence {
        /// What the main stack is now.
        live: Option<Live>,
        /// The parts that are not yet what they are to be.
        outdated: Vec<String>,
        /// Those that the release has no more.
        orphans: Vec<String>,
        /// What those are that keep something, and are to be another.
        kept: BTreeMap<String, Value>,
    },
}

/// What a part is.
struct Now {
    template: Value,
    version: String,
    code_key: String,
    is_busy: bool,
}

/// How it ended, and the template of the stack that it ended with.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Of the first stack that could not be made what it was to be, or of the last.
    pub outcome: Outcome,
    /// That stack's template.
    pub template: Value,
}

impl Target {
    /// Finds out what it takes for a release to go live; `None` if it is.
    ///
    /// # Errors
    /// AWS's; what CloudFormation finds wrong with the main template; a part's stack of someone else's.
    pub async fn stage(
        &self,
        standing: &Standing,
        release: &Release,
        parameters: [&str; 3],
        apps: (Option<&App>, &App),
    ) -> Result<Option<Staged>> {
        let live = match standing {
            Standing::Absent => None,
            Standing::Ready(stack) => Some(self.live(stack, parameters).await?),
        };
        let had_parts = live.as_ref().is_some_and(|live| live.is_between || !hashes(&live.template).is_empty());
        if release.parts.is_empty() && !had_parts {
            let proposal = self.propose(standing, release, parameters, apps).await?;
            return Ok(proposal.map(|proposal| Staged { plan: proposal.plan.clone(), way: Way::Single(proposal) }));
        }
        let mut plan = match standing {
            Standing::Absent => Some(Plan::of_new(&release.template, apps.1)),
            Standing::Ready(_) => {
                let proposal = self.propose(standing, release, parameters, apps).await?;
                if let Some(proposal) = &proposal {
                    self.discard(proposal).await?;
                }
                proposal.map(|proposal| proposal.plan)
            }
        };
        // Where the main stack is what it is to be already.
        let same = || {
            let old = live.as_ref().map(|live| &live.template);
            Plan::new(&[], old, &release.template, apps)
        };
        let (mut outdated, mut kept) = (Vec::new(), BTreeMap::new());
        for part in &release.parts {
            let now = self.part_now(&part.name, parameters).await?;
            // What is under way may go back to what was before it.
            let is_done = |now: &Now| !now.is_busy && now.version == version(&part.template, &release.code_key);
            if !now.as_ref().is_some_and(is_done) {
                let recoded = now.as_ref().is_some_and(|now| now.code_key != release.code_key);
                let old = now.as_ref().map(|now| &now.template);
                plan.get_or_insert_with(same).add_part(&part.name, old, Some(&part.template), recoded);
                outdated.push(part.name.clone());
                kept.extend(now.filter(|_| part.keeps()).map(|now| (part.name.clone(), now.template)));
            }
        }
        let names: BTreeSet<&str> = release.parts.iter().map(|part| part.name.as_str()).collect();
        let mut orphans = self.parts().await?;
        orphans.retain(|name| !names.contains(name.as_str()));
        for name in &orphans {
            let now = self.part_now(name, parameters).await?;
            plan.get_or_insert_with(same).add_part(name, now.as_ref().map(|now| &now.template), None, false);
        }
        if let Some(plan) = &mut plan {
            plan.look_for_moves();
        }
        Ok(plan.map(|plan| Staged { plan, way: Way::Sequence { live, outdated, orphans, kept } }))
    }

    /// What a part is now; `None` if there is nothing to change, but all to make.
    async fn part_now(&self, name: &str, parameters: [&str; 3]) -> Result<Option<Now>> {
        let target = self.part(name);
        let Some(stack) = target.stack(false).await?.filter(Stack::is_made) else { return Ok(None) };
        let Live { template, version, .. } = target.live(&stack, parameters).await?;
        let code_key = code::live(&stack, parameters).to_owned();
        Ok(Some(Now { template, version, code_key, is_busy: stack.is_busy() }))
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// AWS's.
    pub async fn leave(&self, staged: &Staged) -> Result<()> {
        match &staged.way {
            Way::Single(proposal) => self.discard(proposal).await,
            Way::Sequence { .. } => Ok(()),
        }
    }

    /// Makes a release live, and follows each stack to its end.
    ///
    /// # Errors
    /// AWS's; [`Error::NoRoom`] if the main stack can't hold old and new. What fails in a stack is an [`Outcome`].
    pub async fn carry_out(
        &self,
        staged: &Staged,
        release: &Release,
        parameters: [&str; 3],
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Ended> {
        match &staged.way {
            Way::Single(proposal) => {
                let outcome = self.execute(proposal, tell).await?;
                Ok(Ended { outcome, template: release.template.clone() })
            }
            Way::Sequence { live, outdated, orphans, kept } => {
                let nothing = Value::Null;
                let now = live.as_ref().map_or(&nothing, |live| &live.template);
                let first = between(now, &release.template, &release.version);
                if let Some(count) =
                    first.as_ref().and_then(|first| first["Resources"].as_object()).map(serde_json::Map::len)
                    && count > MOST_RESOURCES
                {
                    return Err(Error::NoRoom { stack: self.stack.clone(), resources: count });
                }
                // The steps' templates are longer than those of the release: what is too long is told while nothing has changed.
                let of_part = |part: &Part| between(kept.get(&part.name)?, &part.template, &release.version);
                for step in first.iter().cloned().chain(release.parts.iter().filter_map(of_part)) {
                    fits(step.to_string().len())?;
                }
                tell(News::Begun);
                let steps = Steps { target: self, release, parameters, tell: RefCell::new(tell) };
                let ended = steps.take(now, first, (outdated, orphans, kept)).await?;
                (steps.tell.into_inner())(News::AtRest);
                Ok(ended)
            }
        }
    }
}

/// Parts that are outdated, that are to go, and what those are that keep something.
type Parts<'p> = (&'p [String], &'p [String], &'p BTreeMap<String, Value>);

/// The steps of a release, as they are taken.
struct Steps<'a, 't> {
    target: &'a Target,
    release: &'a Release,
    parameters: [&'a str; 3],
    tell: Tell<'t>,
}

impl Steps<'_, '_> {
    async fn take(&self, now: &Value, first: Option<Value>, parts: Parts<'_>) -> Result<Ended> {
        let (outdated, orphans, kept) = parts;
        let release = self.release;
        if let Some(template) = first {
            let ended = self.main(template).await?;
            if !ended.outcome.is_success() {
                return Ok(ended);
            }
        }
        let outdated = release.parts.iter().filter(|part| outdated.contains(&part.name));
        let (keeping, functions): (Vec<&Part>, Vec<&Part>) = outdated.partition(|part| part.keeps());
        let begun = keeping.iter().filter_map(|part| {
            let nothing = Value::Null;
            let template = between(kept.get(&part.name).unwrap_or(&nothing), &part.template, &release.version)?;
            Some(self.part(part, template))
        });
        if let Some(failed) = all(begun).await? {
            return Ok(failed);
        }
        if let Some(failed) = all(functions.iter().map(|part| self.part(part, part.template.clone()))).await? {
            return Ok(failed);
        }
        if release.parts.is_empty() {
            // What says that there are parts goes after them; where nothing does yet, no request is led to them yet.
            if let Some(template) = with_release(now, &release.template, &release.version) {
                let ended = self.main(template).await?;
                if !ended.outcome.is_success() {
                    return Ok(ended);
                }
            }
            if let Some(failed) = all(orphans.iter().map(|name| end(self.target, name, &self.tell))).await? {
                return Ok(failed);
            }
            return self.main(release.template.clone()).await;
        }
        let ended = self.main(release.template.clone()).await?;
        if !ended.outcome.is_success() {
            return Ok(ended);
        }
        if let Some(failed) = all(keeping.iter().map(|part| self.part(part, part.template.clone()))).await? {
            return Ok(failed);
        }
        Ok(all(orphans.iter().map(|name| end(self.target, name, &self.tell))).await?.unwrap_or(ended))
    }

    /// Turns the main stack into one of its steps.
    async fn main(&self, template: Value) -> Result<Ended> {
        self.turn(self.target, Release { template, parts: Vec::new(), ..self.release.clone() }).await
    }

    async fn part(&self, part: &Part, template: Value) -> Result<Ended> {
        self.turn(&self.target.part(&part.name), Release { template, ..self.release.of_part(part) }).await
    }

    /// Turns one stack into what it is to be.
    async fn turn(&self, target: &Target, mut release: Release) -> Result<Ended> {
        let tell = &mut |news: News<'_>| tell(&self.tell, news);
        tell(News::Stack(&target.stack));
        let text = Bytes::from(release.template.to_string());
        let is_stored = |part: &Part| part.template_key == release.template_key && part.template == release.template;
        if release.template != self.release.template && !self.release.parts.iter().any(is_stored) {
            release.template_key = target.template_key(&text);
            target.put_template(&release.template_key, text, tell).await?;
        }
        let standing = target.settle(target.main.is_none(), Clear::Failed { allow_replacement: false }, tell).await?;
        let outcome = match target.propose_changes(&standing, &release, self.parameters).await? {
            Some((set, _)) => target.execute_changes(&set, tell).await?,
            // It is what it is to be.
            None => Outcome { stack: None, events: Vec::new() },
        };
        Ok(Ended { outcome, template: release.template })
    }
}

type Tell<'t> = RefCell<&'t mut dyn FnMut(News<'_>)>;

/// Tells of one of several operations, whose beginning and end are told of once.
fn tell(all: &Tell<'_>, news: News<'_>) {
    if !matches!(news, News::Begun | News::AtRest) {
        (all.borrow_mut())(news);
    }
}

/// Some at a time; whatever becomes of one, others are seen to their end. The first that failed, if one did.
async fn all<F: Future<Output = Result<Ended>>>(turns: impl Iterator<Item = F>) -> Result<Option<Ended>> {
    let ended: Vec<Result<Ended>> = stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
    let mut failed = None;
    for ended in ended {
        let ended = ended?;
        if !ended.outcome.is_success() {
            failed.get_or_insert(ended);
        }
    }
    Ok(failed)
}

/// Removes a part.
async fn end(main: &Target, name: &str, of_all: &Tell<'_>) -> Result<Ended> {
    let target = main.part(name);
    let tell = &mut |news: News<'_>| tell(of_all, news);
    tell(News::Stack(&target.stack));
    let outcome = match target.stack(false).await? {
        Some(stack) => target.remove(&stack, tell).await?,
        None => Outcome { stack: None, events: Vec::new() },
    };
    Ok(Ended { outcome, template: Value::Null })
}

impl Target {
    /// The parts of a main stack with this template that are there, each with its own stack.
    ///
    /// # Errors
    /// AWS's.
    pub async fn stacks_of_parts(&self, template: &Value) -> Result<Vec<(Target, Stack)>> {
        let mut stacks = Vec::new();
        if towards(template).is_some() || !hashes(template).is_empty() {
            for name in self.parts().await? {
                let part = self.part(&name);
                let stack = part.stack(false).await?;
                stacks.extend(stack.map(|stack| (part, stack)));
            }
        }
        Ok(stacks)
    }

    /// Removes all parts, and then the main stack: what parts name is there as long as they are.
    ///
    /// # Errors
    /// AWS's. What can't be deleted is an [`Outcome`].
    pub async fn remove_all(
        &self,
        stack: &Stack,
        parts: &[(Target, Stack)],
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Outcome> {
        if !parts.is_empty() {
            tell(News::Begun);
            let names = parts.iter().filter_map(|(part, _)| part.stack.strip_prefix(&self.stack)?.strip_prefix('-'));
            let failed = {
                let mut forward = |news: News<'_>| tell(news);
                let of_all: Tell<'_> = RefCell::new(&mut forward);
                all(names.map(|name| end(self, name, &of_all))).await?
            };
            tell(News::AtRest);
            if let Some(failed) = failed {
                return Ok(failed.outcome);
            }
        }
        self.remove(stack, tell).await
    }
}
