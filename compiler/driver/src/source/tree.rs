//! Module trees: every file of every crate, found by following `mod`.

use super::cfg::Cfg;
use super::codes;
use super::file::{self, Contents, Import, Item, Parsed};
use super::skim::Seen;
use super::sources::{File, Sources};
use crate::world::{Program, World};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use updraft_model::{Diagnostic, Place, Sink};

/// A module's number in [`Tree::modules`].
pub(crate) type ModuleId = usize;

/// All modules of all crates. Crate `n` of the program has its root at `roots[n]`.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    pub(crate) roots: Vec<ModuleId>,
}

/// One module.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its crate's number in the program.
    pub(crate) krate: usize,
    /// As `module_path!()` has it: `shop::orders`.
    pub(crate) path: String,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) public: bool,
    pub(crate) file: Arc<File>,
    pub(crate) children: BTreeMap<String, ModuleId>,
    pub(crate) items: Vec<Item>,
    pub(crate) imports: Vec<Import>,
    pub(crate) calls: Vec<file::Call>,
    /// What is inside functions; of a file's inline modules it is the file's.
    pub(crate) seen: Seen,
}

impl Module {
    pub(crate) fn place(&self, range: Range<usize>) -> Place {
        self.file.place(range)
    }
}

/// A file to read.
struct Wanted {
    krate: usize,
    /// Where it may be; the first that exists is it.
    candidates: Vec<String>,
    /// The module that declares it, its name, its visibility and where it does.
    parent: Option<(ModuleId, String, bool, Place)>,
    path: String,
    /// The files that led here.
    above: Vec<String>,
}

/// Reads all crates. Files of one depth are read side by side.
pub(crate) fn read(program: &Program, world: &dyn World, sources: &mut Sources, sink: &mut Sink) -> Tree {
    let mut tree = Tree::default();
    let mut wanted: Vec<Wanted> = program
        .crates
        .iter()
        .enumerate()
        .map(|(krate, one)| Wanted {
            krate,
            candidates: vec![one.root.clone()],
            parent: None,
            path: one.name.clone(),
            above: Vec::new(),
        })
        .collect();
    while !wanted.is_empty() {
        let read: Vec<_> =
            std::mem::take(&mut wanted).into_par_iter().map(|wanted| load(wanted, program, world)).collect();
        for (want, loaded) in read {
            let (file, parsed, diagnostics) = match loaded {
                Ok(loaded) => {
                    sources.add(loaded.0.clone());
                    loaded
                }
                Err(diagnostic) => {
                    sink.push(diagnostic);
                    (Arc::new(File::new(want.candidates[0].clone(), "")), Parsed::default(), Vec::new())
                }
            };
            sink.extend(diagnostics);
            let (parent, public) = match &want.parent {
                Some((parent, _, public, _)) => (Some(*parent), *public),
                None => (None, true),
            };
            let above = [want.above, vec![file.path.clone()]].concat();
            let folders = Folders::of(&file.path, parent.is_none());
            let place = Position { krate: want.krate, path: want.path, parent, public, file, above };
            let id = tree.add(place, parsed.contents, parsed.seen, &folders, &mut wanted);
            match want.parent {
                Some((parent, name, ..)) => {
                    tree.modules[parent].children.insert(name, id);
                }
                None => tree.roots.push(id),
            }
        }
    }
    tree
}

type Loaded = (Arc<File>, Parsed, Vec<Diagnostic>);

fn load(want: Wanted, program: &Program, world: &dyn World) -> (Wanted, Result<Loaded, Diagnostic>) {
    let loaded = find(&want, world).map(|file| {
        let mut diagnostics = Vec::new();
        let cfg = Cfg::new(program, &program.crates[want.krate]);
        let parsed = file::parse(&file, &cfg, &mut diagnostics);
        (Arc::new(file), parsed, diagnostics)
    });
    (want, loaded)
}

