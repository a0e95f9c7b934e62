//! A queue or topic whose messages nobody takes.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Diagnostic, Kind, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UW0213",
        title: "a producer without a consumer",
        text: "Messages are sent to a queue or topic that no handler takes them from: they pile up, or are lost. If someone outside the app \
               takes them, say so: `external = \"read\"`.",
        wrong: "#[queue(message = u32)]\nstruct Orders;\n#[http(post, \"/\")]\nasync fn place(orders: Queue<Orders>) -> String { String::new() }",
        right: "#[queue(message = u32, external = \"read\")]\nstruct Orders;\n#[http(post, \"/\")]\nasync fn place(orders: Queue<Orders>) -> String { String::new() }",
    },
    check,
    needs_all: true,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, resource) in context.app.resources.iter().enumerate() {
        if !matches!(resource.kind, Kind::Queue | Kind::Topic) || resource.external.is_some_and(|access| access.reads())
        {
            continue;
        }
        let taken = !context.graph.out(Node::Resource(at)).is_empty();
        let into = context.graph.into(Node::Resource(at));
        let Some((_, sends)) = into.iter().find(|(_, edge)| matches!(edge, Edge::Grant(..))).filter(|_| !taken) else {
            continue;
        };
        let attribute = if resource.kind == Kind::Queue { "consumer" } else { "subscriber" };
        sink.push(
            Diagnostic::warning(RULE.page.code, format!("nobody takes messages from the {} `{}`", resource.kind, resource.id))
                .label(sends.place(), "sends to it")
                .label(&resource.place, "declared here")
                .help(format!(
                    "write a handler with `#[{attribute}(…)]`; if its messages are taken outside the app, add `external = \"read\"`"
                )),
        );
    }
}
