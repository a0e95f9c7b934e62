//! What a parameter's type grants: through aliases, groups, extractors and shared values, by name.

mod walk;

use super::codes;
use super::declare::{Declared, ParameterDecl, What};
use super::is_function;
use crate::source::file::ItemKind;
use crate::source::names::{ItemId, Meaning, Names, Namespace, Unknown};
use crate::source::path::{PathRef, TypeRef};
use crate::source::tree::ModuleId;
use std::collections::BTreeMap;
use std::rc::Rc;
use updraft_model::{Diagnostic, Grant, Kind, Place, Sink};
use updraft_syntax::kinds;
use walk::Walk;

/// How many aliases may stand for each other.
const ALIASES: usize = 64;

/// Declarations by what names them.
pub(super) struct Index<'a> {
    pub(super) names: &'a Names<'a>,
    resources: BTreeMap<ItemId, (Kind, &'a str)>,
    functions: BTreeMap<ItemId, &'a str>,
    groups: BTreeMap<ItemId, &'a [ParameterDecl]>,
    /// The extracted type → the extractor's module and parameters.
    extractors: BTreeMap<ItemId, (ModuleId, &'a [ParameterDecl])>,
    /// The type of a shared value → the function that makes it: its id, its module and its parameters.
    shared: BTreeMap<ItemId, (&'a str, ModuleId, &'a [ParameterDecl])>,
}

/// What is looked for where a resource is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `#[consumer(…)]`
    Consumer,
    /// `#[subscriber(…)]`
    Subscriber,
    /// `#[object(…)]`
    Object,
    /// `Kind<…>`
    Capability(Kind),
}

impl Wanted {
    fn kind(self) -> Kind {
        match self {
            Wanted::Consumer => Kind::Queue,
            Wanted::Subscriber => Kind::Topic,
            Wanted::Object => Kind::Bucket,
            Wanted::Capability(kind) => kind,
        }
    }
}

/// A type where it is written, with what an alias's parameters stand for there.
#[derive(Clone)]
struct Scoped<'t> {
    module: ModuleId,
    ty: &'t TypeRef,
    env: Rc<BTreeMap<&'t str, Scoped<'t>>>,
}

