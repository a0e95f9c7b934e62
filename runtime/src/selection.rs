//! Which dead letters: what `list`, `redrive` and `drop` take, on a laptop as in a cluster, a page at a time.

use crate::deadletter::DeadLetter;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Letters that a page holds unless it is asked for another number.
pub const PAGE: usize = 100;
/// Letters that a page holds at most.
pub const LARGEST_PAGE: usize = 1_000;
/// How much of a reason a list shows, in characters.
const REASON_CHARACTERS: usize = 300;

/// Which letters, all conditions together; and which page of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// The message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who gave it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// The queue, the topic, or the schedule's handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Given up at least so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<u64>,
    /// Given up at most so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_than: Option<u64>,
    /// Goes on after this letter: the last page's `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How many, [`PAGE`] by default and [`LARGEST_PAGE`] at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What may be done with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Command {
    /// A page of them.
    List(Selection),
    /// All that is kept of one.
    Show(Selection),
    /// Each to the handler that gave it up, and to no other.
    Redrive(Selection),
    /// They are forgotten.
    Drop(Selection),
}

/// A letter without its body and headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The message's id.
    pub id: String,
    /// Who gave it up.
    pub handler: String,
    /// The queue, the topic, or the schedule's handler.
    pub resource: String,
    /// `error`, `permanent`, `panic`, `timeout` or `skew`.
    pub kind: String,
    /// The beginning of the reason.
    pub reason: String,
    /// How often it was tried, where the engine knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it was first tried.
    pub first: String,
    /// When it was given up.
    pub last: String,
    /// The body's length in bytes.
    pub bytes: usize,
}

impl Summary {
    fn of(letter: &DeadLetter) -> Self {
        Summary {
            id: letter.id.clone(),
            handler: letter.handler.clone(),
            resource: letter.resource.clone(),
            kind: letter.kind.clone(),
            reason: letter.reason.chars().take(REASON_CHARACTERS).collect(),
            attempts: letter.attempts,
            first: letter.first.clone(),
            last: letter.last.clone(),
            bytes: letter.body.len(),
        }
    }
}

/// A page of letters, by key: handler, the message's time, id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Letters {
    /// The letters.
    pub letters: Vec<Summary>,
    /// Hand this in as `from` for the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of letters that were to be redriven or dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// How many were.
    pub done: usize,
    /// Those that were not, and why.
    pub failed: Vec<Failed>,
    /// Hand this in as `from` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A letter that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The message's id.
    pub id: String,
    /// Its handler.
    pub handler: String,
    /// Why.
    pub reason: String,
}

impl Done {
    /// Counts what became of one letter.
    pub(crate) fn count(&mut self, Summary { id, handler, .. }: Summary, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.done += 1,
            Err(reason) => self.failed.push(Failed { id, handler, reason }),
        }
    }
}

impl Selection {
    /// How many letters the page holds.
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
    }

    fn wants(&self, letter: &DeadLetter, now: Timestamp) -> bool {
        let equal = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let ago = |seconds: u64| {
            let age = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            now.saturating_sub(age).unwrap_or(Timestamp::MIN)
        };
        let last = letter.last.parse::<Timestamp>().unwrap_or(now);
        equal(&self.id, &letter.id)
            && equal(&self.handler, &letter.handler)
            && equal(&self.resource, &letter.resource)
            && self.older_than.is_none_or(|age| last <= ago(age))
            && self.newer_than.is_none_or(|age| last >= ago(age))
    }
}

/// Picks a page out of letters that come in any order: it holds no more than one page of them.
pub(crate) struct Picker<'a> {
    selection: &'a Selection,
    now: Timestamp,
    picked: BTreeMap<String, Summary>,
    more: bool,
}

impl<'a> Picker<'a> {
    pub(crate) fn new(selection: &'a Selection, now: Timestamp) -> Self {
        Picker { selection, now, picked: BTreeMap::new(), more: false }
    }

    /// Looks at a letter.
    pub(crate) fn look(&mut self, letter: &DeadLetter) {
        let key = letter.key();
        let passed = self.selection.from.as_ref().is_some_and(|from| key <= *from);
        if passed || !self.selection.wants(letter, self.now) {
            return;
        }
        self.picked.insert(key, Summary::of(letter));
        if self.picked.len() > self.selection.limit() {
            self.picked.pop_last();
            self.more = true;
        }
    }

