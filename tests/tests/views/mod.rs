//! The source view of a test's own program, whose file is the test itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use updraft_driver::world::{Crate, Extern};
use updraft_driver::{Checked, Program, Request, World};

struct Workspace;

impl World for Workspace {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// What the compiler sees of `tests/tests/<name>.rs` with the shop and its audit.
pub(crate) fn source(name: &str) -> Checked {
    let externs: BTreeMap<String, Extern> = [
        ("updraft".to_owned(), Extern::Updraft),
        ("audit".to_owned(), Extern::Crate(1)),
        ("shop".to_owned(), Extern::Crate(2)),
    ]
    .into();
    let krate = |name: &str, package: &str, root: String| Crate {
        name: name.to_owned(),
        package: package.to_owned(),
        dir: root.split("/src/").next().unwrap_or_default().to_owned(),
        root,
        edition: 2024,
        features: BTreeSet::new(),
        externs: externs.clone(),
    };
    let program = Program {
        package: "proof".to_owned(),
        dir: "tests/tests".to_owned(),
        crates: vec![
            krate(name, "proof", format!("tests/tests/{name}.rs")),
            krate("audit", "audit", "examples/shop/audit/src/lib.rs".to_owned()),
            krate("shop", "shop", "examples/shop/src/lib.rs".to_owned()),
        ],
        cfg: BTreeSet::new(),
    };
    updraft_driver::check(&program, &Request::default(), &Workspace)
}

/// This process's own file.
pub(crate) fn program() -> Vec<u8> {
    std::fs::read(std::env::current_exe().expect("a process has a file")).expect("it can be read")
}
