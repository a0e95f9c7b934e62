//! Name resolution: what a path means in a module. Names only, never types; of foreign crates nothing but that they are.

use super::file::ItemKind;
use super::path::PathRef;
use super::tree::{ModuleId, Tree};
use crate::world::{Extern, Program};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use updraft_syntax::{Attribute, kinds, names};

/// An item's address: its module and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemId {
    pub(crate) module: ModuleId,
    pub(crate) item: usize,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Module(ModuleId),
    Item(ItemId),
    /// Updraft itself, or its prelude.
    Updraft,
    /// Something that updraft exports and that matters here: `http`, `Queue`, `ReadOnly`.
    Export(String),
    /// Updraft's `__private`, or something in it.
    Private,
    /// Something of a crate that does not depend on updraft, of std, or of updraft and without meaning here. Its name
    /// there.
    Foreign(String),
}

/// Why a path means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The name is nowhere. The number is the segment's.
    Missing(usize),
    /// It may come from a macro or a crate that can't be looked into.
    Hidden,
    /// It may be one of the many things that updraft's prelude exports and that do not matter here: no resource.
    Prelude,
}

/// Types, modules and traits; or attributes, derives and other macros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Namespace {
    Types,
    Macros,
}

/// Macros of updraft that name crates.
pub(crate) const PROGRAM_MACROS: [&str; 2] = ["main", "run"];

/// What std's prelude and the language put into every module, as far as handlers take it.
const STD: [&str; 42] = [
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Drop",
    "Eq",
    "Err",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Into",
    "Iterator",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Sized",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "Vec",
    "bool",
    "char",
    "f32",
    "f64",
    "i128",
    "i16",
    "i32",
    "i64",
    "i8",
    "isize",
    "str",
    "u128",
    "u16",
    "u32",
    "u64",
];
const STD_MORE: [&str; 6] = ["u8", "usize", "AsRef", "IntoIterator", "TryFrom", "TryInto"];

/// Resolves names of a program.
pub(crate) struct Names<'a> {
    pub(crate) program: &'a Program,
    pub(crate) tree: &'a Tree,
    /// (module, name) → items, built once.
    items: BTreeMap<(ModuleId, &'a str), Vec<usize>>,
    found: RefCell<BTreeMap<(ModuleId, String, Namespace), Result<Meaning, Unknown>>>,
}

/// What is being looked up, so that imports that go round in a circle end.
type Path = BTreeSet<(ModuleId, String, Namespace)>;

impl<'a> Names<'a> {
    pub(crate) fn new(program: &'a Program, tree: &'a Tree) -> Self {
        let mut items: BTreeMap<(ModuleId, &str), Vec<usize>> = BTreeMap::new();
        for (id, module) in tree.modules.iter().enumerate() {
            for (at, item) in module.items.iter().enumerate() {
                let types: &[String] = match &item.kind {
                    ItemKind::Function { types } if !types.is_empty() => types,
                    ItemKind::Function { .. } | ItemKind::Type | ItemKind::Alias { .. } => {
                        std::slice::from_ref(&item.name)
                    }
                    ItemKind::Method | ItemKind::Value => continue,
                };
                for name in types {
                    items.entry((id, name)).or_default().push(at);
                }
            }
        }
        Names { program, tree, items, found: RefCell::default() }
    }

    /// What `path` means where it is written.
    pub(crate) fn resolve(&self, module: ModuleId, path: &PathRef, namespace: Namespace) -> Result<Meaning, Unknown> {
        self.path(module, path, namespace, false, &mut Path::new())
    }

    /// Which of our attributes a path is; `Err` if nobody knows.
    pub(crate) fn attribute(&self, module: ModuleId, path: &PathRef) -> Result<Option<Attribute>, Unknown> {
        self.resolve(module, path, Namespace::Macros).map(|meaning| match meaning {
            Meaning::Export(name) => Attribute::from_name(&name),
            _ => None,
        })
    }

