//! The steps of a release that is several stacks: what each stack is in turn, decided before anything is begun.
//!
//! 1. The main stack gets what is new and keeps what goes; so do parts that keep something. Requests, messages and schedules
//!    go where they went.
//! 2. Functions that no stack has come to theirs; nobody knows them yet.
//! 3. Parts with functions turn into what they are to be, but for functions that leave them: those are still asked.
//! 4. Queues let go of functions that leave: others take their messages by now.
//! 5. The main stack becomes what it is to be, and with it requests go to the functions that are there now; then parts that keep
//!    something, and schedules with them, turn or go.
//! 6. What nobody asks any more goes: functions that have left their part, and parts with functions that the release has no
//!    more.
//!
//! Whatever a run left unfinished is what the next one's steps begin at: each is decided by what is there.

#[cfg(test)]
mod tests;

use crate::between::{
    MOST_PARAMETERS, MOST_RESOURCES, Way, between, is_same, main_between, told, with_functions, with_leaving,
    with_release, without_messages, without_untold,
};
use crate::error::{Error, Result};
use crate::parts::{Part, keeps};
use crate::stack::{Release, fits};
use serde_json::Value;
use std::collections::BTreeMap;
use updraft_wire::aws::ascii;

/// What is done at once, each when what was before it has been done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Stacks become something else.
    Turn(Vec<Turn>),
    /// These parts go.
    End(Vec<String>),
}

impl Step {
    fn is_empty(&self) -> bool {
        match self {
            Step::Turn(turns) => turns.is_empty(),
            Step::End(names) => names.is_empty(),
        }
    }
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
    fn to(part: &str, template: Value, meanwhile: &'static str) -> Self {
        Turn { part: Some(part.to_owned()), template, key: None, meanwhile }
    }

    /// Its template's text, which CloudFormation gives back as it is.
    pub(crate) fn text(&self) -> String {
        ascii(&self.template.to_string())
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
const SILENT: &str = "functions that leave take no more messages";
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
    /// Those of parts that are made of what is there no more: they go before they are made anew. They are outdated, too.
    pub(crate) baseless: BTreeMap<String, Value>,
}

impl Now {
    /// The template of each stack that steps are about: the main one's, and parts'.
    pub(crate) fn templates(&self) -> BTreeMap<Option<String>, Value> {
        let parts = self.outdated.iter().chain(&self.orphans).chain(&self.baseless);
        let mut all: BTreeMap<_, _> = parts.map(|(part, is)| (Some(part.clone()), is.clone())).collect();
        all.extend(self.main.clone().map(|main| (None, main)));
        all
    }
}

/// What is done to parts, each list at once.
#[derive(Default)]
struct Lists {
    /// Parts that keep something are old and new at once.
    wide: Vec<Turn>,
    /// Functions come to theirs.
    coming: Vec<Turn>,
    /// Parts are what they are to be, but for what leaves them.
    turned: Vec<Turn>,
    /// No messages come to functions that leave.
    silent: Vec<Turn>,
    /// Parts that keep something are what they are to be.
    narrow: Vec<Turn>,
    /// What has left its part is gone.
    left: Vec<Turn>,
}

impl Lists {
    fn keeping(&mut self, part: &Part, is: &Value) {
        match between(is, &part.template) {
            Some(step) if is_same(&step, &part.template) => self.wide.push(Turn::last(part)),
            step => {
                self.wide.extend(step.map(|step| Turn::to(&part.name, step, BESIDE)));
                self.narrow.push(Turn::last(part));
            }
        }
    }

