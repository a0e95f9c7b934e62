//! Placement: which handlers are deployed and scaled together.
//!
//! Under `module`, public routes form the unit `web`, and every other handler belongs to the unit of its module: the first
//! path segment under the program's crate, or another crate's name. A function has no traffic of its own, so unless a
//! group or `handler` gives it a unit, it is part of every unit that calls it. A shared value is part of every unit that takes
//! it, and a layer of every unit with a route below it, whatever the placement says.

pub mod codes;

use crate::settings::{self, Names};
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::settings::{Granularity, Placement};
use updraft_model::{App, Diagnostic, Handler, Kind, Place, Sink, Trigger, Unit};
use updraft_wire::ids::kebab;

/// The unit of all public routes under `module`.
pub const WEB: &str = "web";

/// The units, sorted by id.
///
/// `own` are the crates of the program's package. If the application is `incomplete`, absence proves nothing.
pub(crate) fn place(
    app: &App,
    own: &BTreeSet<&str>,
    read: &settings::Read,
    default: Granularity,
    incomplete: bool,
    sink: &mut Sink,
) -> Vec<Unit> {
    let placement = &read.settings.placement;
    let grouped = groups(app, placement, &read.places, incomplete, sink);
    let granularity = placement.default.unwrap_or(default);
    let mut units: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut made_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut floating = Vec::new();
    for handler in app.handlers.iter().filter(|handler| !handler.trigger.is_everywhere()) {
        let (unit, origin) = match grouped.get(handler.id.as_str()) {
            Some(group) => (group.clone(), format!("the group `{group}`")),
            None => match granularity {
                Granularity::App => (kebab_path(&app.name), "the app".to_owned()),
                Granularity::Handler => (kebab_path(&handler.id), format!("the handler `{}`", handler.id)),
                Granularity::Module => match (&handler.trigger, module_unit(own, handler)) {
                    (Trigger::Function { .. }, _) => {
                        floating.push(handler);
                        continue;
                    }
                    (Trigger::Http { .. } | Trigger::Routes { .. }, _) => (WEB.to_owned(), "public routes".to_owned()),
                    (
                        Trigger::Consumer { .. }
                        | Trigger::Subscriber { .. }
                        | Trigger::Schedule { .. }
                        | Trigger::Object { .. }
                        | Trigger::Layer { .. }
                        | Trigger::Shared { .. },
                        unit,
                    ) => unit,
                },
            },
        };
        units.entry(unit.clone()).or_default().insert(handler.id.clone());
        made_of.entry(unit).or_default().insert(origin);
    }
    let everywhere = app.handlers.iter().filter(|handler| handler.trigger.is_everywhere());
    let free: BTreeSet<&str> = floating.iter().copied().chain(everywhere).map(|handler| handler.id.as_str()).collect();
    for handlers in units.values_mut() {
        join_layers(app, handlers);
        join_callees(app, handlers, &free);
    }
    // A function that nobody calls (a warning of its own) still has to be somewhere.
    for handler in floating {
        if !units.values().any(|handlers| handlers.contains(&handler.id)) {
            let (unit, origin) = module_unit(own, handler);
            made_of.entry(unit.clone()).or_default().insert(origin);
            let mut handlers = BTreeSet::from([handler.id.clone()]);
            join_callees(app, &mut handlers, &free);
            units.entry(unit).or_default().extend(handlers);
        }
    }
    names(app, &units, &made_of, &read.places, sink);
    units.into_iter().map(|(id, handlers)| Unit { id, handlers }).collect()
}

/// The layers round the unit's routes.
fn join_layers(app: &App, handlers: &mut BTreeSet<String>) {
    let inside: Vec<&Handler> = handlers.iter().filter_map(|id| app.handler(id)).collect();
    let layers = app.handlers.iter().filter(|handler| match &handler.trigger {
        Trigger::Layer { path, .. } => inside.iter().any(|handler| handler.trigger.is_layered(path)),
        _ => false,
    });
    let layers: Vec<String> = layers.map(|layer| layer.id.clone()).collect();
    handlers.extend(layers);
}

/// The free functions that handlers call and the shared values that they take, and what those call and take in turn.
fn join_callees(app: &App, handlers: &mut BTreeSet<String>, free: &BTreeSet<&str>) {
    let mut open: Vec<String> = handlers.iter().cloned().collect();
    while let Some(id) = open.pop() {
        let Some(handler) = app.handler(&id) else { continue };
        for grant in handler.grants.iter().filter(|grant| matches!(grant.kind, Kind::Function | Kind::Shared)) {
            if free.contains(grant.resource.as_str()) && handlers.insert(grant.resource.clone()) {
                open.push(grant.resource.clone());
            }
        }
    }
}

/// The first module under the program's crate, or another crate's name; and what to call it.
fn module_unit(own: &BTreeSet<&str>, handler: &Handler) -> (String, String) {
    let own = own.contains(handler.krate.as_str());
    let first = handler.module.split("::").next().filter(|first| own && !first.is_empty());
    match first {
        Some(module) => (kebab_path(module), format!("the module `{}::{module}`", handler.krate)),
        None => (kebab_path(&handler.krate), format!("the crate `{}`", handler.krate)),
    }
}

