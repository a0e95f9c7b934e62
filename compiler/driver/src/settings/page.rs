//! The page of all settings says of each key what is read, and of none what is not.

use super::value::{self, Data, Report, Table};
use super::{codes, keys, split};
use crate::source::File;
use std::cell::RefCell;
use std::collections::BTreeSet;
use updraft_model::Diagnostic;
use updraft_wire::limits::HttpLimits;

const PAGE: &str = include_str!("../../../../runtime/src/settings.md");
/// No key of ours, nor like one.
const STRANGE: &str = "zzzzzzzzzzzzzzzz";

/// The files that it shows.
fn examples() -> impl Iterator<Item = &'static str> {
    PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

/// What is said of a file, in every environment.
fn findings(text: &str, table: &Table) -> Vec<Diagnostic> {
    let file = File::new("Updraft.toml".to_owned(), text.to_owned());
    let report = Report { file: &file, found: RefCell::default() };
    let (base, envs) = split(table, &report);
    keys::read(&base, &report);
    for (_, overrides) in &envs {
        keys::read(&value::merge(&base, overrides), &report);
    }
    report.found.into_inner()
}

/// The table once more for each table in it, which has a key then that nobody knows.
fn with_a_strange_key(table: &Table) -> Vec<Table> {
    let mut own = table.clone();
    let strange = value::parse(&format!("{STRANGE} = 1")).0;
    own.extend(strange);
    let mut all = vec![own];
    for (key, (place, inner)) in table {
        let Data::Table(below) = &inner.data else { continue };
        all.extend(with_a_strange_key(below).into_iter().map(|changed| {
            let mut whole = table.clone();
            let changed = value::Value { range: inner.range.clone(), data: Data::Table(changed) };
            whole.insert(key.clone(), (place.clone(), changed));
            whole
        }));
    }
    all
}

/// The words of a text that stand between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Each key that some table of the examples may have: who meets one that it does not know says which ones it does.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for text in examples() {
        let (table, errors) = value::parse(text);
        assert!(errors.is_empty(), "{errors:?}");
        for changed in with_a_strange_key(&table) {
            let unknown = findings(text, &changed).into_iter().filter(|found| found.code == codes::KEY);
            let help: String = unknown.filter_map(|found| found.help).collect();
            known.extend(quoted(&help).map(str::to_owned));
        }
    }
    known
}

/// What stands in columns of tables whose head is `key`.
fn tabled() -> impl Iterator<Item = &'static str> {
    let mut column = None;
    PAGE.lines().flat_map(move |line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        column = cells.iter().position(|cell| *cell == "key").or(column.filter(|_| cells.len() > 1));
        let cell = column.and_then(|column| cells.get(column)).copied().unwrap_or_default();
        quoted(cell).collect::<Vec<_>>()
    })
}

#[test]
fn what_it_shows_is_right() {
    for text in examples() {
        let (table, _) = value::parse(text);
        let found: Vec<String> = findings(text, &table).into_iter().map(|found| found.message).collect();
        assert_eq!(found, Vec::<String>::new(), "{text}");
    }
}

/// What it shows of `[http]`, it calls the defaults.
#[test]
fn the_limits_that_it_shows_are_those_that_hold() {
    let text = examples().find(|text| text.starts_with("[http]")).expect("an example");
    let file = File::new("Updraft.toml".to_owned(), text.to_owned());
    let report = Report { file: &file, found: RefCell::default() };
    let (table, _) = value::parse(text);
    let Some((_, value::Value { data: Data::Table(shown), .. })) = table.get("http") else { panic!("{table:?}") };
    assert_eq!(shown.len(), 7, "all of them");
    assert_eq!(keys::read(&table, &report).settings.http, HttpLimits::DEFAULT);
}

#[test]
fn it_has_each_key_and_no_other() {
    let known = known();
    assert!(known.len() > 60, "{known:?}");
    let shown = examples().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))));
    let said: BTreeSet<&str> = quoted(PAGE).chain(shown).collect();
    let missing: Vec<&String> = known.iter().filter(|key| !said.contains(key.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new());
    assert!(tabled().count() > 50);
    let strange: Vec<&str> = tabled().filter(|key| !known.contains(*key)).collect();
    assert_eq!(strange, Vec::<&str>::new());
}
