//! A program without handlers.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0204",
        title: "the program has no handlers",
        text: "Nothing would ever run. A handler is an `async fn` with a trigger: `#[http]`, `#[consumer]`, `#[subscriber]`, `#[schedule]` or \
               `#[function]`. Handlers in a crate of their own belong to the program when `updraft::main!(that_crate)` names it. \
               Handlers under a `cfg` count when it holds.",
        wrong: "#[cfg(feature = \"web\")]\n#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
        right: "#[http(get, \"/\")]\nasync fn index() -> String { String::new() }",
    },
    check,
    needs_all: true,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    if !context.app.handlers.is_empty() || !context.lowered.unnamed.is_empty() {
        return;
    }
    let mut diagnostic = Diagnostic::error(RULE.page.code, "the program has no handlers");
    if let Some(main) = &context.lowered.main {
        diagnostic = diagnostic.label(main, "nothing to serve");
    }
    sink.push(diagnostic.help(
        "write one, `#[http(get, \"/\")] async fn index() -> &'static str { \"hello\" }`; if it is under a `cfg`, turn its feature on; \
         if it stands in another crate, name that crate: `updraft::main!(that_crate)`",
    ));
}
