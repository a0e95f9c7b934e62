//! A queue or topic that nobody sends to.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Diagnostic, Kind, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UW0212",
        title: "a consumer without a producer",
        text: "Handlers wait for messages of a queue or topic that nobody sends to. If someone outside the app does, say so: `external = \"write\"`.",
        wrong: "#[queue(message = u32)]\nstruct Orders;\n#[consumer(Orders)]\nasync fn ship(order: u32) -> Result<()> { Ok(()) }",
        right: "#[queue(message = u32, external = \"write\")]\nstruct Orders;\n#[consumer(Orders)]\nasync fn ship(order: u32) -> Result<()> { Ok(()) }",
    },
    check,
    needs_all: true,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, resource) in context.app.resources.iter().enumerate() {
        if !matches!(resource.kind, Kind::Queue | Kind::Topic)
            || resource.external.is_some_and(|access| access.writes())
        {
            continue;
        }
        let sent = context.graph.into(Node::Resource(at)).iter().any(|(_, edge)| matches!(edge, Edge::Grant(..)));
        let out = context.graph.out(Node::Resource(at));
        let Some((_, waits)) = out.first().filter(|_| !sent) else { continue };
        sink.push(
            Diagnostic::warning(RULE.page.code, format!("nobody sends to the {} `{}`", resource.kind, resource.id))
                .label(waits.place(), "waits for messages")
                .label(&resource.place, "declared here")
                .help("take it as a parameter where messages are made; if they come from outside the app, add `external = \"write\"`"),
        );
    }
}
