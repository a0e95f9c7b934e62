//! `Config<Struct>`: typed settings, read and validated at start.

use super::{Capability, Resource};
use crate::ctx::Scope;
use crate::error::Error;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::ops::Deref;
use std::sync::Arc;

/// Declared by `#[config]` on a struct with fields.
#[diagnostic::on_unimplemented(message = "`{Self}` is no config", label = "needs a struct declared by `#[config]`")]
pub trait ConfigResource: Resource + DeserializeOwned + Send + Sync {
    /// What the struct is made of; nothing where serde's attributes make something else of it.
    const FIELDS: &'static [Field] = &[];

    /// Refuses values that fit their types and still make no sense.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self) -> Result<(), Error>;
}

/// A field of a config's struct, so that each mistake can be told and not the first alone.
pub struct Field {
    /// Its name.
    pub key: &'static str,
    /// Its type, as it is written.
    pub ty: &'static str,
    /// Whether it may be left out.
    pub has_default: bool,
    /// Whether a value fits, and why not.
    pub fits: fn(&Value) -> Result<(), Error>,
}

/// [`Field::fits`] of a type.
///
/// # Errors
/// Why the value does not fit.
pub fn fits<T: DeserializeOwned>(value: &Value) -> Result<(), Error> {
    let Err(error) = serde_path_to_error::deserialize::<_, T>(value) else { return Ok(()) };
    let path = error.path().to_string();
    let words = if is_whole(value) { unquoted(&error.inner().to_string()) } else { error.inner().to_string() };
    Err(Error::new(match (path.as_str(), words.as_str()) {
        (".", words) => words.to_owned(),
        (path, "") => format!("at `{path}`"),
        (path, words) => format!("at `{path}`: {words}"),
    }))
}

/// Whether a value has parts, whose names and types nobody here knows: any may be a secret.
fn is_whole(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_))
}

/// What serde says without the value that it says it of: which field is missing, or what was expected.
fn unquoted(words: &str) -> String {
    if words.starts_with("missing field `") || words.starts_with("unknown field `") {
        return words.to_owned();
    }
    let quoting = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    // Behind the last one: the value may have the word in it too.
    let expected = words.rsplit_once(", expected ").filter(|_| quoting.iter().any(|begin| words.starts_with(begin)));
    expected.map(|(_, expected)| format!("expected {expected}")).unwrap_or_default()
}

/// What is wrong with a config's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key it is at, if it is at one.
    pub key: Option<String>,
    /// What it is.
    pub reason: String,
}

/// Reads and validates a config's value: at start, so that a handler never meets a bad one.
fn read<C: ConfigResource>(value: &Value) -> Result<C, Vec<Mistake>> {
    let whole = |reason: String| vec![Mistake { key: None, reason }];
    match serde_path_to_error::deserialize::<_, C>(value) {
        Ok(config) => config.check().map(|()| config).map_err(|error| whole(error.chain())),
        Err(error) => {
            let found = mistakes(C::FIELDS, value);
            Err(if found.is_empty() { whole(misfit(&error)) } else { found })
        }
    }
}

/// All mistakes, by key. Whether the values make sense together can't be told then.
fn mistakes(fields: &[Field], value: &Value) -> Vec<Mistake> {
    let (Some(values), false) = (value.as_object(), fields.is_empty()) else { return Vec::new() };
    let mistake = |key: &str, reason: String| Mistake { key: Some(key.to_owned()), reason };
    let mut found = Vec::new();
    for field in fields {
        let Field { key, ty, has_default, fits } = field;
        found.extend(match values.get(*key) {
            // What takes nothing at all, an `Option` above all, may be left out.
            None if *has_default || fits(&Value::Null).is_ok() => None,
            None => Some(mistake(key, format!("`{key}` is missing: expected {ty}"))),
            Some(value) => fits(value).err().map(|error| {
                let (shown, why) = match ty.contains("Secret") {
                    // Neither the value nor serde's words, which may quote it.
                    true => ("does not fit".to_owned(), String::new()),
                    false if is_whole(value) => ("does not fit".to_owned(), error.to_string()),
                    false => (format!("is {value}"), error.to_string()),
                };
                let (colon, expected) = (if why.is_empty() { "" } else { ": " }, format!("; expected {ty}"));
                let expected = if why.contains("expected") { "" } else { &expected };
                mistake(key, format!("`{key}` {shown}{colon}{why}{expected}"))
            }),
        });
    }
    for key in values.keys().filter(|key| fields.iter().all(|field| field.key != **key)) {
        let known: Vec<_> = fields.iter().map(|field| format!("`{}`", field.key)).collect();
        found.push(mistake(key, format!("unknown field `{key}`: there are {}", known.join(", "))));
    }
    found
}

/// Which key's value won't do, and why, of a struct whose fields nobody here knows: any may be a secret.
fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, words) = (error.path().to_string(), unquoted(&error.inner().to_string()));
    if words.starts_with("missing") || words.starts_with("unknown") {
        return if path == "." { words } else { format!("at `{path}`: {words}") };
    }
    let what = if path == "." { "the values do not fit".to_owned() } else { format!("`{path}` does not fit") };
    if words.is_empty() { what } else { format!("{what}: {words}") }
}

/// Reads a config's values, for the registry.
///
/// # Errors
/// What is wrong with them, each mistake.
pub fn validate<C: ConfigResource>(value: &Value) -> Result<(), Vec<Mistake>> {
    read::<C>(value).map(|_| ())
}

/// The capability to read a config: it derefs to the struct.
#[derive(Debug)]
pub struct Config<C>(Arc<C>);

impl<C> Clone for Config<C> {
    fn clone(&self) -> Self {
        Config(self.0.clone())
    }
}

impl<C> Deref for Config<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Config<C> {
    /// Of a value: for unit tests that call handlers directly.
    pub fn of(value: C) -> Self {
        Config(Arc::new(value))
    }
}

impl<C: ConfigResource> super::Sealed for Config<C> {}

impl<C: ConfigResource> Capability for Config<C> {
    const KIND: &'static str = "config";
    const RESOURCE: &'static str = C::ID;
    const ACCESS: &'static str = "read";

    fn bind(scope: &Scope) -> Self {
        let ctx = scope.ctx();
        Config(ctx.cached(C::ID, || {
            let value = ctx.engines().configs.get(C::ID).cloned().unwrap_or_else(|| Value::Object(Map::new()));
            read::<C>(&value).unwrap_or_else(|found| panic!("config `{}` was not validated at start: {found:?}", C::ID))
        }))
    }
}