    /// `asked` says that somebody may ask already.
    fn functions(&mut self, part: &Part, is: &Value, asked: bool) {
        let new = with_functions(is, &part.template).filter(|_| asked);
        match &new {
            Some(step) if is_same(step, &part.template) => return self.coming.push(Turn::last(part)),
            Some(step) => self.coming.push(Turn::to(&part.name, step.clone(), COMING)),
            None => {}
        }
        let is = new.as_ref().unwrap_or(is);
        match with_leaving(is, &part.template) {
            None => self.turned.push(Turn::last(part)),
            Some(step) => {
                let silent = without_messages(&step, &part.template);
                self.silent.extend(silent.map(|step| Turn::to(&part.name, step, SILENT)));
                self.turned.extend((!is_same(&step, is)).then(|| Turn::to(&part.name, step, LEAVING)));
                self.left.push(Turn::last(part));
            }
        }
    }
}

/// The steps from there to a release.
pub(crate) fn steps(now: &Now, release: &Release) -> Vec<Step> {
    let nothing = Value::Null;
    let main = now.main.as_ref().unwrap_or(&nothing);
    let names: Vec<&str> = release.parts.iter().map(|part| part.name.as_str()).collect();
    let way = Way { version: &release.version, parts: &names };
    let wide = main_between(main, &release.template, way);

    // What functions can be given from the first step on.
    let mut known = told(wide.as_ref().unwrap_or(main));
    let kept = release.parts.iter().map(|part| &part.template).chain(now.outdated.values()).chain(now.orphans.values());
    kept.filter(|template| keeps(template)).for_each(|template| known.extend(told(template)));
    let mut lists = Lists::default();
    for part in &release.parts {
        match now.outdated.get(&part.name) {
            Some(is) if part.keeps() => lists.keeping(part, &without_untold(is, &known)),
            Some(is) => lists.functions(part, &without_untold(is, &known), now.main.is_some()),
            None => {}
        }
    }
    for (part, is) in &now.orphans {
        let step = without_messages(&without_untold(is, &known), &nothing);
        lists.silent.extend(step.map(|step| Turn::to(part, step, SILENT)));
    }
    let end = |keeping: bool| {
        let those = now.orphans.iter().filter(|(_, is)| keeps(is) == keeping);
        Step::End(those.map(|(name, _)| name.clone()).collect())
    };
    let (template, key) = (release.template.clone(), Some(release.template_key.clone()));
    let whole = Turn { part: None, template, key, meanwhile: "" };
    let of_main = |step: Value, meanwhile| Turn { part: None, template: step, key: None, meanwhile };
    let Lists { wide: parts_wide, coming, turned, silent, narrow, left } = lists;
    let mut steps = vec![
        Step::End(now.baseless.keys().cloned().collect()),
        Step::Turn(wide.map(|step| of_main(step, BESIDE)).into_iter().collect()),
        Step::Turn(parts_wide),
        Step::Turn(coming),
        Step::Turn(turned),
        Step::Turn(silent),
    ];
    if release.parts.is_empty() {
        // What says that there are parts goes after them.
        let step = with_release(main, &release.template, way).map(|step| of_main(step, WITH_PARTS));
        steps.extend([Step::Turn(step.into_iter().collect()), end(true), end(false), Step::Turn(vec![whole])]);
    } else {
        steps.extend([Step::Turn(vec![whole]), Step::Turn(narrow), end(true), Step::Turn(left), end(false)]);
    }
    steps.retain(|step| !step.is_empty());
    steps
}

/// Whether CloudFormation takes all that stacks are on the way: what is refused is refused before anything is begun.
pub(crate) fn fit(steps: &[Step], stack: &str) -> Result<()> {
    let turns = steps.iter().flat_map(|step| match step {
        Step::Turn(turns) => &turns[..],
        Step::End(_) => &[],
    });
    for turn in turns.filter(|turn| turn.key.is_none()) {
        let count = |section: &str| turn.template[section].as_object().map_or(0, serde_json::Map::len);
        for (section, most) in [("Resources", MOST_RESOURCES), ("Parameters", MOST_PARAMETERS)] {
            if count(section) > most {
                let stack = turn.part.as_ref().map_or_else(|| stack.to_owned(), |part| format!("{stack}-{part}"));
                return Err(Error::NoRoom { stack, what: section.to_lowercase(), count: count(section), most });
            }
        }
        // It is longer than those of the release.
        fits(turn.text().len())?;
    }
    Ok(())
}
