//! The program itself: `updraft::main!(shop, audit)`, which crates it names, which are linked.

use super::codes;
use crate::source::names::{Meaning, Names, Namespace, PROGRAM_MACROS};
use crate::source::path::{PathRef, shifted};
use crate::source::tree::ModuleId;
use crate::world::Extern;
use std::collections::BTreeSet;
use std::ops::Range;
use updraft_model::{Diagnostic, Place, Sink};

/// What `main!` or `run!` says.
#[derive(Debug, Default)]
pub(super) struct Main {
    /// Where it stands.
    pub(super) place: Option<Place>,
    /// The crates that it names: name, number, in source order.
    named: Vec<(String, usize)>,
}

impl Main {
    /// The names, in source order.
    pub(super) fn names(&self) -> Vec<String> {
        self.named.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether a crate's handlers are part of the program: its own, and those of crates that it names.
    pub(super) fn is_named(&self, krate: usize) -> bool {
        krate == 0 || self.named.iter().any(|(_, number)| *number == krate)
    }

    /// Crates that rustc links: those that are part of the program, and whatever they mention.
    pub(super) fn linked(&self, names: &Names<'_>) -> BTreeSet<usize> {
        let mut linked = BTreeSet::new();
        let mut open: Vec<usize> = std::iter::once(0).chain(self.named.iter().map(|(_, number)| *number)).collect();
        while let Some(krate) = open.pop() {
            if !linked.insert(krate) {
                continue;
            }
            let externs = &names.program.crates[krate].externs;
            for module in names.tree.modules.iter().filter(|module| module.krate == krate) {
                let imports =
                    module.imports.iter().filter_map(|import| import.path.segments.first()).map(|first| &first.name);
                for name in module.seen.first_names.iter().chain(imports) {
                    if let Some(Extern::Crate(other)) = externs.get(name) {
                        open.push(*other);
                    }
                }
            }
        }
        linked
    }
}

/// Finds it in the binary's crate.
pub(super) fn find(names: &Names<'_>, sink: &mut Sink) -> Main {
    let mut main = Main::default();
    let externs = &names.program.crates[0].externs;
    let calls =
        names.tree.modules.iter().enumerate().filter(|(_, module)| module.krate == 0).flat_map(|(id, module)| {
            let items = module.calls.iter().map(move |call| (id, &call.path, &call.arguments));
            items.chain(module.seen.calls.iter().map(move |(path, arguments)| (id, path, arguments)))
        });
    for (module, path, arguments) in calls {
        if !is_ours(names, module, path) {
            continue;
        }
        let module = &names.tree.modules[module];
        main.place.get_or_insert_with(|| module.place(path.range.clone()));
        for (name, range) in crates(&module.file.text, arguments, &module.file, sink) {
            let place = module.place(range);
            match externs.get(&name) {
                Some(Extern::Crate(number)) => main.named.push((name, *number)),
                Some(Extern::Updraft | Extern::Foreign) => sink.push(
                    Diagnostic::error(codes::NAMED, format!("the crate `{name}` can't hold handlers"))
                        .label(&place, "does not depend on updraft")
                        .help("leave it away; only crates with handlers are named here"),
                ),
                None => sink.push(
                    Diagnostic::error(codes::NAMED, format!("there is no crate `{name}`"))
                        .label(&place, "no dependency of this package")
                        .help(format!("add it to [dependencies] of {}", names.program.package)),
                ),
            }
        }
    }
    // In a file that can't be read it may well be there.
    if main.place.is_none() && !sink.has_errors() {
        let root = &names.tree.modules[names.tree.roots[0]];
        let own: Vec<&str> = names.program.crates.iter().skip(1).map(|krate| krate.name.as_str()).collect();
        sink.push(
            Diagnostic::error(codes::MAIN, "the program never starts updraft")
                .label(&root.place(0..0), format!("no `updraft::main!` in {}", root.file.path))
                .help(format!(
                    "write `updraft::main!({0});` instead of `fn main`, or `updraft::run!({0})` in a `main` of your own",
                    own.join(", ")
                )),
        );
    }
    main
}

fn is_ours(names: &Names<'_>, module: ModuleId, path: &PathRef) -> bool {
    match names.resolve(module, path, Namespace::Macros) {
        Ok(Meaning::Export(name)) => PROGRAM_MACROS.contains(&name.as_str()),
        _ => false,
    }
}

/// The names between the delimiters.
fn crates(
    text: &str,
    arguments: &Range<usize>,
    file: &crate::source::File,
    sink: &mut Sink,
) -> Vec<(String, Range<usize>)> {
    let inner = arguments.start + 1..arguments.end.saturating_sub(1);
    let Ok(tokens) = text.get(inner.clone()).unwrap_or_default().parse() else { return Vec::new() };
    let (names, diagnostics) = updraft_syntax::crates(tokens);
    sink.extend(diagnostics.into_iter().map(|one| super::diagnostic(one, file, inner.start)));
    let names = names
        .iter()
        .map(|name| (syn::ext::IdentExt::unraw(name).to_string(), shifted(name.span().byte_range(), inner.start)));
    let names = names.collect();
    crate::source::file::forget();
    names
}
