//! The steps of a release that is several stacks: what each stack is in turn, decided before anything is begun.
//!
//! 1. The main stack gets what is new and keeps what goes; so do parts that keep something. Requests, messages and schedules
//!    go where they went.
//! 2. Functions that no stack has come to theirs; nobody knows them yet.
//! 3. Parts with functions turn into what they are to be, but for functions that leave them: those are still asked, but by no
//!    queue.
//! 4. The main stack becomes what it is to be, and with it requests go to the functions that are there now; then parts that keep
//!    something, and schedules with them, or go.
//! 5. What nobody asks any more goes: functions that have left their part, and parts with functions that the release has
//!    no more.
//!
//! Whatever a run left unfinished is what the next one's steps begin at: each is decided by what is there.

#[cfg(test)]
mod tests;

use crate::between::{
    MOST_RESOURCES, Way, between, is_same, main_between, with_functions, with_leaving, with_release, without_messages,
};
use crate::error::{Error, Result};
use crate::parts::{Part, keeps};
use crate::stack::{Release, fits};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is done at once, each when what was before it has been done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Stacks become something else.
    Turn(Vec<Turn>),
    /// These parts go.
    End(Vec<String>),
}

/// What a stack becomes.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Which part; the main stack, if none.
    pub(crate) part: Option<String>,
    /// Its template.
    pub(crate) template: Value,
    /// Where that is, if it is one of the release's own.
    pub(crate) key: Option<String>,
    /// What it is then, for people; nothing, if it is what it is to be.
    pub(crate) meanwhile: &'static str,
}

impl Turn {
    fn to(part: Option<&str>, template: Value, meanwhile: &'static str) -> Self {
        Turn { part: part.map(str::to_owned), template, key: None, meanwhile }
    }

    /// What it is in the end.
    fn last(part: &Part) -> Self {
        let Part { name, template, template_key } = part.clone();
        Turn { part: Some(name), template, key: Some(template_key), meanwhile: "" }
    }
}

const BESIDE: &str = "what comes, beside what is there";
const COMING: &str = "functions that come";
const LEAVING: &str = "functions that leave are still there";
const SILENT: &str = "takes no more messages";
const WITH_PARTS: &str = "its parts are still there";

/// How stacks stand that a release is to turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    /// The main stack's template, if it is there.
    pub(crate) main: Option<Value>,
    /// Those of parts that are not yet what they are to be: nothing, if they are not there.
    pub(crate) outdated: BTreeMap<String, Value>,
    /// Those of parts that the release has no more.
    pub(crate) orphans: BTreeMap<String, Value>,
}

/// The steps from there to a release.
pub(crate) fn steps(now: &Now, release: &Release) -> Vec<Step> {
    let nothing = Value::Null;
    let main = now.main.as_ref().unwrap_or(&nothing);
    let names: Vec<&str> = release.parts.iter().map(|part| part.name.as_str()).collect();
    let way = Way { version: &release.version, parts: &names };
    let mut steps = Vec::new();
    let mut turn = |turns: Vec<Turn>| steps.extend((!turns.is_empty()).then_some(Step::Turn(turns)));

    let first = main_between(main, &release.template, way);
    turn(first.map(|step| Turn::to(None, step, BESIDE)).into_iter().collect());
    let outdated = release.parts.iter().filter_map(|part| Some((part, now.outdated.get(&part.name)?)));
    let (keeping, functions): (Vec<_>, Vec<_>) = outdated.partition(|(part, _)| part.keeps());
    let mut last = Vec::new();
    let mut first = Vec::new();
    for (part, is) in keeping {
        match between(is, &part.template) {
            Some(step) if is_same(&step, &part.template) => first.push(Turn::last(part)),
            step => {
                first.extend(step.map(|step| Turn::to(Some(&part.name), step, BESIDE)));
                last.push(Turn::last(part));
            }
        }
    }
    turn(first);
    let (mut begun, mut turned, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for (part, is) in functions {
        // Where there was nothing at all, nobody asks for anything.
        let new = now.main.as_ref().and_then(|_| with_functions(is, &part.template));
        match &new {
            Some(step) if is_same(step, &part.template) => {
                begun.push(Turn::last(part));
                continue;
            }
            step => begun.extend(step.iter().map(|step| Turn::to(Some(&part.name), step.clone(), COMING))),
        }
        let is = new.as_ref().unwrap_or(is);
        match with_leaving(is, &part.template) {
            None => turned.push(Turn::last(part)),
            Some(step) => {
                turned.extend((!is_same(&step, is)).then(|| Turn::to(Some(&part.name), step, LEAVING)));
                ended.push(Turn::last(part));
            }
        }
    }
    turn(begun);
    for (part, is) in &now.orphans {
        turned.extend(without_messages(is).map(|step| Turn::to(Some(part), step, SILENT)));
    }
    turn(turned);
    let end = |keeping: bool| {
        let those = now.orphans.iter().filter(|(_, is)| keeps(is) == keeping);
        let names: Vec<String> = those.map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then_some(Step::End(names))
    };
    let (template, key) = (release.template.clone(), Some(release.template_key.clone()));
    let whole = Turn { part: None, template, key, meanwhile: "" };
    if release.parts.is_empty() {
        // What says that there are parts goes after them.
        let step = with_release(main, &release.template, way);
        turn(step.map(|step| Turn::to(None, step, WITH_PARTS)).into_iter().collect());
        steps.extend([end(true), end(false)].into_iter().flatten());
        steps.push(Step::Turn(vec![whole]));
    } else {
        turn(vec![whole]);
        turn(last);
        steps.extend(end(true));
        steps.extend((!ended.is_empty()).then_some(Step::Turn(ended)));
        steps.extend(end(false));
    }
    steps
}

/// Whether CloudFormation takes all that stacks are on the way: what is refused is refused before anything is begun.
pub(crate) fn fit(steps: &[Step], stack: &str) -> Result<()> {
    let turns = steps.iter().flat_map(|step| match step {
        Step::Turn(turns) => &turns[..],
        Step::End(_) => &[],
    });
    for turn in turns.filter(|turn| turn.key.is_none()) {
        let count = turn.template["Resources"].as_object().map_or(0, serde_json::Map::len);
        if count > MOST_RESOURCES {
            let stack = turn.part.as_ref().map_or_else(|| stack.to_owned(), |part| format!("{stack}-{part}"));
            return Err(Error::NoRoom { stack, resources: count });
        }
        // It is longer than those of the release.
        fits(turn.template.to_string().len())?;
    }
    Ok(())
}
