//! Two handlers or two resources of one id.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Place, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0201",
        title: "two things have one id",
        text: "A resource's id is its type's name in kebab case, a handler's its path. Ids name queues, secrets and objects in a cloud, \
               and stand in Updraft.toml, so they are unique, across kinds too. `name = \"…\"` gives another id.",
        wrong: "mod a {\n    use updraft::prelude::*;\n    #[bucket(external = \"read\")]\n    pub struct Reports;\n}\nmod b {\n    use updraft::prelude::*;\n    #[bucket(external = \"read\")]\n    pub struct Reports;\n}\n#[http(get, \"/\")]\nasync fn index(a: Bucket<a::Reports, WriteOnly>, b: Bucket<b::Reports, WriteOnly>) -> String { String::new() }",
        right: "mod a {\n    use updraft::prelude::*;\n    #[bucket(external = \"read\")]\n    pub struct Reports;\n}\nmod b {\n    use updraft::prelude::*;\n    #[bucket(external = \"read\", name = \"old-reports\")]\n    pub struct Reports;\n}\n#[http(get, \"/\")]\nasync fn index(a: Bucket<a::Reports, WriteOnly>, b: Bucket<b::Reports, WriteOnly>) -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let handlers = context.app.handlers.iter().map(|handler| ("handler", handler.id.as_str(), &handler.place));
    twice(handlers, sink);
    let resources =
        context.app.resources.iter().map(|resource| (resource.kind.as_str(), resource.id.as_str(), &resource.place));
    twice(resources, sink);
}

/// Lists are sorted by id, so that equal ones are neighbours.
fn twice<'a>(all: impl Iterator<Item = (&'a str, &'a str, &'a Place)>, sink: &mut Sink) {
    let mut before: Option<(&str, &str, &Place)> = None;
    for (kind, id, place) in all {
        if let Some((other_kind, other, first)) = before
            && other == id
        {
            let both = if kind == other_kind { format!("two {kind}s") } else { format!("a {other_kind} and a {kind}") };
            sink.push(
                Diagnostic::error(RULE.page.code, format!("{both} have the id `{id}`"))
                    .label(place, "this one")
                    .label(first, "and this one")
                    .help("give one of them another id in its attribute: `name = \"…\"`"),
            );
        } else {
            before = Some((kind, id, place));
        }
    }
}
