//! A caller that gives up before its callee.

use super::{Context, Rule};
use crate::graph::{Edge, Node};
use updraft_model::{Access, Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0208",
        title: "a caller's timeout is shorter than its callee's",
        text: "A call ends at its caller's deadline, so the time that the function says it may take can never be used: \
               one of the two numbers is a mistake. Where nothing is said, http handlers have 30 s, functions 10 s, consumers and \
               subscribers 60 s, schedules 300 s.",
        wrong: "#[function(timeout = \"2m\")]\nasync fn quote() -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(quote: Function<quote>) -> String { String::new() }",
        right: "#[function(timeout = \"20s\")]\nasync fn quote() -> Result<u32> { Ok(0) }\n#[http(get, \"/\")]\nasync fn index(quote: Function<quote>) -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (at, caller) in context.app.handlers.iter().enumerate() {
        for (node, edge) in context.graph.out(Node::Handler(at)) {
            let (Node::Handler(callee), Edge::Grant(Access::Call, place)) = (node, edge) else { continue };
            let callee = &context.app.handlers[callee];
            if caller.timeout >= callee.timeout {
                continue;
            }
            sink.push(
                Diagnostic::error(
                    RULE.page.code,
                    format!(
                        "`{}` gives up after {} s, but `{}` may take {} s",
                        caller.id, caller.timeout, callee.id, callee.timeout
                    ),
                )
                .label(place, format!("called with {} s at most", caller.timeout))
                .label(&callee.place, format!("may take {} s", callee.timeout))
                .help(format!("raise the caller's to `timeout = \"{}s\"`, or lower the function's", callee.timeout)),
            );
        }
    }
}
