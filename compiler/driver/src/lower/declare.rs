//! From items with our attributes to declarations, through the grammar that the macros use too. What syn makes can't leave
//! its thread, so each item's text is read again here, without its body, and turned into owned data at once.

use super::codes;
use crate::source::cfg::Cfg;
use crate::source::file::{ItemKind, forget};
use crate::source::names::{ItemId, Meaning, Names, Namespace, Unknown};
use crate::source::path::{PathRef, TypeRef};
use crate::source::tree::Module;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use syn::{Expr, Item as Syntax, Lit, Meta};
use updraft_model::{Access, Diagnostic, Kind, ObjectEvent, Place, Sink};
use updraft_syntax::handler::Trigger;
use updraft_syntax::resource::ResourceKind;
use updraft_syntax::{Attribute, Declaration, Item, OptionValue};

/// An item with one of our attributes.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) item: ItemId,
    pub(super) name: String,
    /// Its name's place.
    pub(super) place: Place,
    /// The first paragraph of its doc comment.
    pub(super) about: Option<String>,
    pub(super) what: What,
}

/// What it declares.
#[derive(Debug)]
pub(super) enum What {
    Handler(HandlerDecl),
    Resource(ResourceDecl),
    /// A function that makes `extracted`.
    Extractor {
        extracted: TypeRef,
        parameters: Vec<ParameterDecl>,
    },
    Group {
        members: Vec<ParameterDecl>,
    },
    Data,
}

#[derive(Debug)]
pub(super) struct HandlerDecl {
    pub(super) id: String,
    pub(super) trigger: TriggerDecl,
    pub(super) parameters: Vec<ParameterDecl>,
    pub(super) timeout: u32,
    pub(super) retries: u32,
    pub(super) options: Vec<(String, OptionDecl)>,
    /// The attribute's name.
    pub(super) attribute: Place,
}

/// A parameter, or a group's field.
#[derive(Debug)]
pub(super) struct ParameterDecl {
    pub(super) ty: TypeRef,
    /// Whether callers send it.
    pub(super) is_argument: bool,
    /// Whether it is spelled like a capability.
    pub(super) looks_like_one: bool,
}

#[derive(Debug)]
pub(super) enum TriggerDecl {
    Http {
        method: String,
        path: String,
    },
    Consumer {
        queue: PathRef,
    },
    Subscriber {
        topic: PathRef,
        when: BTreeMap<String, String>,
    },
    Schedule {
        cron: String,
        timezone: String,
        overlap: bool,
        run_missed: bool,
    },
    Object {
        bucket: PathRef,
        event: ObjectEvent,
        prefix: String,
        suffix: String,
    },
    Function {
        idempotent: bool,
    },
    Routes {
        prefix: String,
    },
    Layer {
        path: String,
        order: u32,
    },
    /// A function that makes `made`, a type.
    Shared {
        value: String,
        made: TypeRef,
    },
}

#[derive(Debug)]
pub(super) enum OptionDecl {
    Text(String),
    Resource,
}

#[derive(Debug)]
pub(super) struct ResourceDecl {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) external: Option<Access>,
    pub(super) options: BTreeMap<String, String>,
    pub(super) hosts: Vec<String>,
}

/// An item to read again.
struct Task {
    item: ItemId,
    /// (place among the attributes, which one, the attribute's path).
    attributes: Vec<(usize, Attribute, Range<usize>)>,
    is_group: bool,
}

/// Every declaration of every crate, in the order of crates, modules and items.
pub(super) fn all(names: &Names<'_>, sink: &mut Sink) -> Vec<Declared> {
    let tasks = tasks(names, sink);
    let (program, tree) = (names.program, names.tree);
    let read: Vec<_> = tasks
        .into_par_iter()
        .map(|task| {
            let module = &tree.modules[task.item.module];
            let cfg = Cfg::new(program, &program.crates[module.krate]);
            let mut diagnostics = Vec::new();
            let declared = read(&task, module, &cfg, &mut diagnostics);
            forget();
            (declared, diagnostics)
        })
        .collect();
    let mut all = Vec::new();
    for (declared, diagnostics) in read {
        all.extend(declared);
        sink.extend(diagnostics);
    }
    all
}

/// Which attributes are ours is a question of names, not of spelling.
fn tasks(names: &Names<'_>, sink: &mut Sink) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (id, module) in names.tree.modules.iter().enumerate() {
        for (at, item) in module.items.iter().enumerate() {
            let mut attributes = Vec::new();
            for (place, path) in &item.attributes {
                match names.attribute(id, path) {
                    Ok(Some(attribute)) => attributes.push((*place, attribute, path.range.clone())),
                    Ok(None) => {}
                    Err(unknown) => sink.extend(out_of_scope(module, path, &unknown)),
                }
            }
            let is_group = item.kind == ItemKind::Type
                && item.derives.iter().any(|path| {
                    let meaning = names.resolve(id, path, Namespace::Macros);
                    meaning == Ok(Meaning::Export("Capabilities".to_owned()))
                });
            if !attributes.is_empty() || is_group {
                tasks.push(Task { item: ItemId { module: id, item: at }, attributes, is_group });
            }
        }
    }
    tasks
}

