//! Asks cargo for packages and rustc for `cfg`, and turns what they say into the driver's plain data.

use super::Project;
use super::cache::{Answer, Question};
use super::features::{self, Asked, Features};
use crate::exit::{Failure, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use updraft_driver::world::{Crate, Extern, Program};

/// Updraft's own package.
const UPDRAFT: &str = "updraft";

/// Asks both.
pub(crate) fn ask(question: &Question) -> Result<Answer> {
    let rustc = Rustc::ask(question)?;
    let members = cargo(question, &question.manifest, &["--no-deps".to_owned()])?;
    let manifest = choose(&members, question)?.manifest_path.clone();
    let mut flags = vec!["--filter-platform".to_owned(), rustc.triple.clone()];
    flags.extend(question.flags.iter().cloned());
    let metadata = cargo(question, manifest.as_std_path(), &flags)?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.manifest_path == manifest)
        .ok_or_else(|| Failure::Outside(format!("cargo's metadata lacks {manifest}")))?;
    let asked =
        Asked { features: &question.features, no_default: question.no_default_features, all: question.all_features };
    let features = features::resolve(&metadata, package, &asked);
    let bin = program(package, features.get(&package.id))?;
    let root = metadata.workspace_root.as_std_path();
    let project = Project {
        package: package.name.to_string(),
        bin: bin.name.clone(),
        manifest_path: manifest.into_std_path_buf(),
        workspace_root: root.to_owned(),
        target_dir: metadata.target_directory.clone().into_std_path_buf(),
        outside: outside(&metadata),
        hidden: hidden(&metadata, &features),
        program: Program {
            package: package.name.to_string(),
            dir: relative(root, package.manifest_path.parent().map_or(root, |folder| folder.as_std_path())),
            crates: crates(&metadata, package, bin, &features),
            cfg: rustc.cfg,
        },
    };
    Ok(Answer { files: files(&metadata, &rustc.sysroot), project })
}

fn cargo(question: &Question, manifest: &Path, flags: &[String]) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.manifest_path(manifest).current_dir(&question.directory).other_options(flags);
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => {
            let text = stderr.trim();
            Failure::Outside(format!("cargo metadata failed\n{}", text.strip_prefix("error: ").unwrap_or(text)))
        }
        error => Failure::Outside(format!("cargo metadata failed: {error}")),
    })
}

/// The package that holds the program: named, at hand, or the only one with a binary that uses updraft.
fn choose<'a>(members: &'a Metadata, question: &Question) -> Result<&'a Package> {
    let all = members.workspace_packages();
    let names =
        |packages: &[&Package]| packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = &question.package {
        let found = all.iter().find(|package| package.name.as_str() == name).copied();
        return found.ok_or_else(|| {
            Failure::Usage(format!("the workspace has no package `{name}`; its packages are {}", names(&all)))
        });
    }
    let manifest = std::fs::canonicalize(&question.manifest).unwrap_or_else(|_| question.manifest.clone());
    if let Some(package) = all.iter().find(|package| package.manifest_path.as_std_path() == manifest) {
        return Ok(package);
    }
    let fits = |package: &&Package| bins(package).next().is_some() && depends_on_updraft(package);
    let fitting: Vec<&Package> = all.iter().copied().filter(fits).collect();
    match fitting[..] {
        [one] => Ok(one),
        [] => Err(Failure::Usage("no package of this workspace has a binary and depends on updraft".to_owned())),
        _ => Err(Failure::Usage(format!("several packages hold programs: choose one of {} with -p", names(&fitting)))),
    }
}

fn depends_on_updraft(package: &Package) -> bool {
    package
        .dependencies
        .iter()
        .any(|dependency| dependency.name == UPDRAFT && dependency.kind == DependencyKind::Normal)
}

fn bins(package: &Package) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(|target| target.is_bin())
}

