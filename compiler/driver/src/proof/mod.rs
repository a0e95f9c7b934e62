//! The proof: what the linked binary holds is what the source says, or a diagnostic that says which item differs and why,
//! most likely.

pub mod codes;
mod section;

use crate::descriptors::{by_identity, of};
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{App, Diagnostic, Place, Sink};
use updraft_wire::Descriptor;

/// Compares an application with the file of its linked program. Empty if they agree.
pub fn compare(app: &App, file: &[u8]) -> Vec<Diagnostic> {
    match section::read(file) {
        Ok(found) => descriptors(app, found),
        Err(reason) => vec![
            Diagnostic::error(codes::UNREADABLE, format!("the binary's descriptors can't be read: {reason}")).help(
                "build the program with the `updraft` that belongs to this `cargo updraft`; `cargo clean` if in doubt",
            ),
        ],
    }
}

/// Compares an application with what a binary was found to hold.
pub fn descriptors(app: &App, found: Vec<Descriptor>) -> Vec<Diagnostic> {
    let mut sink = Sink::default();
    let (source, binary) = (by_identity(of(app)), by_identity(found));
    let crate_of = |id: &str| id.split("::").next().unwrap_or(id).to_owned();
    let linked: BTreeSet<String> =
        binary.values().flatten().filter(|one| one.is_handler()).map(|one| crate_of(&one.id)).collect();
    let missing: Vec<&Descriptor> =
        source.iter().filter(|(key, _)| !binary.contains_key(*key)).flat_map(|(_, all)| all).collect();
    let extra: Vec<&Descriptor> =
        binary.iter().filter(|(key, _)| !source.contains_key(*key)).flat_map(|(_, all)| all).collect();

    if linked.is_empty() && !app.handlers.is_empty() {
        sink.push(empty(app));
        return sink.into_sorted();
    }
    let unlinked = unlinked_crates(app, &missing, &linked);
    for (krate, handlers) in &unlinked {
        let count =
            if handlers.len() == 1 { "the handler".to_owned() } else { format!("all {} handlers", handlers.len()) };
        let mut diagnostic = Diagnostic::error(
            codes::NOT_LINKED,
            format!("the binary lacks {count} of the crate `{krate}`: it was not linked"),
        );
        if let Some(place) = handlers.first().and_then(|id| app.handler(id)).map(|handler| &handler.place) {
            diagnostic = diagnostic.label(place, "not in the binary");
        }
        sink.push(diagnostic.help(format!("name the crate where the program starts: `updraft::main!({krate})`")));
    }
    for one in missing {
        if one.is_handler() && unlinked.contains_key(&crate_of(&one.id)) {
            continue;
        }
        // Nobody uses it, or its users are missing themselves: its crate's fate is theirs.
        if !one.is_handler() && !app.handlers.iter().any(|handler| uses(handler, one)) {
            continue;
        }
        sink.push(
            Diagnostic::error(
                codes::NOT_IN_BINARY,
                format!("the source declares {}, but the binary does not hold it", named(one)),
            )
            .label(&place(app, one), "declared here")
            .help(
                "most likely a `cfg` holds here and not in the build: give both the same `--features` and flags; \
                     or another attribute on the item takes it away",
            ),
        );
    }
    for one in extra {
        sink.push(
            Diagnostic::error(
                codes::NOT_IN_SOURCE,
                format!("the binary holds {}, which the source view does not see: {}:{}", named(one), one.file, one.line),
            )
            .help(if similar(one, &source) {
                "an item of this name was seen under another kind; most likely a macro makes one of them: write both out".to_owned()
            } else {
                "most likely a macro makes it (`macro_rules!`, `include!`): write the item out, the macro may make its body; \
                 or it is under a `cfg` of a build script or of other features than the check was given"
                    .to_owned()
            }),
        );
    }
    for (key, ours) in &source {
        let Some(theirs) = binary.get(key) else { continue };
        for (ours, theirs) in ours.iter().zip(theirs) {
            let differences = differences(ours, theirs);
            if !differences.is_empty() {
                sink.push(
                    Diagnostic::error(codes::DIFFERENT, format!("source and binary disagree about {}: {}", named(ours), differences.join("; ")))
                        .label(&place(app, ours), "as the source has it")
                        .help(
                            "most likely the binary is older than the source, or a macro rewrites the item or a type that it names: \
                             build again, and write out what macros make",
                        ),
                );
            }
        }
        // The same id twice is an error of its own before anything is linked; more than that comes from a macro.
        for more in theirs.iter().skip(ours.len()) {
            sink.push(
                Diagnostic::error(
                    codes::NOT_IN_SOURCE,
                    format!("the binary holds {} once more than the source: {}:{}", named(more), more.file, more.line),
                )
                .help("a macro makes another item of the same id: give one of them a `name = \"…\"`, and write it out"),
            );
        }
    }
    sink.into_sorted()
}