/// An attribute that is spelled like one of ours and comes from nowhere.
fn out_of_scope(module: &Module, path: &PathRef, unknown: &Unknown) -> Option<Diagnostic> {
    let last = path.last()?;
    Attribute::from_name(last)?;
    let help = match unknown {
        Unknown::Missing(_) | Unknown::Prelude => {
            format!("add `use updraft::prelude::*;`, or write `#[updraft::{last}(…)]`")
        }
        // A `*` import of another crate, or a macro, may bring another attribute of this name.
        Unknown::Hidden => format!("say which `{last}` it is: `use updraft::{last};`, or `#[updraft::{last}(…)]`"),
    };
    Some(
        Diagnostic::error(codes::ATTRIBUTE, format!("`#[{path}]` is not in scope here"))
            .label(&module.place(path.range.clone()), "no attribute of this name is imported")
            .help(help),
    )
}

fn read(task: &Task, module: &Module, cfg: &Cfg<'_>, sink: &mut Vec<Diagnostic>) -> Vec<Declared> {
    let item = &module.items[task.item.item];
    let text = &module.file.text;
    let end = item.body.as_ref().map_or(item.range.end, |body| body.start);
    let mut slice = text.get(item.range.start..end).unwrap_or_default().to_owned();
    if item.body.is_some() {
        slice.push_str("{}");
    }
    // It was parsed once; what can't be parsed alone (a method's `default fn`) is no handler.
    let Ok(mut syntax) = syn::parse_str::<Syntax>(&slice) else { return Vec::new() };
    if !apply(&mut syntax, cfg) {
        return Vec::new();
    }
    let reader = Reader { module, base: item.range.start };
    let about = about(attributes(&mut syntax).map_or(&[][..], |attributes| attributes));
    let place = module.place(item.at.clone());
    let make =
        |what| Declared { item: task.item, name: item.name.clone(), place: place.clone(), about: about.clone(), what };
    let mut all = Vec::new();
    for (at, attribute, range) in &task.attributes {
        let Some(written) = attributes(&mut syntax).and_then(|all| all.get(*at).cloned()) else { continue };
        let arguments = match &written.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) => proc_macro2::TokenStream::new(),
            Meta::NameValue(_) => continue, // rustc refuses `#[http = …]`
        };
        // As rustc's macros see themselves: the whole attribute.
        let whole = written.bracket_token.span.join();
        let span = written.pound_token.span.join(whole).unwrap_or(whole);
        let (declaration, found) = updraft_syntax::parse(*attribute, span, arguments, Item::of(&syntax, *at));
        let clean = found.is_empty();
        sink.extend(found.into_iter().map(|one| super::diagnostic(one, &module.file, reader.base)));
        if item.kind == ItemKind::Method && clean {
            sink.push(
                Diagnostic::error(updraft_syntax::codes::METHOD, "a handler is a free function")
                    .label(&place, "inside an `impl` or a `trait`")
                    .help("move it out, and take what it needs as parameters"),
            );
        } else if clean && let Some(declaration) = declaration {
            all.push(make(reader.what(declaration, module.place(range.clone()))));
        }
    }
    if task.is_group {
        let (group, found) = updraft_syntax::capabilities(Item::of(&syntax, 0));
        let clean = found.is_empty();
        sink.extend(found.into_iter().map(|one| super::diagnostic(one, &module.file, reader.base)));
        if clean && let Some(group) = group {
            let members = group.members.iter().map(|(_, ty)| reader.parameter(ty, false)).collect();
            all.push(make(What::Group { members }));
        }
    }
    all
}

/// Leaves what `cfg` leaves. False if nothing is.
fn apply(item: &mut Syntax, cfg: &Cfg<'_>) -> bool {
    let Some(own) = attributes(item) else { return false };
    let Some(left) = cfg.apply(std::mem::take(own)) else { return false };
    *own = left;
    if let Syntax::Struct(item) = item
        && let syn::Fields::Named(fields) = &mut item.fields
    {
        let all = std::mem::take(&mut fields.named);
        fields.named = all
            .into_iter()
            .filter_map(|mut field| {
                field.attrs = cfg.apply(std::mem::take(&mut field.attrs))?;
                Some(field)
            })
            .collect();
    }
    true
}

/// The attributes of an item that can have ours.
fn attributes(item: &mut Syntax) -> Option<&mut Vec<syn::Attribute>> {
    Some(match item {
        Syntax::Fn(item) => &mut item.attrs,
        Syntax::Struct(item) => &mut item.attrs,
        Syntax::Enum(item) => &mut item.attrs,
        Syntax::Union(item) => &mut item.attrs,
        Syntax::Trait(item) => &mut item.attrs,
        Syntax::Type(item) => &mut item.attrs,
        Syntax::Const(item) => &mut item.attrs,
        Syntax::Static(item) => &mut item.attrs,
        _ => return None,
    })
}