    fn path(
        &self,
        module: ModuleId,
        path: &PathRef,
        namespace: Namespace,
        import: bool,
        visited: &mut Path,
    ) -> Result<Meaning, Unknown> {
        let names: Vec<&str> = path.segments.iter().map(|segment| segment.name.as_str()).collect();
        let last = names.len().saturating_sub(1);
        let at = |at: usize| if at == last { namespace } else { Namespace::Types };
        let edition = self.program.crates[self.tree.modules[module].krate].edition;
        let (mut meaning, mut next) = match names.first().copied() {
            None => return Err(Unknown::Missing(0)),
            Some(name) if path.leading => {
                let local =
                    (edition == 2015).then(|| self.member(self.tree.root(module), name, at(0), module, visited));
                let meaning = match local {
                    Some(Ok(meaning)) => meaning,
                    _ => self.external(module, name).ok_or(Unknown::Missing(0))?,
                };
                (meaning, 1)
            }
            Some("crate" | "$crate") => (Meaning::Module(self.tree.root(module)), 1),
            Some("self") => (Meaning::Module(module), 1),
            Some("super") => (Meaning::Module(module), 0),
            Some(name) if import && edition == 2015 => {
                let local = self.member(self.tree.root(module), name, at(0), module, visited);
                (local.or_else(|unknown| self.external(module, name).ok_or(unknown))?, 1)
            }
            Some(name) => (self.scope(module, name, at(0), visited)?, 1),
        };
        while let Some(name) = names.get(next).copied() {
            meaning = match meaning {
                Meaning::Module(inside) if name == "super" => {
                    Meaning::Module(self.tree.modules[inside].parent.ok_or(Unknown::Missing(next))?)
                }
                Meaning::Module(inside) if name == "self" => Meaning::Module(inside),
                Meaning::Module(inside) => {
                    self.member(inside, name, at(next), module, visited).map_err(|unknown| match unknown {
                        Unknown::Missing(_) => Unknown::Missing(next),
                        Unknown::Hidden => Unknown::Hidden,
                        Unknown::Prelude => Unknown::Prelude,
                    })?
                }
                Meaning::Updraft => export(name, at(next)),
                Meaning::Private => Meaning::Private,
                // Variants and associated items: none of ours.
                Meaning::Item(_) | Meaning::Export(_) | Meaning::Foreign(_) => Meaning::Foreign(name.to_owned()),
            };
            next += 1;
        }
        Ok(meaning)
    }

    /// A name as the first of a path: the module's own, then extern crates, then std's.
    fn scope(
        &self,
        module: ModuleId,
        name: &str,
        namespace: Namespace,
        visited: &mut Path,
    ) -> Result<Meaning, Unknown> {
        let unknown = match self.member(module, name, namespace, module, visited) {
            Ok(meaning) => return Ok(meaning),
            Err(unknown) => unknown,
        };
        match namespace {
            Namespace::Types => self.external(module, name).or_else(|| {
                (STD.contains(&name) || STD_MORE.contains(&name)).then(|| Meaning::Foreign(name.to_owned()))
            }),
            Namespace::Macros => None,
        }
        .ok_or(unknown)
    }

    fn external(&self, module: ModuleId, name: &str) -> Option<Meaning> {
        let krate = &self.program.crates[self.tree.modules[module].krate];
        match krate.externs.get(name) {
            Some(Extern::Updraft) => Some(Meaning::Updraft),
            Some(Extern::Crate(at)) => self.tree.roots.get(*at).map(|root| Meaning::Module(*root)),
            Some(Extern::Foreign) => Some(Meaning::Foreign(name.to_owned())),
            None => matches!(name, "std" | "core" | "alloc").then(|| Meaning::Foreign(name.to_owned())),
        }
    }

    /// A name in a module: its items, its imports, its `*` imports.
    fn member(
        &self,
        module: ModuleId,
        name: &str,
        namespace: Namespace,
        from: ModuleId,
        visited: &mut Path,
    ) -> Result<Meaning, Unknown> {
        let key = (module, name.to_owned(), namespace);
        if let Some(found) = self.found.borrow().get(&key) {
            return found.clone();
        }
        if !visited.insert(key.clone()) {
            return Err(Unknown::Missing(0));
        }
        let found = self.search(module, name, namespace, from, visited);
        visited.remove(&key);
        // Inside a circle an answer is only part of the truth; `from` matters only for what is private.
        if visited.is_empty() && from == module {
            self.found.borrow_mut().insert(key, found.clone());
        }
        found
    }

