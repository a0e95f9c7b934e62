//! A queue with two consumers.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Diagnostic, Kind, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0205",
        title: "a queue has two consumers",
        text: "Each message of a queue is for one handler. With two it would be a matter of luck which one gets it; what several should \
               see is a topic with subscribers.",
        wrong: "#[queue(message = u32, external = \"write\")]\nstruct Orders;\n#[consumer(Orders)]\nasync fn ship(order: u32) -> Result<()> { Ok(()) }\n#[consumer(Orders)]\nasync fn bill(order: u32) -> Result<()> { Ok(()) }",
        right: "#[topic(message = u32, external = \"write\")]\nstruct Orders;\n#[subscriber(Orders)]\nasync fn ship(order: u32) -> Result<()> { Ok(()) }\n#[subscriber(Orders)]\nasync fn bill(order: u32) -> Result<()> { Ok(()) }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, queue) in context.app.resources.iter().enumerate().filter(|(_, resource)| resource.kind == Kind::Queue) {
        let consumers: Vec<_> = context
            .graph
            .out(Node::Resource(at))
            .into_iter()
            .filter(|(_, edge)| matches!(edge, Edge::Trigger(_)))
            .collect();
        if consumers.len() < 2 {
            continue;
        }
        let mut diagnostic =
            Diagnostic::error(RULE.page.code, format!("the queue `{}` has {} consumers", queue.id, consumers.len()));
        for (_, edge) in &consumers {
            diagnostic = diagnostic.label(edge.place(), "takes its messages");
        }
        sink.push(diagnostic.label(&queue.place, "declared here").help(
            "each message of a queue is for one handler: make it a topic with subscribers, or give each consumer a queue of its own",
        ));
    }
}
