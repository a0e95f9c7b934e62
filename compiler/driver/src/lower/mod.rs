//! From declarations to the application: ids, triggers, grants, with names resolved.

pub(crate) mod codes;
mod declare;
mod grants;
mod misuse;
mod program;

use crate::source::File;
use crate::source::file::ItemKind;
use crate::source::names::{ItemId, Names};
use crate::source::path::{PathRef, shifted};
use crate::source::tree::Tree;
use crate::world::Program;
use declare::{Declared, HandlerDecl, OptionDecl, ResourceDecl, TriggerDecl, What};
use grants::{Index, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{App, Diagnostic, Grant, Handler, Kind, Place, Resource, Sink, Trigger};
use updraft_syntax::kinds;

/// The application, and what checks need beside it.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) app: App,
    /// (handler's id, grant) → where the signature says so.
    pub(crate) grants: BTreeMap<(String, Grant), Place>,
    /// Handler's id → where its attribute names the queue, topic or bucket, or else the attribute.
    pub(crate) triggers: BTreeMap<String, Place>,
    /// Crates that hold handlers but that the program does not name, with their handlers.
    pub(crate) unnamed: BTreeMap<String, Vec<Place>>,
    /// Where the program names its crates.
    pub(crate) main: Option<Place>,
}

/// Lowers every declaration whose own diagnostics are clean.
pub(crate) fn lower(program: &Program, tree: &Tree, sink: &mut Sink) -> Lowered {
    let names = Names::new(program, tree);
    let main = program::find(&names, sink);
    let declared = declare::all(&names, sink);
    misuse::check(&names, sink);
    let index = Index::new(&names, &declared, sink);
    let linked = main.linked(&names);
    let mut lowered = Lowered {
        app: App {
            format: updraft_model::app::FORMAT,
            name: program.package.clone(),
            package: program.package.clone(),
            crates: main.names(),
            handlers: Vec::new(),
            resources: Vec::new(),
        },
        grants: BTreeMap::new(),
        triggers: BTreeMap::new(),
        unnamed: BTreeMap::new(),
        main: main.place.clone(),
    };
    for one in &declared {
        let krate = tree.modules[one.item.module].krate;
        match &one.what {
            What::Handler(handler) => {
                if !main.is_named(krate) {
                    let name = program.crates[krate].name.clone();
                    lowered.unnamed.entry(name).or_default().push(one.place.clone());
                } else if let Some(handler) = lowered.handler(&index, one, handler, sink) {
                    lowered.app.handlers.push(handler);
                }
            }
            // A crate that is never mentioned is not linked, and nobody can use its resources.
            What::Resource(resource) if linked.contains(&krate) => {
                lowered.app.resources.push(make_resource(&names, one, resource));
            }
            What::Resource(_) | What::Extractor { .. } | What::Group { .. } | What::Data => {}
        }
    }
    lowered.app.handlers.sort_by(|a, b| (&a.id, &a.place).cmp(&(&b.id, &b.place)));
    lowered.app.resources.sort_by(|a, b| (&a.id, a.kind, &a.place).cmp(&(&b.id, b.kind, &b.place)));
    lowered
}

