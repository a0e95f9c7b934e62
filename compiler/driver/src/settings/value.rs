//! TOML as a tree that remembers places, and sections of it that are read key by key.

use super::codes;
use crate::source::File;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use updraft_model::Diagnostic;

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) range: Range<usize>,
    pub(super) data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Date(String),
    Array(Vec<Value>),
    Table(Table),
}

/// Key → where the key is, and its value.
pub(super) type Table = BTreeMap<String, (Range<usize>, Value)>;

/// Reads a file's text; what can be read of it even when something is wrong.
pub(super) fn parse(text: &str) -> (Table, Vec<toml::de::Error>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    (make_table(table.get_ref()), errors)
}

fn make_table(table: &DeTable<'_>) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let range = value.span();
        (key.get_ref().to_string(), (key.span(), Value { range, data: make(value.get_ref()) }))
    });
    entries.collect()
}

fn make(value: &DeValue<'_>) -> Data {
    match value {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => Data::Float(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Datetime(date) => Data::Date(date.to_string()),
        DeValue::Array(values) => {
            Data::Array(values.iter().map(|value| Value { range: value.span(), data: make(value.get_ref()) }).collect())
        }
        DeValue::Table(table) => Data::Table(make_table(table)),
    }
}

/// `over` on top of `under`: tables join, anything else is replaced.
pub(super) fn merge(under: &Table, over: &Table) -> Table {
    let mut merged = under.clone();
    for (key, (place, value)) in over {
        let value = match (under.get(key), &value.data) {
            (Some((_, Value { data: Data::Table(under), .. })), Data::Table(over)) if !is_engine(over) => {
                Value { range: value.range.clone(), data: Data::Table(merge(under, over)) }
            }
            _ => value.clone(),
        };
        merged.insert(key.clone(), (place.clone(), value));
    }
    merged
}

/// Half of one engine on half of another makes no sense.
fn is_engine(table: &Table) -> bool {
    table.contains_key("engine")
}

impl Data {
    fn name(&self) -> &'static str {
        match self {
            Data::Text(_) => "a text",
            Data::Integer(_) => "a number",
            Data::Float(_) => "a fraction",
            Data::Bool(_) => "true or false",
            Data::Date(_) => "a date",
            Data::Array(_) => "a list",
            Data::Table(_) => "a table",
        }
    }

    /// As JSON, without places.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Data::Text(text) | Data::Date(text) => text.clone().into(),
            Data::Integer(number) => (*number).into(),
            Data::Float(number) => (*number).into(),
            Data::Bool(value) => (*value).into(),
            Data::Array(values) => values.iter().map(|value| value.data.json()).collect(),
            Data::Table(table) => table
                .iter()
                .map(|(key, (_, value))| (key.clone(), value.data.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Where findings about a file go.
pub(super) struct Report<'a> {
    pub(super) file: &'a File,
    pub(super) found: RefCell<Vec<Diagnostic>>,
}

impl Report<'_> {
    pub(super) fn push(&self, code: &'static str, range: Range<usize>, message: String, label: &str, help: String) {
        let diagnostic = Diagnostic::error(code, message).label(&self.file.place(range), label).help(help);
        self.found.borrow_mut().push(diagnostic);
    }
}

/// A table whose keys are read one by one; those that nobody asked for are errors.
pub(super) struct Section<'a> {
    name: String,
    table: &'a Table,
    asked: RefCell<Vec<&'static str>>,
    pub(super) report: &'a Report<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: impl Into<String>, table: &'a Table, report: &'a Report<'a>) -> Self {
        Section { name: name.into(), table, asked: RefCell::default(), report }
    }

    /// The value of a key, as it is.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(key);
        self.table.get(key).map(|(_, value)| value)
    }

    /// Keys that are names of the user's.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'a str, &'a Range<usize>, &'a Value)> {
        let asked = self.asked.borrow().clone();
        self.table
            .iter()
            .filter(move |(key, _)| !asked.contains(&key.as_str()))
            .map(|(key, (place, value))| (key.as_str(), place, value))
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match &value.data {
            Data::Text(text) => Some(text.clone()),
            _ => self.wrong(key, value, "a text"),
        }
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        match &value.data {
            Data::Integer(number) => match T::try_from(*number) {
                Ok(number) => Some(number),
                Err(_) => self.wrong(key, value, "a number in range"),
            },
            _ => self.wrong(key, value, "a number"),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let value = self.value(key)?;
        if let Data::Text(text) = &value.data
            && let Some((_, choice)) = choices.iter().find(|(name, _)| name == text)
        {
            return Some(*choice);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
        self.wrong(key, value, &format!("one of {}", names.join(", ")))
    }

    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        self.inner(key, value)
    }

    /// A value as a section of its own.
    pub(super) fn inner(&self, key: &str, value: &'a Value) -> Option<Section<'a>> {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        match &value.data {
            Data::Table(table) => Some(Section::new(name, table, self.report)),
            _ => {
                let message = format!("`{name}` is {}, not {}", "a table", value.data.name());
                self.report.push(
                    codes::VALUE,
                    value.range.clone(),
                    message,
                    "no table",
                    format!("write `[{name}]` and its keys below"),
                );
                None
            }
        }
    }

    pub(super) fn texts(&self, key: &str, value: &Value) -> Vec<(String, Range<usize>)> {
        let Data::Array(values) = &value.data else {
            self.wrong::<()>(key, value, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in values {
            match &value.data {
                Data::Text(text) => texts.push((text.clone(), value.range.clone())),
                _ => drop(self.wrong::<()>(key, value, "a text")),
            }
        }
        texts
    }

    pub(super) fn wrong<T>(&self, key: &str, value: &Value, wanted: &str) -> Option<T> {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let message = format!("`{name}` is {}", value.data.name());
        let message = if matches!(value.data, Data::Text(_)) { format!("`{name}` can't be this") } else { message };
        self.report.push(codes::VALUE, value.range.clone(), message, "of the wrong kind", format!("it is {wanted}"));
        None
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, (place, _)) in self.table {
            if asked.contains(&key.as_str()) {
                continue;
            }
            let inside = if self.name.is_empty() { "Updraft.toml".to_owned() } else { format!("`[{}]`", self.name) };
            let help = match updraft_syntax::names::closest(key, asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if asked.is_empty() => "leave it away".to_owned(),
                None => {
                    let mut known: Vec<String> = asked.iter().map(|key| format!("`{key}`")).collect();
                    known.sort();
                    known.dedup();
                    format!("the keys there are {}", known.join(", "))
                }
            };
            self.report.push(codes::KEY, place.clone(), format!("{inside} has no key `{key}`"), "unknown", help);
        }
    }
}