fn empty(app: &App) -> Diagnostic {
    let crates: BTreeSet<&str> = app.handlers.iter().map(|handler| handler.krate.as_str()).collect();
    let crates: Vec<&str> = crates.into_iter().collect();
    let mut diagnostic = Diagnostic::error(codes::EMPTY, "the binary holds no handlers, so nothing would ever run");
    if let Some(first) = app.handlers.first() {
        diagnostic = diagnostic.label(&first.place, "not in the binary");
    }
    diagnostic.help(format!(
        "the crates that hold them were not linked: name them where the program starts, `updraft::main!({})`",
        crates.join(", ")
    ))
}

/// Crate → its missing handlers, for crates of which nothing arrived.
fn unlinked_crates(app: &App, missing: &[&Descriptor], linked: &BTreeSet<String>) -> BTreeMap<String, Vec<String>> {
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in missing.iter().filter(|one| one.is_handler()) {
        if let Some(handler) = app.handler(&one.id)
            && !linked.contains(&handler.krate)
        {
            crates.entry(handler.krate.clone()).or_default().push(one.id.clone());
        }
    }
    crates
}

fn uses(handler: &updraft_model::Handler, resource: &Descriptor) -> bool {
    let kind = resource.kind.trim_start_matches("resource:");
    handler.grants.iter().any(|grant| grant.kind.as_str() == kind && grant.resource == resource.id)
        || handler.options.get(kind).is_some_and(|id| *id == resource.id)
}

fn similar(one: &Descriptor, source: &BTreeMap<(String, String), Vec<Descriptor>>) -> bool {
    source.keys().any(|(kind, id)| *id == one.id && *kind != one.kind)
}

/// "the consumer `shop::ship`", "the queue `orders`".
fn named(one: &Descriptor) -> String {
    let kind = match one.kind.trim_start_matches("resource:") {
        "http" => "the http handler",
        "external" if !one.is_handler() => "the external",
        kind => return format!("the {kind} `{}`", one.id),
    };
    format!("{kind} `{}`", one.id)
}

fn place(app: &App, one: &Descriptor) -> Place {
    let handler = app.handler(&one.id).filter(|_| one.is_handler()).map(|handler| handler.place.clone());
    let resource = || {
        let kind = one.kind.trim_start_matches("resource:");
        app.resources
            .iter()
            .find(|resource| resource.kind.as_str() == kind && resource.id == one.id)
            .map(|resource| resource.place.clone())
    };
    handler.or_else(resource).unwrap_or_else(|| Place {
        file: one.file.clone(),
        line: one.line,
        column: 1,
        start: 0,
        end: 0,
    })
}

/// "`retries` is 5 in the source and 3 in the binary".
fn differences(ours: &Descriptor, theirs: &Descriptor) -> Vec<String> {
    let mut all = Vec::new();
    let names: BTreeSet<&String> = ours.options.keys().chain(theirs.options.keys()).collect();
    for name in names {
        let (one, other) = (ours.options.get(name), theirs.options.get(name));
        if one != other {
            let say = |value: Option<&String>| value.map_or_else(|| "absent".to_owned(), |value| format!("`{value}`"));
            all.push(format!("`{name}` is {} in the source and {} in the binary", say(one), say(other)));
        }
    }
    let say = |grant: &updraft_wire::descriptor::Grant| format!("{} {} ({})", grant.kind, grant.resource, grant.access);
    all.extend(ours.grants.difference(&theirs.grants).map(|grant| format!("only the source grants {}", say(grant))));
    all.extend(theirs.grants.difference(&ours.grants).map(|grant| format!("only the binary grants {}", say(grant))));
    all
}

#[cfg(test)]
mod tests;
