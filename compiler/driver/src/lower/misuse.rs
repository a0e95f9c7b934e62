//! What no user's source should hold: updraft under another name, its private parts, handlers inside functions.

use super::codes;
use crate::source::names::{Meaning, Names, Namespace};
use crate::world::Extern;
use updraft_model::{Diagnostic, Sink};

/// Reports all three.
pub(super) fn check(names: &Names<'_>, sink: &mut Sink) {
    for (krate, root) in names.program.crates.iter().zip(&names.tree.roots) {
        let other = krate.externs.iter().find(|(name, meaning)| **meaning == Extern::Updraft && *name != "updraft");
        if let Some((name, _)) = other {
            let place = names.tree.modules[*root].place(0..0);
            sink.push(
                Diagnostic::error(codes::RENAMED, format!("`{}` depends on updraft under the name `{name}`", krate.package))
                    .label(&place, "of this crate")
                    .help(format!(
                        "what the attributes expand to says `::updraft`: write `updraft = …` instead of `{name} = {{ package = \"updraft\", … }}` in its Cargo.toml"
                    )),
            );
        }
    }
    for (id, module) in names.tree.modules.iter().enumerate() {
        let private = module.seen.private.iter().filter(|path| {
            let upto = path.segments.iter().position(|segment| segment.name == "__private").unwrap_or_default();
            let mut path = (*path).clone();
            path.segments.truncate(upto + 1);
            names.resolve(id, &path, Namespace::Types) == Ok(Meaning::Private)
        });
        for path in private {
            sink.push(
                Diagnostic::error(codes::PRIVATE, "`updraft::__private` is for what updraft's own macros write")
                    .label(&module.place(path.range.clone()), "reaches past what a signature declares")
                    .help("take what you need as a parameter of a handler: a capability, `With<…>`, an `#[extractor]`'s type"),
            );
        }
        for path in &module.seen.attributes {
            if let Ok(Some(attribute)) = names.attribute(id, path) {
                sink.push(
                    Diagnostic::error(codes::INSIDE, format!("`#[{}]` stands inside a function", attribute.name()))
                        .label(&module.place(path.range.clone()), "not seen from outside")
                        .help("move the item out, into a module: declarations are found by their path"),
                );
            }
        }
    }
}