/// `shop::place_order` → `shop-place-order`.
fn kebab_path(path: &str) -> String {
    path.split("::").map(kebab).collect::<Vec<_>>().join("-")
}

/// Handler's id → the group that has it. The longest name wins: a handler's over its module's over its crate's.
fn groups(
    app: &App,
    placement: &Placement,
    places: &[(Names, String, Place)],
    incomplete: bool,
    sink: &mut Sink,
) -> BTreeMap<String, String> {
    let place = |unit: &str, member: &str| {
        places
            .iter()
            .find(|(what, name, _)| *what == Names::Member(unit.to_owned()) && name == member)
            .map(|(_, _, place)| place)
    };
    let labelled = |diagnostic: Diagnostic, unit: &str, member: &str, text: &str| match place(unit, member) {
        Some(place) => diagnostic.label(place, text),
        None => diagnostic,
    };
    let mut chosen: BTreeMap<String, (usize, String, String)> = BTreeMap::new();
    for (unit, members) in &placement.groups {
        for member in members {
            let inside =
                |id: &str| id == member || id.strip_prefix(member.as_str()).is_some_and(|rest| rest.starts_with("::"));
            // By path, not by id: a pinned id says nothing of where the handler is.
            let path = |handler: &Handler| match handler.module.as_str() {
                "" => handler.krate.clone(),
                module => format!("{}::{module}", handler.krate),
            };
            let fitting: Vec<&Handler> =
                app.handlers.iter().filter(|handler| handler.id == *member || inside(&path(handler))).collect();
            if fitting.is_empty() && !incomplete {
                let names =
                    app.handlers.iter().flat_map(|handler| [handler.id.clone(), path(handler), handler.krate.clone()]);
                let names: BTreeSet<String> = names.collect();
                let help = match updraft_syntax::names::closest(member, names.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "a group holds handlers (`shop::billing::charge`), modules (`shop::billing`) or crates (`audit`)".to_owned(),
                };
                let diagnostic =
                    Diagnostic::error(codes::MEMBER, format!("the group `{unit}` names no handler: `{member}`"));
                sink.push(labelled(diagnostic, unit, member, "no handler, module or crate").help(help));
            }
            for handler in fitting {
                let length = if handler.id == *member { usize::MAX } else { member.len() };
                match chosen.get(&handler.id) {
                    Some((other, _, _)) if *other > length => {}
                    Some((other, group, by)) if *other == length && group != unit => {
                        let diagnostic = Diagnostic::error(codes::TWICE, format!("`{}` is in two groups", handler.id));
                        let diagnostic = labelled(diagnostic, unit, member, &format!("in `{unit}`"));
                        let diagnostic = labelled(diagnostic, group, by, &format!("and in `{group}`"));
                        sink.push(diagnostic.help("a handler runs in one unit: name it in one group"));
                    }
                    _ => {
                        chosen.insert(handler.id.clone(), (length, unit.clone(), member.clone()));
                    }
                }
            }
        }
    }
    chosen.into_iter().map(|(handler, (_, unit, _))| (handler, unit)).collect()
}

/// Units' names are names of objects everywhere, and two things must not get one name by accident.
fn names(
    app: &App,
    units: &BTreeMap<String, BTreeSet<String>>,
    made_of: &BTreeMap<String, BTreeSet<String>>,
    places: &[(Names, String, Place)],
    sink: &mut Sink,
) {
    for (unit, handlers) in units {
        let handlers: Vec<&Handler> = handlers.iter().filter_map(|id| app.handler(id)).collect();
        let group =
            places.iter().find(|(what, name, _)| *what == Names::Unit && name == unit).map(|(_, _, place)| place);
        if !is_name(unit) {
            let mut diagnostic = Diagnostic::error(codes::NAME, format!("`{unit}` can't be the name of a unit"));
            if let Some(place) = group {
                diagnostic = diagnostic.label(place, "not in kebab case");
            }
            for handler in handlers.iter().take(1) {
                diagnostic = diagnostic.label(&handler.place, "would run there");
            }
            let help = format!(
                "units name objects of a cloud: lower-case letters, digits and `-`, from a letter on, up to {LONGEST} characters. \
                 Put the handlers into a group: `[placement]` `groups.some-name = [\"…\"]`"
            );
            sink.push(diagnostic.help(help));
        }
        let origins: Vec<&str> = made_of.get(unit).into_iter().flatten().map(String::as_str).collect();
        if origins.len() > 1 {
            let mut diagnostic = Diagnostic::error(
                codes::COLLISION,
                format!("two units would be called `{unit}`: {}", origins.join(" and ")),
            );
            diagnostic = match group {
                Some(place) => diagnostic.label(place, "one"),
                None => diagnostic,
            };
            for handler in handlers.iter().take(2) {
                diagnostic = diagnostic.label(&handler.place, "runs there");
            }
            sink.push(
                diagnostic
                    .help("give one of them another name with a group: `[placement]` `groups.some-name = [\"…\"]`"),
            );
        }
    }
}

/// The longest name that every target can carry, with room for what targets add to it (revisions, `-events`).
const LONGEST: usize = 50;

/// Whether every target can carry a name.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}