    /// The one letter, and its key.
    ///
    /// # Errors
    /// There is none, or several handlers gave the message up.
    pub(crate) fn only(self) -> Result<(String, Summary), String> {
        let mut picked = self.picked.into_iter();
        match (picked.next(), picked.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err("there is no such dead letter; `dead-letters list` shows all".to_owned()),
            (Some((_, one)), Some((_, other))) => Err(several(&one, &other)),
        }
    }

    /// The page of what is to be redriven or dropped. An id means one letter.
    ///
    /// # Errors
    /// Several handlers gave the message up.
    pub(crate) fn chosen(self) -> Result<(BTreeMap<String, Summary>, Option<String>), String> {
        if self.selection.id.is_some()
            && let (Some(one), Some(other)) = (self.picked.values().next(), self.picked.values().next_back())
            && one.handler != other.handler
        {
            return Err(several(one, other));
        }
        Ok(self.page())
    }

    /// The page by key, and where the next begins.
    pub(crate) fn page(self) -> (BTreeMap<String, Summary>, Option<String>) {
        let next = self.picked.last_key_value().map(|(key, _)| key.clone()).filter(|_| self.more);
        (self.picked, next)
    }
}

fn several(one: &Summary, other: &Summary) -> String {
    format!("several handlers gave it up: say which with --handler, {} or {}", one.handler, other.handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_wire::envelope;

    fn letter(handler: &str, id: &str, minute: u32) -> DeadLetter {
        let time = format!("2026-01-01T00:{minute:02}:00Z");
        DeadLetter {
            id: id.into(),
            resource: "orders".into(),
            handler: handler.into(),
            reason: "ü".repeat(1_000),
            kind: "error".into(),
            attempts: None,
            first: time.clone(),
            last: time.clone(),
            headers: BTreeMap::from([(envelope::TIME.to_owned(), time)]),
            body: "body".into(),
        }
    }

    fn pick(selection: &Selection) -> (Vec<String>, Option<String>) {
        let mut picker = Picker::new(selection, "2026-01-01T01:00:00Z".parse().unwrap());
        for (handler, id, minute) in [("b", "5", 1), ("a", "2", 20), ("a", "1", 10), ("b", "4", 0), ("a", "3", 30)] {
            picker.look(&letter(handler, id, minute));
        }
        let (picked, next) = picker.page();
        (picked.into_values().map(|summary| summary.id).collect(), next)
    }

    #[test]
    fn pages_are_in_order_and_meet() {
        let (mut ids, mut selection) = (Vec::new(), Selection { limit: Some(2), ..Selection::default() });
        loop {
            let (page, next) = pick(&selection);
            assert!(page.len() <= 2);
            ids.extend(page);
            match next {
                Some(next) => selection.from = Some(next),
                None => break,
            }
        }
        assert_eq!(ids, ["1", "2", "3", "4", "5"]);
        assert_eq!(pick(&Selection { limit: Some(0), ..Selection::default() }).0, ["1"], "never nothing for ever");
    }

    #[test]
    fn all_conditions_hold_together() {
        let of = |selection: Selection| pick(&selection).0;
        let all = Selection::default;
        assert_eq!(of(Selection { handler: Some("b".into()), ..all() }), ["4", "5"]);
        assert_eq!(of(Selection { id: Some("2".into()), handler: Some("b".into()), ..all() }), Vec::<String>::new());
        assert_eq!(of(Selection { resource: Some("other".into()), ..all() }), Vec::<String>::new());
        assert_eq!(of(Selection { older_than: Some(50 * 60), ..all() }), ["1", "4", "5"]);
        assert_eq!(of(Selection { newer_than: Some(40 * 60), ..all() }), ["2", "3"]);
        assert_eq!(of(Selection { older_than: Some(u64::MAX), ..all() }), Vec::<String>::new());
        assert_eq!(Summary::of(&letter("a", "1", 0)).reason.chars().count(), REASON_CHARACTERS);
    }

    #[test]
    fn an_id_means_one_letter() {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let of = |handler: Option<&str>| Selection {
            id: Some("1".into()),
            handler: handler.map(str::to_owned),
            ..Selection::default()
        };
        let chosen = |selection: &Selection| {
            let mut picker = Picker::new(selection, now);
            ["a", "b"].iter().for_each(|handler| picker.look(&letter(handler, "1", 1)));
            picker.chosen().map(|(picked, _)| picked.into_values().map(|one| one.handler).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&of(Some("b"))), Ok(vec!["b".to_owned()]));
        assert!(chosen(&of(None)).unwrap_err().contains("--handler, a or b"));
        assert_eq!(chosen(&Selection::default()).map(|all| all.len()), Ok(2));
    }
}
