//! A release that goes live in as many steps as it takes: one change set, or the main stack's and its parts' in an order in
//! which nothing is missing for a moment.

use crate::between::{given, is_same, known, told, towards};
use crate::cloudformation::Stack;
use crate::code;
use crate::error::{Error, Result};
use crate::follow::{News, Outcome};
use crate::parts::{Part, hashes, keeps};
use crate::plan::{Fate, Plan};
use crate::stack::{Clear, Live, Proposal, Release, Standing, Target, half_back};
use crate::steps::{Now, Step, Turn, fit, steps};
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
    /// By several, from what stacks are now.
    Sequence(Now, Vec<Step>),
}

/// What a part is.
struct Found {
    template: Value,
    code_key: String,
    is_busy: bool,
}

impl Staged {
    /// Whether that is done in several stacks, one after the other.
    pub fn is_sequence(&self) -> bool {
        matches!(self.way, Way::Sequence(..))
    }
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
    /// AWS's; what CloudFormation finds wrong with the main template; a part's stack of someone else's; [`Error::NoRoom`] if a
    /// stack can't hold old and new.
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
        let (mut plan, mut now) = (Plan::default(), Now::default());
        let mut there = BTreeMap::new();
        for part in &release.parts {
            there.extend(
                self.part_now(&part.name, live.is_some() || part.keeps(), parameters)
                    .await?
                    .map(|found| (part.name.as_str(), found)),
            );
        }
        // What is told now, and what is lost of it: functions were made of what there is no more.
        let main = live.as_ref().map(|live| &live.template).unwrap_or(&Value::Null);
        let mut is_told = told(main);
        there.values().filter(|found| keeps(&found.template)).for_each(|found| is_told.extend(told(&found.template)));
        let had = hashes(main);
        let is_lost =
            |part: &&Part| part.keeps() && had.contains_key(&part.name) && !there.contains_key(part.name.as_str());
        let lost: Vec<String> =
            release.parts.iter().filter(is_lost).map(|part| format!("resources/{}/", part.name)).collect();
        let is_baseless = |template: &Value| {
            live.is_none() || given(template).any(|path| lost.iter().any(|lost| path.starts_with(lost.as_str())))
        };
        for part in &release.parts {
            let mut found = there.remove(part.name.as_str());
            if !part.keeps() && found.as_ref().is_some_and(|found| is_baseless(&found.template)) {
                now.baseless.extend(found.take().map(|found| (part.name.clone(), found.template)));
            }
            let has_code = parameters.iter().any(|name| !part.template["Parameters"][name].is_null());
            let recoded = found.as_ref().is_some_and(|found| has_code && found.code_key != release.code_key);
            // One that was given what is told no more is given something else now.
            let is_given = |found: &Found| given(&found.template).all(|path| is_told.contains(path));
            let is_same = |found: &Found| is_same(&found.template, &part.template);
            let is_done = |found: &Found| !found.is_busy && !recoded && is_same(found) && is_given(found);
            if !found.as_ref().is_some_and(is_done) {
                let old = found.map(|found| found.template);
                plan.add_part(&part.name, old.as_ref(), Some(&part.template), recoded);
                now.outdated.insert(part.name.clone(), old.unwrap_or_default());
            }
        }
        let names: BTreeSet<&str> = release.parts.iter().map(|part| part.name.as_str()).collect();
        for (name, _, _) in self.parts_found(live.as_ref().map(|live| &live.template)).await? {
            if !names.contains(name.as_str()) {
                let found = self.part_now(&name, false, parameters).await?;
                plan.add_part(&name, found.as_ref().map(|found| &found.template), None, false);
                now.orphans.insert(name, found.map(|found| found.template).unwrap_or_default());
            }
        }
        if now.outdated.is_empty() && now.orphans.is_empty() {
            let proposal = self.propose(standing, release, parameters, apps).await?;
            return Ok(proposal.map(|proposal| Staged { plan: proposal.plan.clone(), way: Way::Single(proposal) }));
        }
        let mut whole = match standing {
            Standing::Absent => Plan::of_new(&release.template, apps.1),
            Standing::Ready(_) => {
                let proposal = self.propose(standing, release, parameters, apps).await?;
                if let Some(proposal) = &proposal {
                    self.discard(proposal).await?;
                }
                // The main stack may be what it is to be already.
                let same = || Plan::new(&[], live.as_ref().map(|live| &live.template), &release.template, apps);
                proposal.map_or_else(same, |proposal| proposal.plan)
            }
        };
        // Parts that are there without their main stack are of an application that nobody has written down.
        whole.unrecorded |= live.is_none() && plan.resources.iter().any(|one| one.fate != Fate::Create);
        whole.join(plan);
        now.main = live.map(|live| live.template);
        let steps = steps(&now, release);
        fit(&steps, &self.stack)?;
        Ok(Some(Staged { plan: whole, way: Way::Sequence(now, steps) }))
    }

    /// Waits for what an earlier run left under way in parts: what they will be is then decided by what they are.
    ///
    /// # Errors
    /// AWS's.
    pub async fn await_parts(
        &self,
        standing: &Standing,
        release: &Release,
        parameters: [&str; 3],
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<()> {
        let mut names: BTreeSet<String> = release.parts.iter().map(|part| part.name.clone()).collect();
        let live = match standing {
            Standing::Absent => None,
            Standing::Ready(stack) => Some(self.live(stack, parameters).await?.template),
        };
        names.extend(self.parts_found(live.as_ref()).await?.into_iter().map(|(name, _, _)| name));
        for name in names {
            let part = self.part(&name);
            while let Some(stack) = part.stack(false).await?.filter(Stack::is_busy) {
                part.wait(&stack, tell).await?;
            }
        }
        Ok(())
    }

    /// What a part is now; `None` if there is nothing to change, but all to make, which is refused where something is left that
    /// keeps something.
    async fn part_now(&self, name: &str, stays: bool, parameters: [&str; 3]) -> Result<Option<Found>> {
        let target = self.part(name);
        let Some(stack) = target.stack(false).await? else { return Ok(None) };
        if !stack.is_made() {
            if stays && stack.status == "DELETE_FAILED" {
                target.is_clearable(&stack).await?;
            }
            return Ok(None);
        }
        if stays && stack.status == "UPDATE_ROLLBACK_FAILED" {
            return Err(half_back(&stack));
        }
        let template = target.live(&stack, parameters).await?.template;
        let code_key = code::live(&stack, parameters).to_owned();
        Ok(Some(Found { template, code_key, is_busy: stack.is_busy() }))
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// AWS's.
    pub async fn leave(&self, staged: &Staged) -> Result<()> {
        match &staged.way {
            Way::Single(proposal) => self.discard(proposal).await,
            Way::Sequence(..) => Ok(()),
        }
    }

    /// Makes a release live, and follows each stack to its end. What a part's first deployment left that failed is deleted
    /// first, even where that deletes what keeps data if `allow_replacement` says so.
    ///
    /// # Errors
    /// AWS's; [`Error::Overtaken`] by another deployment. What fails in a stack is an [`Outcome`].
    pub async fn carry_out(
        &self,
        staged: &Staged,
        release: &Release,
        parameters: [&str; 3],
        allow_replacement: bool,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Ended> {
        match &staged.way {
            Way::Single(proposal) => {
                let outcome = self.execute(proposal, tell).await?;
                Ok(Ended { outcome, template: release.template.clone() })
            }
            Way::Sequence(now, steps) => {
                let clear = Clear::Failed { allow_replacement };
                let mut has_begun = false;
                let mut note = |news: News<'_>| {
                    has_begun |= matches!(news, News::Begun);
                    tell(news);
                };
                let known = RefCell::new(now.templates());
                let carried = Steps { target: self, release, parameters, clear, known, tell: RefCell::new(&mut note) };
                let ended = carried.take(steps).await;
                // Each was seen to its end, but where nobody knows what was done.
                if has_begun && !ended.as_ref().is_err_and(Error::is_unanswered) {
                    tell(News::AtRest);
                }
                ended
            }
        }
    }
}

/// The steps of a release, as they are taken.
struct Steps<'a, 't> {
    target: &'a Target,
    release: &'a Release,
    parameters: [&'a str; 3],
    clear: Clear,
    /// The template of each stack that steps are about, as far as they have come: one that has another was changed by somebody
    /// else.
    known: RefCell<BTreeMap<Option<String>, Value>>,
    tell: Tell<'t>,
}

impl Steps<'_, '_> {
    async fn take(&self, steps: &[Step]) -> Result<Ended> {
        for step in steps {
            let failed = match step {
                Step::End(names) => all(names.iter().map(|name| self.end(name))).await?,
                Step::Turn(turns) => all(turns.iter().map(|turn| self.turn(turn))).await?,
            };
            if let Some(failed) = failed {
                return Ok(failed);
            }
        }
        let outcome = Outcome { stack: None, events: Vec::new() };
        Ok(Ended { outcome, template: self.release.template.clone() })
    }

    /// Nobody else has changed a stack.
    async fn is_as_known(&self, part: Option<&str>, target: &Target, stack: Option<&Stack>) -> Result<()> {
        let live = match stack {
            Some(stack) => target.live(stack, self.parameters).await?.template,
            None => Value::Null,
        };
        let known = self.known.borrow().get(&part.map(str::to_owned)).cloned().unwrap_or_default();
        if is_same(&live, &known) { Ok(()) } else { Err(Error::Overtaken { stack: target.stack.clone() }) }
    }

    /// Removes a part.
    async fn end(&self, name: &str) -> Result<Ended> {
        let target = self.target.part(name);
        let tell = &mut |news: News<'_>| tell(&self.tell, news);
        while let Some(stack) = target.stack(false).await?.filter(Stack::is_busy) {
            target.wait(&stack, tell).await?;
        }
        let stack = target.stack(false).await?.filter(Stack::is_made);
        self.is_as_known(Some(name), &target, stack.as_ref()).await?;
        let ended = end(self.target, name, &self.tell).await?;
        if ended.outcome.is_success() {
            self.known.borrow_mut().insert(Some(name.to_owned()), Value::Null);
        }
        Ok(ended)
    }

    /// Turns one stack into what it is to be.
    async fn turn(&self, turn: &Turn) -> Result<Ended> {
        let part = turn.part.as_ref().map(|part| self.target.part(part));
        let target = part.as_ref().unwrap_or(self.target);
        let tell = &mut |news: News<'_>| tell(&self.tell, news);
        tell(News::Stack(&target.stack, turn.meanwhile));
        let template = turn.template.clone();
        let template_key = match &turn.key {
            Some(key) => key.clone(),
            None => {
                let text = Bytes::from(turn.text());
                let key = target.template_key(&text);
                target.put_template(&key, text, tell).await?;
                key
            }
        };
        let release = Release { template, template_key, parts: Vec::new(), ..self.release.clone() };
        let standing = target.settle(target.main.is_none(), self.clear, tell).await?;
        let stack = match &standing {
            Standing::Absent => None,
            Standing::Ready(stack) => Some(&**stack),
        };
        self.is_as_known(turn.part.as_deref(), target, stack).await?;
        let outcome = match target.propose_changes(&standing, &release, self.parameters).await? {
            Some((set, _)) => target.execute_changes(&set, tell).await?,
            // It is what it is to be.
            None => Outcome { stack: None, events: Vec::new() },
        };
        if outcome.is_success() {
            self.known.borrow_mut().insert(turn.part.clone(), release.template.clone());
        }
        Ok(Ended { outcome, template: release.template })
    }
}

type Tell<'t> = RefCell<&'t mut dyn FnMut(News<'_>)>;

/// Tells of one of several operations: they have come to rest when all have. Whatever is done to one, or waited for, they have
/// begun.
fn tell(all: &Tell<'_>, news: News<'_>) {
    if matches!(news, News::Waiting(_) | News::Clearing(..)) {
        (all.borrow_mut())(News::Begun);
    }
    if !matches!(news, News::AtRest) {
        (all.borrow_mut())(news);
    }
}

/// Some at a time; whatever becomes of one, others are seen to their end. The first that failed, if one did.
///
/// # Errors
/// Of one of which nobody knows what was done, or else of the first that none failed beside.
async fn all<F: Future<Output = Result<Ended>>>(turns: impl Iterator<Item = F>) -> Result<Option<Ended>> {
    let ended: Vec<Result<Ended>> = stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
    let (mut failed, mut error) = (None, None);
    for ended in ended {
        match ended {
            Ok(ended) if ended.outcome.is_success() => {}
            Ok(ended) => drop(failed.get_or_insert(ended)),
            Err(unanswered) if unanswered.is_unanswered() => return Err(unanswered),
            Err(other) => drop(error.get_or_insert(other)),
        }
    }
    match (failed, error) {
        (None, Some(error)) => Err(error),
        (failed, _) => Ok(failed),
    }
}

/// Removes a part.
async fn end(main: &Target, name: &str, of_all: &Tell<'_>) -> Result<Ended> {
    let target = main.part(name);
    let tell = &mut |news: News<'_>| tell(of_all, news);
    tell(News::Stack(&target.stack, "goes"));
    let outcome = match target.stack(false).await? {
        Some(stack) => target.remove(&stack, tell).await?,
        None => Outcome { stack: None, events: Vec::new() },
    };
    Ok(Ended { outcome, template: Value::Null })
}

impl Target {
    /// The parts of a main stack with this template that are there, each with its own stack: those that say so, and those that
    /// it says may be; of none that is there, those that are left. Asked for only where there may be some, since who deploys an
    /// application of one stack need not be allowed to.
    ///
    /// # Errors
    /// AWS's.
    pub(crate) async fn parts_there(&self, main: Option<&Value>) -> Result<Vec<(String, Target, Stack)>> {
        let mut stacks = Vec::new();
        if main.is_some_and(|main| towards(main).is_none() && hashes(main).is_empty()) {
            return Ok(stacks);
        }
        let mut names: BTreeSet<String> = main.into_iter().flat_map(known).map(str::to_owned).collect();
        names.extend(self.parts().await?);
        for name in names {
            let part = self.part(&name);
            match part.stack(false).await {
                // Never made, and now somebody else's name.
                Err(Error::InTheWay { .. }) | Ok(None) => {}
                stack => stacks.extend(stack?.map(|stack| (name, part, stack))),
            }
        }
        Ok(stacks)
    }

    /// The same. Where there is no main stack, who may not look finds none: most often there are none.
    async fn parts_found(&self, main: Option<&Value>) -> Result<Vec<(String, Target, Stack)>> {
        match self.parts_there(main).await {
            Err(Error::Refused(refusal)) if main.is_none() && refusal.is_denied() => Ok(Vec::new()),
            there => there,
        }
    }

    /// The same, without their names.
    ///
    /// # Errors
    /// AWS's.
    pub async fn stacks_of_parts(&self, main: Option<&Value>) -> Result<Vec<(Target, Stack)>> {
        let there = self.parts_there(main).await?;
        Ok(there.into_iter().map(|(_, target, stack)| (target, stack)).collect())
    }

    /// Whether parts are not what the main stack says that they are, though it says of itself that it is whole: a run ended
    /// before its turn came. What can't be compared, since its template is kept no more, counts as what it should be.
    ///
    /// # Errors
    /// AWS's.
    pub async fn is_half_way(&self, live: &Live, parts: &[(Target, Stack)], parameters: [&str; 3]) -> Result<bool> {
        let hashes = hashes(&live.template);
        let is_known = |part: &Target| hashes.keys().any(|name| self.part(name).stack == part.stack);
        if !hashes.is_empty() && parts.iter().any(|(part, _)| !is_known(part)) {
            return Ok(true);
        }
        for (name, hash) in hashes {
            let target = self.part(&name);
            let part = parts.iter().find(|(part, _)| part.stack == target.stack);
            let Some((_, stack)) = part.filter(|(_, stack)| stack.is_made()) else { return Ok(true) };
            let is = target.live(stack, parameters).await?.template;
            let kept = self.storage().get(&self.part_key(&hash)).await?;
            let should_be = kept.and_then(|kept| serde_json::from_slice::<Value>(&kept).ok());
            if should_be.is_some_and(|should_be| !is_same(&is, &should_be)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What all stacks of an application tell: key, value, description.
    ///
    /// # Errors
    /// AWS's.
    pub async fn outputs(&self, stack: &Stack) -> Result<Vec<(String, String, String)>> {
        let parts = self.parts_of(stack).await?;
        let mut all: Vec<_> =
            [stack].into_iter().chain(parts.iter().map(|(_, part)| part)).flat_map(|one| one.outputs.clone()).collect();
        all.sort();
        Ok(all)
    }

    /// The main stack and parts whose update failed, and going back from it, too: they can be changed once that went on.
    ///
    /// # Errors
    /// AWS's.
    pub async fn half_back(&self, stack: &Stack, parameters: [&str; 3]) -> Result<Vec<(Target, Stack)>> {
        let live = if stack.is_review() { Live::default() } else { self.live(stack, parameters).await? };
        let mut all = vec![(self.clone(), stack.clone())];
        all.extend(self.stacks_of_parts(Some(&live.template)).await?);
        all.retain(|(_, stack)| stack.status == "UPDATE_ROLLBACK_FAILED");
        Ok(all)
    }

    /// Removes all parts, and then the main stack if it is there: what parts name is there as long as they are.
    ///
    /// # Errors
    /// AWS's. What can't be deleted is an [`Outcome`].
    pub async fn remove_all(
        &self,
        stack: Option<&Stack>,
        parts: &[(Target, Stack)],
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Outcome> {
        // Functions first: what modules keep is named by them, and would be another if it were made anew.
        let (mut keeping, mut functions) = (Vec::new(), Vec::new());
        for (part, stack) in parts {
            let Some(name) = part.stack.strip_prefix(&self.stack).and_then(|name| name.strip_prefix('-')) else {
                continue;
            };
            let template = if stack.is_review() { Value::Null } else { part.live(stack, [""; 3]).await?.template };
            if keeps(&template) { &mut keeping } else { &mut functions }.push(name);
        }
        for names in [functions, keeping].into_iter().filter(|names| !names.is_empty()) {
            let failed = {
                let mut forward = |news: News<'_>| tell(news);
                let of_all: Tell<'_> = RefCell::new(&mut forward);
                all(names.iter().map(|name| end(self, name, &of_all))).await?
            };
            tell(News::AtRest);
            if let Some(failed) = failed {
                return Ok(failed.outcome);
            }
        }
        match stack {
            Some(stack) => self.remove(stack, tell).await,
            None => Ok(Outcome { stack: None, events: Vec::new() }),
        }
    }
}