impl Lowered {
    fn handler(
        &mut self,
        index: &Index<'_>,
        one: &Declared,
        handler: &HandlerDecl,
        sink: &mut Sink,
    ) -> Option<Handler> {
        let names = index.names;
        let module = &names.tree.modules[one.item.module];
        let mut options = BTreeMap::new();
        let mut resource_of = |path: &PathRef, wanted: Wanted| {
            index.resource(one.item.module, path, wanted, sink).map(|id| (id, module.place(path.range.clone())))
        };
        let attribute = handler.attribute.clone();
        let (trigger, at) = match &handler.trigger {
            TriggerDecl::Http { method, path } => {
                (Trigger::Http { method: method.clone(), path: path.clone() }, attribute)
            }
            TriggerDecl::Consumer { queue } => {
                let (queue, at) = resource_of(queue, Wanted::Consumer)?;
                (Trigger::Consumer { queue }, at)
            }
            TriggerDecl::Subscriber { topic, when } => {
                let (topic, at) = resource_of(topic, Wanted::Subscriber)?;
                (Trigger::Subscriber { topic, when: when.clone() }, at)
            }
            TriggerDecl::Schedule { cron, timezone, overlap, run_missed } => (
                Trigger::Schedule {
                    cron: cron.clone(),
                    timezone: timezone.clone(),
                    overlap: *overlap,
                    run_missed: *run_missed,
                },
                attribute,
            ),
            TriggerDecl::Object { bucket, event, prefix, suffix } => {
                let (bucket, at) = resource_of(bucket, Wanted::Object)?;
                (Trigger::Object { bucket, event: *event, prefix: prefix.clone(), suffix: suffix.clone() }, at)
            }
            TriggerDecl::Function { idempotent } => (Trigger::Function { idempotent: *idempotent }, attribute),
            TriggerDecl::Routes { prefix } => (Trigger::Routes { prefix: prefix.clone() }, attribute),
            TriggerDecl::Layer { path, order } => (Trigger::Layer { path: path.clone(), order: *order }, attribute),
            TriggerDecl::Shared { value, made: _ } => (Trigger::Shared { value: value.clone() }, attribute),
        };
        for (name, value) in &handler.options {
            let value = match value {
                OptionDecl::Text(text) => text.clone(),
                OptionDecl::Resource => trigger.source().map(|(_, id)| id.to_owned()).unwrap_or_default(),
            };
            options.insert(name.clone(), value);
        }
        let mut found = BTreeMap::new();
        let mut clean = true;
        for parameter in &handler.parameters {
            clean &= index.grants(one.item.module, parameter, &mut found, sink);
        }
        if !clean {
            return None;
        }
        let krate = names.program.crates[module.krate].name.clone();
        let below = module.path.strip_prefix(&krate).unwrap_or_default().trim_start_matches("::").to_owned();
        self.triggers.insert(handler.id.clone(), at);
        let grants: BTreeSet<Grant> = found.keys().cloned().collect();
        self.grants.extend(found.into_iter().map(|(grant, place)| ((handler.id.clone(), grant), place)));
        Some(Handler {
            id: handler.id.clone(),
            krate,
            module: below,
            trigger,
            grants,
            timeout: handler.timeout,
            retries: handler.retries,
            options,
            about: one.about.clone(),
            place: one.place.clone(),
        })
    }
}

fn make_resource(names: &Names<'_>, one: &Declared, resource: &ResourceDecl) -> Resource {
    let module = &names.tree.modules[one.item.module];
    Resource {
        id: resource.id.clone(),
        kind: resource.kind,
        path: format!("{}::{}", module.path, one.name),
        external: resource.external,
        options: resource.options.clone(),
        hosts: resource.hosts.clone(),
        about: one.about.clone(),
        place: one.place.clone(),
    }
}

/// One of the grammar's findings, where what was read starts `base` bytes into the file.
fn diagnostic(one: updraft_syntax::Diagnostic, file: &File, base: usize) -> Diagnostic {
    let (start, end) = (one.start.byte_range(), one.end.byte_range());
    let place = file.place(shifted(start.start..end.end.max(start.end), base));
    let diagnostic = Diagnostic::error(one.code, one.message).label(&place, one.label);
    match one.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// The model's kind of this name (`queue`).
fn kind(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

/// The model's word for an access.
fn access(access: kinds::Access) -> updraft_model::Access {
    match access {
        kinds::Access::Read => updraft_model::Access::Read,
        kinds::Access::Write => updraft_model::Access::Write,
        kinds::Access::ReadWrite => updraft_model::Access::ReadWrite,
        kinds::Access::Call => updraft_model::Access::Call,
    }
}

/// Whether an item is a free function.
fn is_function(names: &Names<'_>, item: ItemId) -> bool {
    matches!(names.tree.modules[item.module].items[item.item].kind, ItemKind::Function { .. })
}
