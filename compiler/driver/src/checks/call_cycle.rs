//! Handlers that call each other in a circle.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Access, Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0207",
        title: "calls go round in a circle",
        text: "Functions that call each other wait for each other: across units a circle holds requests open on every side until their deadline, \
               and under load all of them at once. A message breaks the circle: send it to a queue and return.",
        wrong: "#[function]\nasync fn a(b: Function<b>) -> Result<u32> { Ok(0) }\n#[function]\nasync fn b(a: Function<a>) -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(a: Function<a>) -> String { String::new() }",
        right: "#[function]\nasync fn a(b: Function<b>) -> Result<u32> { Ok(0) }\n#[function]\nasync fn b() -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(a: Function<a>) -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for cycle in context.graph.call_cycles() {
        let names: Vec<&str> = cycle.iter().map(|at| context.app.handlers[*at].id.as_str()).collect();
        let message = match names[..] {
            [one] => format!("`{one}` calls itself"),
            _ => format!("calls go round in a circle: {}", names.join(", ")),
        };
        let mut diagnostic = Diagnostic::error(RULE.page.code, message);
        for at in &cycle {
            for (node, edge) in context.graph.out(Node::Handler(*at)) {
                if let (Node::Handler(callee), Edge::Grant(Access::Call, place)) = (node, edge)
                    && cycle.contains(&callee)
                {
                    diagnostic = diagnostic.label(place, format!("calls `{}`", context.app.handlers[callee].id));
                }
            }
        }
        sink.push(
            diagnostic.help("let one of them send to a queue and return, or move what both need into a plain function"),
        );
    }
}