/// The first paragraph of a doc comment, as one line.
fn about(attributes: &[syn::Attribute]) -> Option<String> {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let Expr::Lit(literal) = &attribute.meta.require_name_value().ok()?.value else { return None };
        let Lit::Str(text) = &literal.lit else { return None };
        Some(text.value())
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let paragraph = text.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let about = paragraph.collect::<Vec<_>>().join(" ");
    (!about.is_empty()).then_some(about)
}

struct Reader<'a> {
    module: &'a Module,
    base: usize,
}

impl Reader<'_> {
    fn what(&self, declaration: Declaration, attribute: Place) -> What {
        match declaration {
            Declaration::Handler(handler) => What::Handler(self.handler(&handler, attribute)),
            Declaration::Resource(resource) => What::Resource(Reader::resource(&resource)),
            Declaration::Extractor(extractor) => What::Extractor {
                extracted: TypeRef::new(&extractor.extracted, self.base),
                parameters: extractor.parameters.iter().map(|one| self.parameter(&one.ty, false)).collect(),
            },
            Declaration::Data(_) => What::Data,
        }
    }

    fn handler(&self, handler: &updraft_syntax::Handler, attribute: Place) -> HandlerDecl {
        let path = |path| PathRef::new(path, self.base);
        let trigger = match &handler.trigger {
            Trigger::Http { method, route } => TriggerDecl::Http { method: (*method).to_owned(), path: route.path() },
            Trigger::Consumer { queue, batch: _ } => TriggerDecl::Consumer { queue: path(queue) },
            Trigger::Subscriber { topic, when } => TriggerDecl::Subscriber {
                topic: path(topic),
                when: when.iter().map(|(name, value)| (name.to_string(), value.value())).collect(),
            },
            Trigger::Schedule { cron, timezone, overlap, run_missed } => TriggerDecl::Schedule {
                cron: cron.canonical.clone(),
                timezone: timezone.clone(),
                overlap: *overlap,
                run_missed: *run_missed,
            },
            Trigger::Object { bucket, event, prefix, suffix } => {
                let text = |text: &Option<syn::LitStr>| text.as_ref().map(syn::LitStr::value).unwrap_or_default();
                TriggerDecl::Object {
                    bucket: path(bucket),
                    event: if *event == "created" { ObjectEvent::Created } else { ObjectEvent::Removed },
                    prefix: text(prefix),
                    suffix: text(suffix),
                }
            }
            Trigger::Function { idempotent, type_name: _ } => TriggerDecl::Function { idempotent: *idempotent },
            Trigger::Routes { prefix } => TriggerDecl::Routes { prefix: prefix.path() },
            Trigger::Layer { path, order } => TriggerDecl::Layer { path: path.path(), order: *order },
            Trigger::Shared { value } => TriggerDecl::Shared {
                value: updraft_syntax::option::canonical(value),
                made: TypeRef::new(value, self.base),
            },
        };
        let options = handler.options().into_iter().map(|(name, value)| match value {
            OptionValue::Text(text) => (name, OptionDecl::Text(text)),
            OptionValue::Resource(_) => (name, OptionDecl::Resource),
        });
        let parameters =
            handler.parameters.iter().map(|one| self.parameter(&one.ty, one.role == updraft_syntax::Role::Argument));
        HandlerDecl {
            id: handler.id(&self.module.path),
            trigger,
            parameters: parameters.collect(),
            timeout: handler.timeout,
            retries: handler.retries,
            options: options.collect(),
            attribute,
        }
    }

    fn parameter(&self, ty: &syn::Type, is_argument: bool) -> ParameterDecl {
        let looks_like_one = updraft_syntax::kinds::capability(ty).is_some();
        ParameterDecl { ty: TypeRef::new(ty, self.base), is_argument, looks_like_one }
    }

    fn resource(resource: &updraft_syntax::Resource) -> ResourceDecl {
        let kind = match &resource.kind {
            ResourceKind::Queue { .. } => Kind::Queue,
            ResourceKind::Topic { .. } => Kind::Topic,
            ResourceKind::Store { .. } => Kind::Store,
            ResourceKind::Bucket { .. } => Kind::Bucket,
            ResourceKind::Database { .. } => Kind::Database,
            ResourceKind::Secret { .. } => Kind::Secret,
            ResourceKind::Config { .. } => Kind::Config,
            ResourceKind::External { .. } => Kind::External,
        };
        let hosts = match &resource.kind {
            ResourceKind::External { hosts } => hosts.iter().map(syn::LitStr::value).collect(),
            _ => Vec::new(),
        };
        let options = resource.options().into_iter().map(|(name, value)| match value {
            OptionValue::Text(text) => (name, text),
            OptionValue::Resource(path) => (name, PathRef::new(&path, 0).to_string()),
        });
        ResourceDecl {
            kind,
            id: resource.id(),
            external: resource.external.map(super::access),
            options: options.collect(),
            hosts,
        }
    }
}
