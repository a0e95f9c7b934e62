//! A handler that sends to where its own messages come from.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Diagnostic, Kind, ObjectEvent, Sink, Trigger};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UW0211",
        title: "a consumer feeds its own queue",
        text: "A message that makes a message of the same kind never ends unless the handler stops it, and in a cloud it costs money while it \
               runs. To try again later, return an error: retries back off and end in the dead letters. Where it is meant \
               (a crawler, a batch that goes on), this stays a warning.",
        wrong: "#[queue(message = u32, external = \"write\")]\nstruct Orders;\n#[consumer(Orders)]\nasync fn ship(order: u32, orders: Queue<Orders>) -> Result<()> { Ok(()) }",
        right: "#[queue(message = u32, external = \"write\")]\nstruct Orders;\n#[consumer(Orders)]\nasync fn ship(order: u32) -> Result<()> { Ok(()) }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, resource) in context.app.resources.iter().enumerate() {
        let into = context.graph.into(Node::Resource(at));
        let is_bucket = resource.kind == Kind::Bucket;
        for (handler, trigger) in context.graph.out(Node::Resource(at)) {
            let (Node::Handler(number), Edge::Trigger(_)) = (handler, trigger) else { continue };
            // A bucket's handler may well write elsewhere in it, if it does not run for all that is written.
            let elsewhere = match &context.app.handlers[number].trigger {
                Trigger::Object { event, prefix, suffix, .. } => {
                    *event == ObjectEvent::Removed || !prefix.is_empty() || !suffix.is_empty()
                }
                Trigger::Http { .. }
                | Trigger::Consumer { .. }
                | Trigger::Subscriber { .. }
                | Trigger::Schedule { .. }
                | Trigger::Function { .. }
                | Trigger::Routes { .. }
                | Trigger::Layer { .. }
                | Trigger::Shared { .. } => false,
            };
            let feeds = |edge: &Edge| matches!(edge, Edge::Grant(access, _) if access.writes());
            for (_, sends) in into.iter().filter(|(sender, edge)| *sender == handler && feeds(edge) && !elsewhere) {
                let id = &context.app.handlers[number].id;
                sink.push(
                    Diagnostic::warning(
                        RULE.page.code,
                        format!("`{id}` feeds its own {} `{}`", resource.kind, resource.id),
                    )
                    .label(sends.place(), if is_bucket { "writes it" } else { "sends to it" })
                    .label(
                        trigger.place(),
                        if is_bucket { "runs for each of its blobs" } else { "runs for each of its messages" },
                    )
                    .help(if is_bucket {
                        "write to another bucket, or run for some keys alone: `prefix = \"in/\"`"
                    } else {
                        "to try again later, return an error; for a next step, use another queue"
                    }),
                );
            }
        }
    }
}