/// What a type turns out to be, once aliases are followed.
enum Head<'t> {
    Export(String, Vec<Scoped<'t>>),
    Item(ItemId),
    Foreign(String, Vec<Scoped<'t>>),
    /// A tuple and its like.
    Nothing,
    Unknown(Unknown, Scoped<'t>),
}

impl<'a> Index<'a> {
    pub(super) fn new(names: &'a Names<'a>, declared: &'a [Declared], sink: &mut Sink) -> Self {
        let mut index = Index {
            names,
            resources: BTreeMap::new(),
            functions: BTreeMap::new(),
            groups: BTreeMap::new(),
            extractors: BTreeMap::new(),
            shared: BTreeMap::new(),
        };
        for one in declared {
            match &one.what {
                What::Handler(handler) if matches!(handler.trigger, super::TriggerDecl::Function { .. }) => {
                    index.functions.insert(one.item, &handler.id);
                }
                What::Resource(resource) => {
                    index.resources.insert(one.item, (resource.kind, &resource.id));
                }
                What::Group { members } => {
                    index.groups.insert(one.item, members);
                }
                What::Handler(_) | What::Extractor { .. } | What::Data => {}
            }
        }
        for one in declared {
            match &one.what {
                What::Extractor { extracted, parameters } => {
                    if let Some(item) = index.made("an extractor", one, extracted, sink) {
                        index.extractors.insert(item, (one.item.module, parameters));
                    }
                }
                What::Handler(handler) => {
                    let super::TriggerDecl::Shared { made, .. } = &handler.trigger else { continue };
                    let Some(item) = index.made("a function with `#[shared]`", one, made, sink) else { continue };
                    let entry = (handler.id.as_str(), one.item.module, &handler.parameters[..]);
                    if let Some((other, ..)) = index.shared.insert(item, entry) {
                        sink.push(
                            Diagnostic::error(codes::SHARED_TWICE, "two functions make the same shared value")
                                .label(&one.place, "makes it too")
                                .help(format!(
                                    "`{other}` makes one of this type already: take it as `Shared<…>`, or make a type of your own for the second"
                                )),
                        );
                    }
                }
                What::Resource(_) | What::Group { .. } | What::Data => {}
            }
        }
        index
    }

    /// The type of its own crate that a function makes.
    fn made(&self, what: &str, one: &Declared, made: &TypeRef, sink: &mut Sink) -> Option<ItemId> {
        let (names, module) = (self.names, one.item.module);
        let own = match made {
            TypeRef::Path(path) => names.resolve(module, path, Namespace::Types).ok(),
            TypeRef::Other(_) => None,
        };
        match own {
            Some(Meaning::Item(item)) if self.is_type_of(item, module) => return Some(item),
            _ => {}
        }
        sink.push(
            Diagnostic::error(
                codes::EXTRACTED,
                format!("{what} makes a type of its own crate, written by its own name"),
            )
            .label(&names.tree.modules[module].place(made.range()), "no struct or enum of this crate")
            .help("declare a struct for what it makes, and return `Result<ThatStruct, …>`"),
        );
        None
    }

    /// Whether an item is a struct or the like, in the same crate as `module`.
    fn is_type_of(&self, item: ItemId, module: ModuleId) -> bool {
        let modules = &self.names.tree.modules;
        modules[item.module].krate == modules[module].krate
            && modules[item.module].items[item.item].kind == ItemKind::Type
    }

    /// The id of the queue, topic or bucket that an attribute names.
    pub(super) fn resource(&self, module: ModuleId, path: &PathRef, wanted: Wanted, sink: &mut Sink) -> Option<String> {
        let ty = TypeRef::Path(path.clone());
        self.named(&Scoped { module, ty: &ty, env: Rc::default() }, wanted, sink)
    }

    /// Adds what a parameter grants. False if something was wrong with it, which has been said.
    pub(super) fn grants(
        &self,
        module: ModuleId,
        parameter: &ParameterDecl,
        found: &mut BTreeMap<Grant, Place>,
        sink: &mut Sink,
    ) -> bool {
        let scoped = Scoped { module, ty: &parameter.ty, env: Rc::default() };
        let place = self.place(&scoped);
        if parameter.is_argument {
            return self.argument(&scoped, &place, sink);
        }
        Walk::of(self, found, sink, place).through(&scoped, parameter.looks_like_one)
    }

    /// What callers send is no capability behind an alias.
    fn argument(&self, scoped: &Scoped<'_>, place: &Place, sink: &mut Sink) -> bool {
        let Head::Export(name, _) = self.head(scoped, 0) else { return true };
        if kinds::kind(&name).is_none() && name != kinds::GROUP {
            return true;
        }
        sink.push(
            Diagnostic::error(codes::ALIASED, "this can't travel as an argument of a `#[function]`")
                .label(place, format!("an alias of `{name}<…>`"))
                .help("a capability is written with its kind here (`Queue<Name>`), not through an alias"),
        );
        false
    }

    fn place(&self, scoped: &Scoped<'_>) -> Place {
        self.names.tree.modules[scoped.module].place(scoped.ty.range())
    }

    fn head<'t>(&self, scoped: &Scoped<'t>, depth: usize) -> Head<'t>
    where
        'a: 't,
    {
        let TypeRef::Path(path) = scoped.ty else { return Head::Nothing };
        if let [one] = &path.segments[..]
            && let Some(meant) = scoped.env.get(one.name.as_str())
        {
            return if depth < ALIASES { self.head(meant, depth + 1) } else { Head::Nothing };
        }
        let arguments = || -> Vec<Scoped<'t>> {
            path.arguments().iter().map(|ty| Scoped { module: scoped.module, ty, env: scoped.env.clone() }).collect()
        };
        match self.names.resolve(scoped.module, path, Namespace::Types) {
            Ok(Meaning::Export(name)) => Head::Export(name, arguments()),
            Ok(Meaning::Foreign(name)) => Head::Foreign(name, arguments()),
            Ok(Meaning::Module(_) | Meaning::Updraft | Meaning::Private) => Head::Nothing,
            Ok(Meaning::Item(id)) => {
                let tree: &'a crate::source::tree::Tree = self.names.tree;
                match &tree.modules[id.module].items[id.item].kind {
                    ItemKind::Alias { parameters, target } if depth < ALIASES => {
                        let env = parameters.iter().map(String::as_str).zip(arguments()).collect();
                        self.head(&Scoped { module: id.module, ty: target, env: Rc::new(env) }, depth + 1)
                    }
                    ItemKind::Alias { .. } => Head::Nothing,
                    ItemKind::Type | ItemKind::Function { .. } | ItemKind::Method | ItemKind::Value => Head::Item(id),
                }
            }
            Err(unknown) => Head::Unknown(unknown, scoped.clone()),
        }
    }

    /// The id of the resource that a type names.
    fn named(&self, scoped: &Scoped<'_>, wanted: Wanted, sink: &mut Sink) -> Option<String> {
        let kind = wanted.kind();
        let noun = noun(kind);
        let place = self.place(scoped);
        let text = match scoped.ty {
            TypeRef::Path(path) => path.to_string(),
            TypeRef::Other(_) => "this".to_owned(),
        };
        let item = match self.head(scoped, 0) {
            Head::Item(item) => item,
            Head::Unknown(unknown, at) => {
                sink.push(self.unresolved(&text, &unknown, &at, kind));
                return None;
            }
            Head::Export(..) | Head::Foreign(..) | Head::Nothing => {
                let article = if kind == Kind::External { "an" } else { "a" };
                sink.push(
                    Diagnostic::error(codes::UNRESOLVED, format!("`{text}` is no {noun}"))
                        .label(&place, "not declared by an attribute of updraft")
                        .help(match kind {
                            Kind::Shared => {
                                "a shared value is of a type of your own, which a function with `#[shared]` makes"
                                    .to_owned()
                            }
                            kind => format!("{article} {kind} is a type of your own with `#[{kind}]`"),
                        }),
                );
                return None;
            }
        };
        if kind == Kind::Shared
            && let Some((id, ..)) = self.shared.get(&item)
        {
            return Some((*id).to_owned());
        }
        match (self.resources.get(&item), self.functions.get(&item)) {
            (Some((found, id)), _) if *found == kind => return Some((*id).to_owned()),
            (_, Some(id)) if kind == Kind::Function => return Some((*id).to_owned()),
            _ => {}
        }
        let module = &self.names.tree.modules[item.module];
        let declared = &module.items[item.item];
        let ours = declared.attributes.iter().find_map(|(_, path)| self.names.attribute(item.module, path).ok()?);
        let found = self.resources.get(&item).map(|(found, _)| *found);
        let is_ours = found.is_some() || self.functions.contains_key(&item);
        // Its own attribute is wrong, which has been said.
        if !is_ours && ours.is_some_and(|ours| ours.name() == kind.as_str()) {
            return None;
        }
        let what = match (found, ours) {
            (Some(found), _) => format!("a {found}").replace("a external", "an external"),
            (None, _) if self.functions.contains_key(&item) => "a function".to_owned(),
            (None, Some(ours)) if is_function(self.names, item) => format!("a handler with `#[{}]`", ours.name()),
            _ => "declared here, without an attribute that makes it one".to_owned(),
        };
        let help = match (wanted, found) {
            (Wanted::Consumer, Some(Kind::Topic)) => {
                format!("a topic has subscribers, each of which gets every message: `#[subscriber({text})]`")
            }
            (Wanted::Subscriber, Some(Kind::Queue)) => {
                format!("a queue has one consumer, which gets every message once: `#[consumer({text})]`")
            }
            (Wanted::Capability(_), Some(found)) => format!("take `{}<{text}>`", capitalised(found)),
            (_, None) if kind == Kind::Function => format!("`Function<{text}>` calls a handler with `#[function]`"),
            _ if kind == Kind::Shared => {
                format!("let a function make it: `#[shared] async fn make(…) -> Result<{text}>`")
            }
            _ => format!("put `#[{kind}]` on it, or name another type"),
        };
        sink.push(
            Diagnostic::error(codes::KIND, format!("`{text}` is no {noun}"))
                .label(&place, format!("a {noun} is needed here"))
                .label(&module.place(declared.at.clone()), what)
                .help(help),
        );
        None
    }

    fn unresolved(&self, text: &str, unknown: &Unknown, scoped: &Scoped<'_>, kind: Kind) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::UNRESOLVED, format!("there is no {} `{text}` in scope", noun(kind)));
        let place = self.place(scoped);
        if *unknown == Unknown::Hidden {
            return diagnostic
                .label(&place, "can't be found without running macros or looking into other crates")
                .help("declare it with its attribute, outside of macros, and import it by name and not with `*`");
        }
        let name = text.rsplit("::").next().unwrap_or(text);
        let diagnostic = diagnostic.label(&place, "not found");
        let known = self.of_kind(kind);
        let meant = updraft_syntax::names::closest(name, known.iter().map(|(name, _)| *name));
        let Some((meant, item)) = meant.and_then(|meant| known.iter().find(|(name, _)| *name == meant)) else {
            return diagnostic.help(match kind {
                Kind::Function => "declare it: an `async fn` of that name with `#[function]`".to_owned(),
                Kind::Shared => format!(
                    "import it with `use`, or let a function make it: `#[shared] async fn make(…) -> Result<{name}>`"
                ),
                kind => format!("import it with `use`, or declare it: `#[{kind}] struct {name};`"),
            });
        };
        let modules = &self.names.tree.modules;
        let (here, there) = (&modules[scoped.module], &modules[item.module]);
        let module = match there.path.split_once("::") {
            _ if here.krate != there.krate => there.path.clone(),
            Some((_, below)) => format!("crate::{below}"),
            None => "crate".to_owned(),
        };
        let help = match (*meant == name, item.module == scoped.module) {
            (true, _) => format!("import it: `use {module}::{meant};`"),
            (false, true) => format!("did you mean `{meant}`?"),
            (false, false) => format!("did you mean `{module}::{meant}`?"),
        };
        diagnostic.label(&there.place(there.items[item.item].at.clone()), format!("a {}", noun(kind))).help(help)
    }

    /// The names of all types that stand for a resource of this kind.
    fn of_kind(&self, kind: Kind) -> Vec<(&str, ItemId)> {
        let modules = &self.names.tree.modules;
        let resources = self.resources.iter().filter(|(_, (found, _))| *found == kind).map(|(item, _)| *item);
        let functions = self.functions.keys().copied().filter(|_| kind == Kind::Function);
        let shared = self.shared.keys().copied().filter(|_| kind == Kind::Shared);
        resources
            .chain(functions)
            .chain(shared)
            .map(|item| {
                let found = &modules[item.module].items[item.item];
                match &found.kind {
                    ItemKind::Function { types } if !types.is_empty() => (types[0].as_str(), item),
                    _ => (found.name.as_str(), item),
                }
            })
            .collect()
    }
}

/// What a kind is called in a sentence.
fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Shared => "shared value",
        kind => kind.as_str(),
    }
}

fn capitalised(kind: Kind) -> String {
    kinds::KINDS
        .iter()
        .find(|known| known.kind == kind.as_str())
        .map_or_else(String::new, |known| known.name.to_owned())
}