    fn search(
        &self,
        module: ModuleId,
        name: &str,
        namespace: Namespace,
        from: ModuleId,
        visited: &mut Path,
    ) -> Result<Meaning, Unknown> {
        let here = &self.tree.modules[module];
        if namespace == Namespace::Types {
            if let Some(child) = here.children.get(name) {
                return Ok(Meaning::Module(*child));
            }
            let items = self.items.get(&(module, name)).map_or(&[][..], Vec::as_slice);
            // A type wins over a function: only `#[function]` makes a type of the function's name.
            let rank = |item: &usize| matches!(here.items[*item].kind, ItemKind::Function { .. });
            let plain = |item: &usize| !rank(item) || !here.items[*item].attributes.is_empty();
            if let Some(item) = items.iter().copied().filter(plain).min_by_key(rank) {
                return Ok(Meaning::Item(ItemId { module, item }));
            }
        }
        let (mut hidden, mut prelude) = (false, false);
        for import in here.imports.iter().filter(|import| import.name.as_deref() == Some(name)) {
            match self.path(module, &import.path, namespace, true, visited) {
                Ok(meaning) => return Ok(meaning),
                Err(Unknown::Hidden) => hidden = true,
                Err(Unknown::Prelude) => prelude = true,
                Err(Unknown::Missing(_)) => {}
            }
        }
        let within = self.tree.is_within(from, module);
        for import in here.imports.iter().filter(|import| import.name.is_none() && (import.public || within)) {
            let found = match self.path(module, &import.path, Namespace::Types, true, visited) {
                Ok(Meaning::Module(other)) => self.visible(other, name, namespace, module, visited),
                Ok(Meaning::Updraft) => match export(name, namespace) {
                    Meaning::Export(name) => Ok(Meaning::Export(name)),
                    _ => Err(Unknown::Prelude),
                },
                Ok(Meaning::Foreign(_) | Meaning::Private) => Err(Unknown::Hidden),
                Ok(Meaning::Item(_) | Meaning::Export(_)) => Err(Unknown::Missing(0)), // an enum's variants
                Err(unknown) => Err(unknown),
            };
            match found {
                Ok(meaning) => return Ok(meaning),
                Err(Unknown::Hidden) => hidden = true,
                Err(Unknown::Prelude) => prelude = true,
                Err(Unknown::Missing(_)) => {}
            }
        }
        // Any macro may declare any name.
        let macros = here.calls.iter().any(|call| !call.path.last().is_some_and(|last| PROGRAM_MACROS.contains(&last)));
        Err(match (hidden || macros, prelude) {
            (true, _) => Unknown::Hidden,
            (false, true) => Unknown::Prelude,
            (false, false) => Unknown::Missing(0),
        })
    }

    /// What a `*` brings: public names, or all of a module that the importer lies in.
    fn visible(
        &self,
        module: ModuleId,
        name: &str,
        namespace: Namespace,
        from: ModuleId,
        visited: &mut Path,
    ) -> Result<Meaning, Unknown> {
        let here = &self.tree.modules[module];
        if !self.tree.is_within(from, module) {
            let child = here.children.get(name).is_some_and(|child| self.tree.modules[*child].public);
            let mut items = self.items.get(&(module, name)).into_iter().flatten();
            let public = child && namespace == Namespace::Types
                || items.any(|item| here.items[*item].public)
                || here
                    .imports
                    .iter()
                    .any(|import| import.public && import.name.as_deref().is_none_or(|own| own == name))
                || !here.calls.is_empty();
            if !public {
                return Err(Unknown::Missing(0));
            }
        }
        self.member(module, name, namespace, from, visited)
    }
}

/// What `updraft::name` means.
fn export(name: &str, namespace: Namespace) -> Meaning {
    let known = match namespace {
        Namespace::Types => {
            kinds::kind(name).is_some() || kinds::Access::from_name(name).is_some() || names::EXPORTS.contains(&name)
        }
        Namespace::Macros => {
            Attribute::from_name(name).is_some() || PROGRAM_MACROS.contains(&name) || names::EXPORTS.contains(&name)
        }
    };
    match name {
        "prelude" => Meaning::Updraft,
        "__private" => Meaning::Private,
        _ if known => Meaning::Export(name.to_owned()),
        _ => Meaning::Foreign(name.to_owned()),
    }
}
