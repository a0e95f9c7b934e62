//! Which features are on, as `cargo build -p` resolves them: only through the dependencies of the one package. (What
//! cargo's metadata says is the union over the whole workspace, development dependencies included.)

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet};

/// Package → its features that are on. Packages that are not reached have no entry.
pub(crate) type Features = BTreeMap<PackageId, BTreeSet<String>>;

/// What the command line asks of the first package.
pub(crate) struct Asked<'a> {
    pub(crate) features: &'a [String],
    pub(crate) no_default: bool,
    pub(crate) all: bool,
}

/// Starts at `root` and follows normal dependencies.
pub(crate) fn resolve(metadata: &Metadata, root: &Package, asked: &Asked<'_>) -> Features {
    let mut resolver = Resolver {
        packages: metadata.packages.iter().map(|package| (&package.id, package)).collect(),
        edges: metadata
            .resolve
            .iter()
            .flat_map(|resolve| &resolve.nodes)
            .map(|node| (&node.id, &node.deps[..]))
            .collect(),
        on: Features::new(),
        optional: BTreeSet::new(),
        weak: BTreeSet::new(),
        todo: Vec::new(),
    };
    resolver.reach(&root.id);
    if asked.all {
        root.features.keys().for_each(|feature| resolver.turn_on(&root.id, feature));
    }
    if !asked.no_default {
        resolver.turn_on(&root.id, "default");
    }
    for feature in asked.features.iter().flat_map(|list| list.split([',', ' '])).filter(|feature| !feature.is_empty()) {
        let own = feature.strip_prefix(&format!("{}/", root.name)).unwrap_or(feature);
        resolver.turn_on(&root.id, own);
    }
    while let Some((package, feature)) = resolver.todo.pop() {
        resolver.expand(&package, &feature);
    }
    resolver.on
}

struct Resolver<'a> {
    packages: BTreeMap<&'a PackageId, &'a Package>,
    edges: BTreeMap<&'a PackageId, &'a [cargo_metadata::NodeDep]>,
    on: Features,
    /// (package, name of an optional dependency) that is on.
    optional: BTreeSet<(PackageId, String)>,
    /// (package, dependency, feature) of `dependency?/feature`, waiting for the dependency.
    weak: BTreeSet<(PackageId, String, String)>,
    todo: Vec<(PackageId, String)>,
}

impl Resolver<'_> {
    /// A package takes part: so do its dependencies that are not optional.
    fn reach(&mut self, package: &PackageId) {
        if self.on.contains_key(package) {
            return;
        }
        self.on.insert(package.clone(), BTreeSet::new());
        let Some(&known) = self.packages.get(package) else { return };
        for dependency in &known.dependencies {
            if !dependency.optional {
                self.depend(known, dependency);
            }
        }
    }

    fn depend(&mut self, package: &Package, dependency: &cargo_metadata::Dependency) {
        if dependency.kind != DependencyKind::Normal {
            return;
        }
        for target in self.targets(package, dependency) {
            self.reach(&target);
            if dependency.uses_default_features {
                self.turn_on(&target, "default");
            }
            for feature in &dependency.features {
                self.turn_on(&target, feature);
            }
        }
    }

    /// The packages that a dependency resolved to: none if it is for another platform.
    fn targets(&self, package: &Package, dependency: &cargo_metadata::Dependency) -> Vec<PackageId> {
        let edges = self.edges.get(&package.id).copied().unwrap_or_default();
        let renamed = dependency.rename.as_ref().map(|name| name.replace('-', "_"));
        edges
            .iter()
            .filter(|edge| {
                self.packages.get(&edge.pkg).is_some_and(|target| *target.name == dependency.name)
                    && renamed.as_ref().is_none_or(|renamed| *renamed == edge.name)
                    && edge.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            })
            .map(|edge| edge.pkg.clone())
            .collect()
    }

    /// Features that a package does not have (`default`, often) are cargo's to complain of.
    fn turn_on(&mut self, package: &PackageId, feature: &str) {
        let Some(&known) = self.packages.get(package) else { return };
        if let Some((dependency, feature)) = feature.split_once('/') {
            self.through(known, dependency, feature); // `--features dependency/feature`
        } else if known.features.contains_key(feature)
            && self.on.entry(package.clone()).or_default().insert(feature.to_owned())
        {
            self.todo.push((package.clone(), feature.to_owned()));
        }
    }

    fn expand(&mut self, package: &PackageId, feature: &str) {
        let Some(&known) = self.packages.get(package) else { return };
        for part in known.features.get(feature).into_iter().flatten() {
            if let Some(dependency) = part.strip_prefix("dep:") {
                self.turn_on_dependency(known, dependency);
            } else {
                self.turn_on(package, part);
            }
        }
    }

    fn through(&mut self, package: &Package, dependency: &str, feature: &str) {
        match dependency.strip_suffix('?') {
            Some(dependency) => {
                self.weak.insert((package.id.clone(), dependency.to_owned(), feature.to_owned()));
                if self.is_on(package, dependency) {
                    self.forward(package, dependency, feature);
                }
            }
            None => {
                self.turn_on_dependency(package, dependency);
                self.forward(package, dependency, feature);
            }
        }
    }

    fn is_on(&self, package: &Package, dependency: &str) -> bool {
        self.optional.contains(&(package.id.clone(), dependency.to_owned()))
            || package.dependencies.iter().any(|one| key(one) == dependency && !one.optional)
    }

    fn turn_on_dependency(&mut self, package: &Package, name: &str) {
        if !self.optional.insert((package.id.clone(), name.to_owned())) {
            return;
        }
        for dependency in package.dependencies.iter().filter(|dependency| key(dependency) == name) {
            self.depend(package, dependency);
        }
        let waiting: Vec<_> = self
            .weak
            .iter()
            .filter(|(waiting, dependency, _)| *waiting == package.id && dependency == name)
            .cloned()
            .collect();
        for (_, dependency, feature) in waiting {
            self.forward(package, &dependency, &feature);
        }
    }

    fn forward(&mut self, package: &Package, name: &str, feature: &str) {
        for dependency in package.dependencies.iter().filter(|dependency| key(dependency) == name) {
            for target in self.targets(package, dependency) {
                self.turn_on(&target, feature);
            }
        }
    }
}

/// A dependency's name in `[features]`.
fn key(dependency: &cargo_metadata::Dependency) -> &str {
    dependency.rename.as_deref().unwrap_or(&dependency.name)
}