fn find(want: &Wanted, world: &dyn World) -> Result<File, Diagnostic> {
    let labelled = |diagnostic: Diagnostic| match &want.parent {
        Some((_, _, _, place)) => diagnostic.label(place, "declared here"),
        None => diagnostic,
    };
    for path in &want.candidates {
        if want.above.contains(path) {
            return Err(labelled(Diagnostic::error(codes::MODULE, format!("{path} is a module of itself")))
                .help("a file that declares a module must not be that module's file: change the `#[path]`"));
        }
        match world.read(path) {
            Ok(bytes) => {
                return match String::from_utf8(bytes) {
                    Ok(text) => Ok(File::new(path.clone(), text)),
                    Err(error) => Err(labelled(Diagnostic::error(
                        codes::MODULE,
                        format!("{path} is not UTF-8, from byte {} on", error.utf8_error().valid_up_to()),
                    ))
                    .help("save the file as UTF-8, as rustc demands too")),
                };
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => {
                return Err(labelled(Diagnostic::error(codes::MODULE, format!("{path} can't be read: {error}"))));
            }
        }
    }
    let one_of = want.candidates.join(" or ");
    Err(labelled(Diagnostic::error(codes::MODULE, format!("there is no file for this module: {one_of}")))
        .help(format!("create {}, or take the declaration away", want.candidates[0])))
}

/// Where the files of a file's modules are.
struct Folders {
    /// Of `mod a;`.
    modules: String,
    /// Of `#[path = "…"] mod a;`.
    paths: String,
}

impl Folders {
    fn of(file: &str, is_root: bool) -> Folders {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let stem = name.strip_suffix(".rs").unwrap_or(name);
        let modules = if is_root || stem == "mod" { folder.to_owned() } else { join(folder, stem) };
        Folders { modules, paths: folder.to_owned() }
    }

    /// Inside an inline module: `#[path]` on the way counts, and from here on both are the same.
    fn inside(&self, name: &str, path: Option<&str>) -> Folders {
        let folder = match path {
            Some(path) => join(&self.paths, path),
            None => join(&self.modules, name),
        };
        Folders { modules: folder.clone(), paths: folder }
    }

    fn candidates(&self, name: &str, path: Option<&str>) -> Vec<String> {
        match path {
            Some(path) => vec![join(&self.paths, path)],
            None => vec![join(&self.modules, &format!("{name}.rs")), join(&self.modules, &format!("{name}/mod.rs"))],
        }
    }
}

/// Paths with `/`, with `.` and `..` taken out as far as they go.
fn join(folder: &str, path: &str) -> String {
    let path = path.replace('\\', "/");
    if path.starts_with('/') || folder.is_empty() && !path.starts_with('.') {
        return path;
    }
    let mut parts: Vec<&str> = Vec::new();
    let whole = format!("{folder}/{path}");
    for part in whole.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => {
                parts.pop();
            }
            "" if !parts.is_empty() => {}
            part => parts.push(part),
        }
    }
    if folder.is_empty() {
        parts.retain(|part| !part.is_empty());
    }
    parts.join("/")
}

/// Where a module belongs.
struct Position {
    krate: usize,
    path: String,
    parent: Option<ModuleId>,
    public: bool,
    file: Arc<File>,
    above: Vec<String>,
}

impl Tree {
    fn add(
        &mut self,
        place: Position,
        contents: Contents,
        seen: Seen,
        folders: &Folders,
        wanted: &mut Vec<Wanted>,
    ) -> ModuleId {
        let Position { krate, path, parent, public, file, above } = place;
        let id = self.modules.len();
        let Contents { items, imports, modules, calls } = contents;
        self.modules.push(Module {
            krate,
            path: path.clone(),
            parent,
            public,
            file: file.clone(),
            children: BTreeMap::new(),
            items,
            imports,
            calls,
            seen,
        });
        for module in modules {
            let path = format!("{path}::{}", module.name);
            match module.inline {
                Some(contents) => {
                    let folders = folders.inside(&module.name, module.path.as_deref());
                    let place = Position {
                        krate,
                        path,
                        parent: Some(id),
                        public: module.public,
                        file: file.clone(),
                        above: above.clone(),
                    };
                    let child = self.add(place, contents, Seen::default(), &folders, wanted);
                    self.modules[id].children.insert(module.name, child);
                }
                None => wanted.push(Wanted {
                    krate,
                    candidates: folders.candidates(&module.name, module.path.as_deref()),
                    parent: Some((id, module.name, module.public, file.place(module.at))),
                    path,
                    above: above.clone(),
                }),
            }
        }
        id
    }

    /// The crate's root above a module.
    pub(crate) fn root(&self, module: ModuleId) -> ModuleId {
        self.roots[self.modules[module].krate]
    }

    /// Whether `module` is `above` or lies in it.
    pub(crate) fn is_within(&self, module: ModuleId, above: ModuleId) -> bool {
        let mut at = Some(module);
        while let Some(module) = at {
            if module == above {
                return true;
            }
            at = self.modules[module].parent;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_modules_are() {
        let root = Folders::of("src/main.rs", true);
        assert_eq!(root.candidates("a", None), ["src/a.rs", "src/a/mod.rs"]);
        assert_eq!(root.candidates("a", Some("../b.rs")), ["b.rs"]);
        let file = Folders::of("src/a.rs", false);
        assert_eq!(file.candidates("b", None), ["src/a/b.rs", "src/a/b/mod.rs"]);
        assert_eq!(file.candidates("b", Some("c.rs")), ["src/c.rs"]);
        assert_eq!(file.inside("b", None).candidates("c", Some("d.rs")), ["src/a/b/d.rs"]);
        assert_eq!(file.inside("b", Some("x")).candidates("c", None), ["src/x/c.rs", "src/x/c/mod.rs"]);
        assert_eq!(Folders::of("src/a/mod.rs", false).candidates("b", None)[0], "src/a/b.rs");
        assert_eq!(join("/abs/src", "../x.rs"), "/abs/x.rs");
        assert_eq!(join("../audit/src", "a.rs"), "../audit/src/a.rs");
    }
}
