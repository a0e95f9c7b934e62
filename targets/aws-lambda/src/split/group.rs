//! Which units share a stack: those of a module, as long as a stack holds them.
//!
//! Modules are where people cut an application, and whoever looks for a function knows its module. A module that outgrows a
//! stack gives up its large submodules to stacks of their own, and shares out the small ones. Functions keep nothing, so one
//! that moves is made anew and deleted where it was.

use std::collections::{BTreeMap, BTreeSet};

/// A unit, and what it takes of a stack.
#[derive(Clone, Debug)]
pub(super) struct Weighed<'a> {
    pub(super) unit: &'a str,
    /// Crate and modules that all its handlers are in.
    pub(super) path: Vec<&'a str>,
    /// How many resources it is.
    pub(super) resources: usize,
    /// What it names that is not its own.
    pub(super) names: BTreeSet<String>,
    /// How long its resources are in a template, in bytes.
    pub(super) bytes: usize,
}

/// What a stack holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) resources: usize,
    pub(super) names: usize,
    pub(super) bytes: usize,
}

impl Most {
    fn hold(self, units: &[Weighed<'_>]) -> bool {
        let names: BTreeSet<&String> = units.iter().flat_map(|unit| &unit.names).collect();
        names.len() <= self.names
            && units.iter().map(|unit| unit.resources).sum::<usize>() <= self.resources
            && units.iter().map(|unit| unit.bytes).sum::<usize>() <= self.bytes
    }
}

/// The units of each stack, by its name.
pub(super) fn group<'a>(units: Vec<Weighed<'a>>, most: Most) -> BTreeMap<String, Vec<&'a str>> {
    let mut groups = BTreeMap::new();
    // One that has all keeps its name when modules leave it.
    let mut paths = units.iter().map(|unit| &unit.path[..]);
    let first = paths.next().unwrap_or_default();
    let path = paths.fold(first, |common, path| &common[..same(common, path)]).to_vec();
    divide(&path, units, most, &mut groups);
    groups
}

/// How much of two paths is the same.
pub(super) fn same(one: &[&str], other: &[&str]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

type Groups<'a> = BTreeMap<String, Vec<&'a str>>;

/// Of all units below a path.
fn divide<'a>(path: &[&'a str], units: Vec<Weighed<'a>>, most: Most, groups: &mut Groups<'a>) {
    let mut below: BTreeMap<&str, Vec<Weighed<'a>>> = BTreeMap::new();
    let mut rest = units;
    while !most.hold(&rest) {
        below.clear();
        for unit in &rest {
            if let Some(next) = unit.path.get(path.len()) {
                below.entry(next).or_default().push(unit.clone());
            }
        }
        let size = |units: &Vec<Weighed<'_>>| units.iter().map(|unit| unit.resources).sum::<usize>();
        let large = below.iter().filter(|(_, units)| !most.hold(units) || size(units) * LARGE >= most.resources);
        // Of several as large, the first by name.
        let Some((largest, units)) = large.rev().max_by_key(|(_, units)| size(units)) else {
            return scatter(path, rest, most, groups);
        };
        let deeper: Vec<&str> = path.iter().copied().chain([*largest]).collect();
        rest.retain(|unit| unit.path.get(path.len()) != Some(largest));
        divide(&deeper, units.clone(), most, groups);
    }
    if !rest.is_empty() {
        groups.insert(name(path), rest.into_iter().map(|unit| unit.unit).collect());
    }
}

/// A submodule that takes this part of a stack has one of its own; as many small ones as would be as many small stacks.
const LARGE: usize = 4;

/// What is left of a module and no stack holds: small submodules and single units, by a hash of each, into twice as many stacks
/// until all are small enough. So one more moves no other, but where the number of stacks doubles.
fn scatter<'a>(path: &[&str], units: Vec<Weighed<'a>>, most: Most, groups: &mut Groups<'a>) {
    let whole = |unit: &Weighed<'_>| match unit.path.get(..=path.len()) {
        Some(submodule) => submodule.join("::"),
        None => unit.unit.to_owned(),
    };
    let is_one = |units: &[Weighed<'_>]| units.iter().map(whole).collect::<BTreeSet<_>>().len() == 1;
    let mut count = 2;
    let scattered = loop {
        let mut scattered: BTreeMap<u64, Vec<Weighed<'a>>> = BTreeMap::new();
        for unit in &units {
            let hash = blake3::hash(whole(unit).as_bytes());
            let bits = u64::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at]));
            scattered.entry(bits % count).or_default().push(unit.clone());
        }
        // One that is too large by itself stays so.
        if count > 1 << 16 || scattered.values().all(|units| is_one(units) || most.hold(units)) {
            break scattered;
        }
        count *= 2;
    };
    for (at, units) in scattered {
        groups.insert(format!("{}-{at}", name(path)), units.into_iter().map(|unit| unit.unit).collect());
    }
}

/// How long a part's name may be: with the stack's it is a stack's name, of 128 characters.
const LONGEST: usize = 60;

