//! From a parameter's type to all that it grants: through wrappers, groups, extractors and what shared values are made of.

use super::{Head, Index, Scoped, Wanted};
use crate::lower::declare::ParameterDecl;
use crate::lower::{self, codes};
use crate::source::names::{ItemId, Unknown};
use crate::source::path::TypeRef;
use crate::source::tree::ModuleId;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use updraft_model::{Diagnostic, Grant, Kind, Place, Sink};
use updraft_syntax::kinds;

/// A walk through one parameter.
pub(super) struct Walk<'w, 'a> {
    index: &'w Index<'a>,
    found: &'w mut BTreeMap<Grant, Place>,
    sink: &'w mut Sink,
    /// The parameter: where a grant is shown, however far away it is declared.
    place: Place,
    /// Groups and extractors on the way here: one may take another.
    visited: BTreeSet<ItemId>,
    clean: bool,
}

impl<'w, 'a> Walk<'w, 'a> {
    pub(super) fn of(
        index: &'w Index<'a>,
        found: &'w mut BTreeMap<Grant, Place>,
        sink: &'w mut Sink,
        place: Place,
    ) -> Self {
        Walk { index, found, sink, place, visited: BTreeSet::new(), clean: true }
    }

    /// False if something was wrong, which has been said.
    pub(super) fn through(mut self, scoped: &Scoped<'_>, looks_like_one: bool) -> bool {
        self.ty(scoped, looks_like_one);
        self.clean
    }

    fn ty(&mut self, scoped: &Scoped<'_>, looks_like_one: bool) {
        match self.index.head(scoped, 0) {
            Head::Export(name, arguments) => self.export(&name, &arguments),
            // axum's `State<T>` of a shared value is `Shared<T>`, spelled another way.
            Head::Foreign(name, arguments) if name == "State" => {
                let shared = arguments.first().map(|inner| self.index.head(inner, 0));
                if let Some(Head::Item(item)) = shared
                    && self.index.shared.contains_key(&item)
                {
                    self.export("Shared", &arguments);
                }
            }
            // `Option<User>`, `Result<User, E>`: what the inner one grants. Other wrappers reach nothing.
            Head::Foreign(name, arguments) if matches!(name.as_str(), "Option" | "Result") => {
                if let Some(inner) = arguments.first() {
                    self.ty(inner, false);
                }
            }
            Head::Foreign(..) | Head::Nothing => {}
            Head::Item(item) => {
                if let Some((module, parameters)) = self.index.extractors.get(&item).copied()
                    && self.visited.insert(item)
                {
                    self.members(module, parameters);
                    self.visited.remove(&item);
                }
            }
            Head::Unknown(Unknown::Hidden | Unknown::Prelude, _) if !looks_like_one => {} // a type from a macro or another crate: the proof sees
            Head::Unknown(unknown, at) => {
                let TypeRef::Path(path) = at.ty else { return };
                let help = match unknown {
                    Unknown::Missing(_) | Unknown::Prelude if looks_like_one => {
                        format!("add `use updraft::prelude::*;`, or import `{path}`")
                    }
                    Unknown::Missing(_) | Unknown::Prelude => {
                        "import it with `use`, or write its whole path".to_owned()
                    }
                    Unknown::Hidden => format!("say which one it is: `use updraft::{path};`"),
                };
                self.clean = false;
                self.sink.push(
                    Diagnostic::error(codes::TYPE, format!("there is no type `{path}` in scope"))
                        .label(&self.index.place(&at), "not found")
                        .help(help),
                );
            }
        }
    }

    fn members(&mut self, module: ModuleId, members: &[ParameterDecl]) {
        for member in members {
            self.ty(&Scoped { module, ty: &member.ty, env: Rc::default() }, member.looks_like_one);
        }
    }

    fn export(&mut self, name: &str, arguments: &[Scoped<'_>]) {
        if name == kinds::GROUP {
            if let Some(group) = arguments.first() {
                self.group(group);
            }
            return;
        }
        let Some(known) = kinds::kind(name) else { return };
        let (Some(kind), Some(resource)) = (lower::kind(known.kind), arguments.first()) else { return };
        let made = match self.index.head(resource, 0) {
            Head::Item(item) if kind == Kind::Shared => Some(item),
            _ => None,
        };
        let Some(resource) = self.index.named(resource, Wanted::Capability(kind), self.sink) else {
            self.clean = false;
            return;
        };
        let access = match arguments.get(1) {
            None => known.access,
            Some(written) => {
                let said = match self.index.head(written, 0) {
                    Head::Export(name, _) => kinds::Access::from_name(&name),
                    _ => None,
                };
                let Some(said) = said else {
                    self.clean = false;
                    self.sink.push(
                        Diagnostic::error(codes::ACCESS, "this is no access")
                            .label(&self.index.place(written), "not `ReadOnly`, `WriteOnly` or `ReadWrite` of updraft")
                            .help("import it: `use updraft::prelude::*;`"),
                    );
                    return;
                };
                said
            }
        };
        let grant = Grant { kind, resource, access: lower::access(access) };
        self.found.entry(grant).or_insert_with(|| self.place.clone());
        // Whoever takes a shared value reaches what it was made of.
        if let Some(item) = made
            && let Some((_, module, parameters)) = self.index.shared.get(&item).copied()
            && self.visited.insert(item)
        {
            self.members(module, parameters);
            self.visited.remove(&item);
        }
    }

    fn group(&mut self, scoped: &Scoped<'_>) {
        let item = match self.index.head(scoped, 0) {
            Head::Item(item) => Some(item),
            _ => None,
        };
        if let Some(item) = item
            && let Some(members) = self.index.groups.get(&item).copied()
        {
            if self.visited.insert(item) {
                self.members(item.module, members);
                self.visited.remove(&item);
            }
            return;
        }
        self.clean = false;
        // A derive that is wrong has been reported.
        let derives = item.is_some_and(|item| {
            let derives = &self.index.names.tree.modules[item.module].items[item.item].derives;
            derives.iter().any(|path| path.last() == Some("Capabilities"))
        });
        if !derives {
            self.sink.push(
                Diagnostic::error(codes::GROUP, "`With` takes a struct with `#[derive(Capabilities)]`")
                    .label(&self.index.place(scoped), "no such struct")
                    .help("put `#[derive(Capabilities)]` on it, outside of macros"),
            );
        }
    }
}
