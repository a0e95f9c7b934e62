//! Resources that nobody uses, only writes, or only reads; functions that nobody calls, shared values that nobody takes, and
//! layers with nothing below them.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Access, Diagnostic, Kind, Sink, Trigger};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UW0214",
        title: "something is declared and not used",
        text: "A resource that no handler takes, a store or bucket that is only written or only read, a function that nobody calls, \
               a shared value that nobody takes, a layer without a route below it: \
               something is missing, or the declaration can go. If someone outside the app reads or writes it, say so: \
               `external = \"read\"`, `external = \"write\"`.",
        wrong: "#[bucket]\nstruct Reports;\n#[http(get, \"/\")]\nasync fn index(reports: Bucket<Reports, WriteOnly>) -> String { String::new() }",
        right: "#[bucket(external = \"read\")]\nstruct Reports;\n#[http(get, \"/\")]\nasync fn index(reports: Bucket<Reports, WriteOnly>) -> String { String::new() }",
    },
    check,
    needs_all: true,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, resource) in context.app.resources.iter().enumerate() {
        let into = context.graph.into(Node::Resource(at));
        let used = !into.is_empty() || !context.graph.out(Node::Resource(at)).is_empty();
        if !used && resource.external.is_none() {
            sink.push(
                Diagnostic::warning(RULE.page.code, format!("nobody uses the {} `{}`", resource.kind, resource.id))
                    .label(&resource.place, "declared here")
                    .help("take it as a parameter of a handler, or delete it"),
            );
            continue;
        }
        if !matches!(resource.kind, Kind::Store | Kind::Bucket | Kind::Database) {
            continue;
        }
        let grants = into.iter().filter_map(|(_, edge)| match edge {
            Edge::Grant(access, place) => Some((*access, place)),
            Edge::Trigger(_) => None,
        });
        let all: Vec<(Access, _)> = grants.collect();
        let outside = |covers: fn(Access) -> bool| resource.external.is_some_and(covers);
        // Who runs for its objects reads it, in a way.
        let triggers = !context.graph.out(Node::Resource(at)).is_empty();
        let reads = triggers || all.iter().any(|(access, _)| access.reads()) || outside(Access::reads);
        let writes = all.iter().any(|(access, _)| access.writes()) || outside(Access::writes);
        let (done, missing, word) = match (reads, writes) {
            (true, false) => ("read", "writes to", "write"),
            (false, true) => ("written", "reads", "read"),
            (true, true) | (false, false) => continue,
        };
        let mut diagnostic =
            Diagnostic::warning(RULE.page.code, format!("nobody {missing} the {} `{}`", resource.kind, resource.id));
        if let Some((_, place)) = all.first() {
            diagnostic = diagnostic.label(place, format!("only {done} here"));
        }
        sink.push(
            diagnostic
                .label(&resource.place, "declared here")
                .help(format!("if someone outside the app does, add `external = \"{word}\"`")),
        );
    }
    for (at, handler) in context.app.handlers.iter().enumerate() {
        if matches!(handler.trigger, Trigger::Function { .. }) && context.graph.into(Node::Handler(at)).is_empty() {
            sink.push(
                Diagnostic::warning(RULE.page.code, format!("nobody calls the function `{}`", handler.id))
                    .label(&handler.place, "declared here")
                    .help("take `Function<…>` as a parameter of a handler, or delete it"),
            );
        }
        if let Trigger::Shared { value } = &handler.trigger
            && context.graph.into(Node::Handler(at)).is_empty()
        {
            sink.push(
                Diagnostic::warning(RULE.page.code, format!("nobody takes the shared value of `{}`", handler.id))
                    .label(&handler.place, "made here, by nobody's need: it is never built")
                    .help(format!("take `Shared<{value}>` as a parameter of a handler, or delete it")),
            );
        }
        if let Trigger::Layer { path, .. } = &handler.trigger
            && !context.app.handlers.iter().any(|other| other.trigger.is_layered(path))
        {
            sink.push(
                Diagnostic::warning(RULE.page.code, format!("no route is under `{path}`"))
                    .label(&handler.place, "a layer round nothing")
                    .help("name a path that routes begin with, or delete the layer"),
            );
        }
    }
}