/// The package's binary: `default-run`, the only one that its features allow, or the one of the package's name.
fn program<'a>(package: &'a Package, features: Option<&BTreeSet<String>>) -> Result<&'a Target> {
    let on = |feature: &String| features.is_some_and(|features| features.contains(feature));
    let bins: Vec<&Target> = bins(package).filter(|bin| bin.required_features.iter().all(on)).collect();
    let named = |name: &str| bins.iter().copied().find(|bin| bin.name == name);
    if let Some(bin) = package.default_run.as_deref().and_then(named) {
        return Ok(bin);
    }
    match bins[..] {
        [one] => Ok(one),
        [] => Err(Failure::Usage(format!(
            "package `{}` has no binary: a program needs `src/main.rs` with `updraft::main!();`",
            package.name
        ))),
        _ => named(&package.name).ok_or_else(|| {
            let names: Vec<&str> = bins.iter().map(|bin| bin.name.as_str()).collect();
            Failure::Usage(format!(
                "package `{}` has several binaries ({}): say which is the program with `default-run` in {}",
                package.name,
                names.join(", "),
                package.manifest_path
            ))
        }),
    }
}

/// The binary, and the libraries that it can reach and that depend on updraft.
fn crates(metadata: &Metadata, package: &Package, bin: &Target, features: &Features) -> Vec<Crate> {
    let root = metadata.workspace_root.as_std_path();
    let packages: BTreeMap<&PackageId, &Package> = metadata.packages.iter().map(|one| (&one.id, one)).collect();
    let library = |package: &Package| {
        let kinds = ["lib", "rlib", "dylib"];
        package
            .targets
            .iter()
            .find(|target| target.crate_types.iter().any(|kind| kinds.contains(&kind.to_string().as_str())))
            .cloned()
    };
    let mut libraries: Vec<(&Package, Target)> = features
        .keys()
        .filter_map(|id| packages.get(id).copied())
        .filter(|one| depends_on_updraft(one) && *one.name != UPDRAFT)
        .filter_map(|one| Some((one, library(one)?)))
        .collect();
    libraries.sort_by(|a, b| (&a.1.name, &a.0.id).cmp(&(&b.1.name, &b.0.id)));
    let place: BTreeMap<&PackageId, usize> =
        libraries.iter().enumerate().map(|(at, (one, _))| (&one.id, at + 1)).collect();
    let externs = |owner: &Package| -> BTreeMap<String, Extern> {
        let edges = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes).find(|node| node.id == owner.id);
        edges
            .iter()
            .flat_map(|node| &node.deps)
            .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
            .map(|edge| {
                let is_updraft = packages.get(&edge.pkg).is_some_and(|target| *target.name == UPDRAFT);
                let meaning = match place.get(&edge.pkg) {
                    _ if is_updraft => Extern::Updraft,
                    Some(at) => Extern::Crate(*at),
                    None => Extern::Foreign,
                };
                (edge.name.clone(), meaning)
            })
            .collect()
    };
    let make = |owner: &Package, target: &Target| Crate {
        name: target.name.replace('-', "_"),
        package: owner.name.to_string(),
        dir: relative(root, owner.manifest_path.parent().map_or(root, |folder| folder.as_std_path())),
        root: relative(root, target.src_path.as_std_path()),
        edition: target.edition.as_str().parse().unwrap_or(2021),
        features: features.get(&owner.id).cloned().unwrap_or_default(),
        externs: externs(owner),
    };
    let mut main = make(package, bin);
    if let Some(own) = library(package) {
        let meaning = place.get(&package.id).map_or(Extern::Foreign, |at| Extern::Crate(*at));
        main.externs.insert(own.name.replace('-', "_"), meaning);
    }
    let mut all = vec![main];
    all.extend(libraries.iter().map(|(owner, target)| make(owner, target)));
    all
}