/// What the part is called that has all crates' units, or those that are left of them.
const REST: &str = "functions";

/// `shop-orders`: what goes behind a stack's name. A hash tells what letters and digits don't.
pub(super) fn name(path: &[&str]) -> String {
    let text: Vec<String> = path.iter().map(|part| part.replace('_', "-")).collect();
    let text = if path.is_empty() { REST.to_owned() } else { text.join("-") };
    let plain = path.iter().all(|part| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    let plain = plain && path != [REST];
    if plain && text.len() <= LONGEST {
        return text;
    }
    let kept = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').map(|c| c.to_ascii_lowercase());
    let kept: String = kept.take(LONGEST - "-01234567".len()).collect();
    let hash = crate::template::hash8(&path.join("::").into());
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { resources: 10, names: 100, bytes: 1_000 };

    fn unit<'a>(unit: &'a str, path: &[&'a str], resources: usize) -> Weighed<'a> {
        let names = BTreeSet::from([unit.to_owned()]);
        Weighed { unit, path: path.to_vec(), resources, names, bytes: resources }
    }

    fn said(units: Vec<Weighed<'_>>, most: Most) -> Vec<String> {
        let groups = group(units, most);
        groups.into_iter().map(|(name, units)| format!("{name}: {}", units.join(" "))).collect()
    }

    #[test]
    fn as_many_stacks_as_it_takes() {
        let small = vec![unit("a", &["shop", "orders"], 5), unit("b", &["shop"], 5)];
        assert_eq!(said(small.clone(), MOST), ["shop: a b"]);
        let mut more = small;
        more.extend([unit("c", &["shop", "mail"], 3), unit("d", &["audit"], 1), unit("e", &["shop", "mail"], 1)]);
        // The crate is too large for one, so that its largest module leaves it; nothing else has to.
        assert_eq!(said(more, MOST), ["functions: d", "shop: b c e", "shop-orders: a"]);
    }

    #[test]
    fn a_module_that_no_stack_holds_is_scattered() {
        let ids: Vec<String> = (0..8).map(|at| format!("unit-{at}")).collect();
        let units: Vec<Weighed<'_>> = ids.iter().map(|id| unit(id, &["shop"], 4)).collect();
        let groups = group(units.clone(), MOST);
        assert!(groups.keys().all(|name| name.starts_with("shop-")), "{groups:?}");
        assert!(groups.values().all(|units| units.len() <= 2), "{groups:?}");
        assert_eq!(groups.values().map(Vec::len).sum::<usize>(), 8);
        // Without one of them, no other moves.
        let fewer = group(units[1..].to_vec(), MOST);
        for (name, units) in fewer {
            assert!(units.iter().all(|unit| groups[&name].contains(unit)));
        }
        assert_eq!(said(vec![unit("large", &["shop"], 40)], MOST).len(), 1);
    }

    /// As many stacks as there are modules would be too many.
    #[test]
    fn small_modules_are_shared_out_whole() {
        let ids: Vec<String> = (0..60).map(|at| format!("m{}", at / 2)).collect();
        let names: Vec<String> = (0..60).map(|at| format!("unit-{at}")).collect();
        let units = |modules: usize| {
            let all = names.iter().zip(&ids).take(2 * modules);
            all.map(|(name, module)| unit(name, &["shop", module], 1)).collect::<Vec<_>>()
        };
        let most = Most { resources: 20, ..MOST };
        let groups = group(units(30), most);
        assert!((3..=8).contains(&groups.len()), "{groups:?}");
        for units in groups.values() {
            let of = |unit: &str| &ids[names.iter().position(|name| name == unit).unwrap()];
            assert!(units.iter().all(|unit| units.iter().filter(|other| of(other) == of(unit)).count() == 2));
        }
        // One module less moves no other.
        for (name, units) in group(units(29), most) {
            assert!(units.iter().all(|unit| groups[&name].contains(unit)));
        }
    }

    #[test]
    fn names_and_bytes_count_too() {
        let units = || vec![unit("a", &["shop", "a"], 1), unit("b", &["shop", "b"], 1)];
        for most in [Most { names: 1, ..MOST }, Most { bytes: 1, ..MOST }] {
            let said = said(units(), most);
            assert!(said.len() == 2 && said.iter().all(|one| one.starts_with("shop-")), "{said:?}");
        }
    }

    #[test]
    fn names_are_of_one_path_each() {
        let paths: [&[&str]; 7] =
            [&[], &["functions"], &["a", "b", "c"], &["a", "b_c"], &["a_b", "c"], &["a-b", "c"], &["straße"]];
        let names: BTreeSet<String> = paths.iter().map(|path| name(path)).collect();
        assert_eq!(names.len(), paths.len(), "{names:?}");
        let long = "x".repeat(100);
        let all = names.into_iter().chain([name(&[&long])]);
        for name in all {
            assert!(name.len() <= LONGEST && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
    }
}
