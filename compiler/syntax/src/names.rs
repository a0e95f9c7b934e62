//! Names: of attributes, of what applications import, ids of handlers and resources, and "did you mean".

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use syn::ext::IdentExt;
use syn::{Ident, LitStr};

/// The attributes that declare something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the attribute of its name")]
pub enum Attribute {
    Http,
    Consumer,
    Subscriber,
    Schedule,
    Object,
    Function,
    Routes,
    Layer,
    Shared,
    Queue,
    Topic,
    Store,
    Bucket,
    Database,
    Secret,
    Config,
    External,
    Extractor,
    Data,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Attribute; 19] = [
        Attribute::Http,
        Attribute::Consumer,
        Attribute::Subscriber,
        Attribute::Schedule,
        Attribute::Object,
        Attribute::Function,
        Attribute::Routes,
        Attribute::Layer,
        Attribute::Shared,
        Attribute::Queue,
        Attribute::Topic,
        Attribute::Store,
        Attribute::Bucket,
        Attribute::Database,
        Attribute::Secret,
        Attribute::Config,
        Attribute::External,
        Attribute::Extractor,
        Attribute::Data,
    ];

    /// As it is written: `http`.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::Http => "http",
            Attribute::Consumer => "consumer",
            Attribute::Subscriber => "subscriber",
            Attribute::Schedule => "schedule",
            Attribute::Object => "object",
            Attribute::Function => "function",
            Attribute::Routes => "routes",
            Attribute::Layer => "layer",
            Attribute::Shared => "shared",
            Attribute::Queue => "queue",
            Attribute::Topic => "topic",
            Attribute::Store => "store",
            Attribute::Bucket => "bucket",
            Attribute::Database => "database",
            Attribute::Secret => "secret",
            Attribute::Config => "config",
            Attribute::External => "external",
            Attribute::Extractor => "extractor",
            Attribute::Data => "data",
        }
    }

    /// The attribute of this name.
    pub fn from_name(name: &str) -> Option<Attribute> {
        Attribute::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// Whether it makes a function a handler.
    pub fn is_trigger(self) -> bool {
        matches!(
            self,
            Attribute::Http
                | Attribute::Consumer
                | Attribute::Subscriber
                | Attribute::Schedule
                | Attribute::Object
                | Attribute::Function
                | Attribute::Routes
                | Attribute::Layer
                | Attribute::Shared
        )
    }

    /// Whether it declares a resource.
    pub fn is_resource(self) -> bool {
        !self.is_trigger() && !matches!(self, Attribute::Extractor | Attribute::Data)
    }
}

/// What `updraft` and its prelude export under names that matter to the source view, beside the attributes of
/// [`Attribute::ALL`], the kinds of [`crate::kinds::KINDS`] and the accesses of [`crate::kinds::ACCESSES`].
pub const EXPORTS: [&str; 5] = ["Capabilities", "Delivery", "Object", "Tick", "With"];

/// A handler's id: what it is pinned to, else its path. `module` is as `module_path!()` has it, `shop::orders`.
pub fn handler_id(module: &str, name: &Ident, pin: Option<&LitStr>) -> String {
    pin.map_or_else(|| format!("{module}::{}", name.unraw()), LitStr::value)
}

/// A resource's id: what it is pinned to, else its type's name in kebab case.
pub fn resource_id(name: &Ident, pin: Option<&LitStr>) -> String {
    pin.map_or_else(|| updraft_wire::ids::kebab(&name.to_string()), LitStr::value)
}

/// Checks a resource's `name = "…"`.
pub(crate) fn check_resource_pin(pin: &LitStr, sink: &mut Sink) {
    let name = pin.value();
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.len() > 63 || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.split('-').all(word) {
        sink.push(
            Diagnostic::new(codes::NAME, pin, format!("`{name}` can't be the name of a resource"))
                .label("not in kebab case")
                .help("lower-case letters and digits in words joined by `-`, up to 63 characters: `mailer-key`"),
        );
    }
}

/// Checks a handler's `name = "…"`.
pub(crate) fn check_handler_pin(pin: &LitStr, sink: &mut Sink) {
    let name = pin.value();
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if !name.split("::").all(word) {
        sink.push(
            Diagnostic::new(codes::NAME, pin, format!("`{name}` can't be the name of a handler"))
                .label("no path")
                .help("a handler is named by a path, as its own is: `shop::orders::ship`"),
        );
    }
}

/// The candidate that `name` was probably meant to be.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(3).min(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `a, b or c`, each in backticks.
pub(crate) fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", most.join(", "))
        }
    }
}
