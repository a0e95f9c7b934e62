//! Shared values that are made of each other.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Access, Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0226",
        title: "shared values are made of each other",
        text: "A `#[shared]` function may take other shared values, and they are built first. In a circle none could be the first.",
        wrong: "struct A;\n#[shared]\nasync fn a(b: Shared<B>) -> Result<A> { Ok(A) }\nstruct B;\n#[shared]\nasync fn b(a: Shared<A>) -> Result<B> { Ok(B) }\n#[http(get, \"/\")]\nasync fn index(a: Shared<A>) -> String { String::new() }",
        right: "struct A;\n#[shared]\nasync fn a(b: Shared<B>) -> Result<A> { Ok(A) }\nstruct B;\n#[shared]\nasync fn b() -> Result<B> { Ok(B) }\n#[http(get, \"/\")]\nasync fn index(a: Shared<A>) -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for cycle in context.graph.shared_cycles() {
        let names: Vec<&str> = cycle.iter().map(|at| context.app.handlers[*at].id.as_str()).collect();
        let message = match names[..] {
            [one] => format!("the shared value of `{one}` is made of itself"),
            _ => format!("shared values are made of each other: {}", names.join(", ")),
        };
        let mut diagnostic = Diagnostic::error(RULE.page.code, message);
        for at in &cycle {
            let edges = context.graph.out(Node::Handler(*at));
            let inside = edges.iter().find_map(|(node, edge)| match (node, edge) {
                (Node::Handler(other), Edge::Grant(Access::Read, place)) if cycle.contains(other) => Some(place),
                _ => None,
            });
            if let Some(place) = inside {
                diagnostic = diagnostic.label(place, "takes one of the circle");
            }
        }
        sink.push(diagnostic.help("take what both need out into a third value, which is made first"));
    }
}
