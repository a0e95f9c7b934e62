//! Names that no target can carry.

use super::{Context, Rule};
use crate::placement::is_name;
use crate::settings::Names;
use updraft_model::{Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0202",
        title: "a name can't be carried by a cloud",
        text: "The app's name and the ids of resources become names of objects. They have lower-case letters, digits and `-`, start with \
               a letter, and are at most 50 characters long; they are kept as they are or refused, never changed silently.",
        wrong: "#[store(key = String, value = u32)]\nstruct Vorräte;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Vorräte>) -> String { String::new() }",
        right: "#[store(key = String, value = u32, name = \"vorraete\")]\nstruct Vorräte;\n#[http(get, \"/\")]\nasync fn index(stock: Store<Vorräte>) -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let app = context.app;
    if !is_name(&app.name) {
        let diagnostic = Diagnostic::error(RULE.page.code, format!("`{}` can't be the name of an app", app.name));
        let place = context.settings.places.iter().find(|(what, ..)| *what == Names::App).map(|(.., place)| place);
        let diagnostic = match place {
            Some(place) => diagnostic.label(place, "not in kebab case, or too long"),
            None => diagnostic,
        };
        sink.push(diagnostic.help(
            "set `[app]` `name = \"…\"` in Updraft.toml: lower-case letters, digits and `-`, up to 50 characters",
        ));
    }
    for resource in app.resources.iter().filter(|resource| !is_name(&resource.id)) {
        sink.push(
            Diagnostic::error(RULE.page.code, format!("`{}` can't be the id of a {}", resource.id, resource.kind))
                .label(&resource.place, "its id is its name in kebab case")
                .help(format!("give it an id of its own: `#[{}(name = \"…\")]`, up to 50 characters", resource.kind)),
        );
    }
}