/// The folders of packages that come from a path outside the workspace.
fn outside(metadata: &Metadata) -> Vec<PathBuf> {
    let local = metadata.packages.iter().filter(|package| package.source.is_none());
    let folders = local.filter_map(|package| package.manifest_path.parent()).map(|folder| folder.as_std_path());
    let mut outside: Vec<PathBuf> =
        folders.filter(|folder| !folder.starts_with(&metadata.workspace_root)).map(Path::to_owned).collect();
    outside.sort();
    outside
}

/// Packages that only other people's packages (and Updraft) name, whatever features there are: all of Cargo.lock but those.
fn hidden(metadata: &Metadata, features: &Features) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<Locked>,
    }
    #[derive(serde::Deserialize)]
    struct Locked {
        name: String,
    }
    let of_updraft = |package: &Package| *package.name == UPDRAFT || package.name.starts_with("updraft-");
    let own = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none() && features.contains_key(&package.id) && !of_updraft(package));
    let named: BTreeSet<&str> = own
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    // cargo has just read it, or written it.
    let lock = std::fs::read_to_string(metadata.workspace_root.join("Cargo.lock")).unwrap_or_default();
    let lock = toml::from_str::<Lock>(&lock).map(|lock| lock.package).unwrap_or_default();
    let hidden: BTreeSet<String> =
        lock.into_iter().map(|package| package.name).filter(|name| !named.contains(name.as_str())).collect();
    hidden.into_iter().collect()
}

/// What the answer depends on: manifests and which source roots exist, the lock, the toolchain.
fn files(metadata: &Metadata, sysroot: &Path) -> Vec<PathBuf> {
    let root = metadata.workspace_root.as_std_path();
    let mut files = vec![root.join("Cargo.toml"), root.join("Cargo.lock"), sysroot.join("lib")];
    for package in metadata.packages.iter().filter(|package| package.source.is_none()) {
        let manifest = package.manifest_path.as_std_path();
        files.push(manifest.to_owned());
        files.extend(
            manifest.parent().into_iter().flat_map(|dir| [dir.to_owned(), dir.join("src"), dir.join("src/bin")]),
        );
    }
    files
}

/// Relative to the workspace's root where it lies below it, with `/`.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// What rustc says about itself and the target.
struct Rustc {
    triple: String,
    sysroot: PathBuf,
    cfg: BTreeSet<(String, Option<String>)>,
}

impl Rustc {
    fn ask(question: &Question) -> Result<Rustc> {
        let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(&program);
        command.current_dir(&question.directory);
        command.args(["--print", "host-tuple", "--print", "sysroot", "--print", "cfg"]);
        let target = question.compilation.triple.clone().or_else(|| env::var("CARGO_BUILD_TARGET").ok());
        if let Some(triple) = &target {
            command.args(["--target", triple]);
        }
        if question.compilation.release {
            command.args(["-C", "debug-assertions=off"]);
        }
        command.args(flags());
        let output =
            command.output().map_err(|error| Failure::Outside(format!("{program:?} can't be run: {error}")))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::Outside(format!("{program:?} --print cfg failed\n{}", text.trim())));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let host = lines.next().unwrap_or_default().to_owned();
        let sysroot = PathBuf::from(lines.next().unwrap_or_default());
        Ok(Rustc { triple: target.unwrap_or(host), sysroot, cfg: lines.map(cfg).collect() })
    }
}

/// `unix` or `target_os="linux"`.
fn cfg(line: &str) -> (String, Option<String>) {
    match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.trim_matches('"').to_owned())),
        None => (line.to_owned(), None),
    }
}

/// The user's flags for rustc, which may hold `--cfg`.
fn flags() -> Vec<String> {
    match (env::var("CARGO_ENCODED_RUSTFLAGS"), env::var("RUSTFLAGS")) {
        (Ok(encoded), _) => encoded.split('\x1f').filter(|flag| !flag.is_empty()).map(str::to_owned).collect(),
        (_, Ok(plain)) => plain.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
