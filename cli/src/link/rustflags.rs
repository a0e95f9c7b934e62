//! The flags that the user's own builds give rustc. A release must not lose them, and cargo takes flags from one source
//! alone: whoever adds a flag has to repeat all others.
//!
//! The sources, in cargo's order: `CARGO_ENCODED_RUSTFLAGS`, `RUSTFLAGS`, every `target.<triple>.rustflags` and matching
//! `target.'cfg(…)'.rustflags` together, `build.rustflags`. The last two come from the configuration files of the current
//! directory and those above it, then cargo's home, then variables.

use cargo_metadata::cargo_platform::{Cfg, CfgExpr};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::{Table, Value};

/// Where flags may stand.
pub(crate) struct Sources<'a> {
    /// Looks up a variable of the environment.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Where cargo runs.
    pub(crate) directory: &'a Path,
    /// Cargo's home.
    pub(crate) cargo_home: &'a Path,
    /// What is compiled for.
    pub(crate) triple: &'a str,
    /// The `cfg`s that hold there.
    pub(crate) cfg: &'a BTreeSet<(String, Option<String>)>,
}

/// The user's flags.
///
/// # Errors
/// A configuration file that cannot be read or makes no sense, in words for the user.
pub(crate) fn user(sources: &Sources<'_>) -> Result<Vec<String>, String> {
    if let Some(encoded) = (sources.variable)("CARGO_ENCODED_RUSTFLAGS") {
        return Ok(encoded.split('\x1f').filter(|flag| !flag.is_empty()).map(str::to_owned).collect());
    }
    if let Some(plain) = (sources.variable)("RUSTFLAGS") {
        return Ok(words(&plain));
    }
    let files = configurations(sources)?;
    let variable = |name: String| (sources.variable)(&name).map(|text| words(&text));

    let mut keys = vec![sources.triple.to_owned()];
    keys.extend(
        files
            .iter()
            .filter_map(|file| file.get("target")?.as_table())
            .flat_map(|target| target.keys().filter(|key| matches(key, sources.cfg)).cloned().collect::<Vec<_>>()),
    );
    keys.sort();
    keys.dedup();
    let mut flags = Vec::new();
    let mut found = false;
    for key in keys {
        if let Some(own) = merged(&files, |file| file.get("target")?.get(&key)?.get("rustflags")) {
            found = true;
            flags.extend(own);
        }
    }
    if let Some(own) = variable(format!("CARGO_TARGET_{}_RUSTFLAGS", upper(sources.triple))) {
        found = true;
        flags.extend(own);
    }
    if found {
        return Ok(flags);
    }
    let mut flags = merged(&files, |file| file.get("build")?.get("rustflags")).unwrap_or_default();
    flags.extend(variable("CARGO_BUILD_RUSTFLAGS".to_owned()).unwrap_or_default());
    Ok(flags)
}

/// Whether a linker for the triple is named, in cargo's configuration or among the user's flags.
///
/// # Errors
/// A configuration file that cannot be read or makes no sense, in words for the user.
pub(crate) fn names_linker(sources: &Sources<'_>, flags: &[String]) -> Result<bool, String> {
    let flagged = flags.iter().any(|flag| flag.trim_start_matches("-C").trim_start().starts_with("linker="));
    if flagged || (sources.variable)(&format!("CARGO_TARGET_{}_LINKER", upper(sources.triple))).is_some() {
        return Ok(true);
    }
    let files = configurations(sources)?;
    let targets = files.iter().filter_map(|file| file.get("target")?.as_table());
    let mut keys = targets.flatten().filter(|(key, _)| *key == sources.triple || matches(key, sources.cfg));
    Ok(keys.any(|(_, target)| target.get("linker").is_some()))
}

/// The configuration files, the one that counts least first.
fn configurations(sources: &Sources<'_>) -> Result<Vec<Table>, String> {
    let mut folders: Vec<PathBuf> = vec![sources.cargo_home.to_owned()];
    let above: Vec<&Path> = sources.directory.ancestors().collect();
    folders.extend(above.into_iter().rev().map(|folder| folder.join(".cargo")).filter(|one| one != sources.cargo_home));
    let mut files = Vec::new();
    for folder in folders {
        // Cargo prefers the name without an ending where both exist.
        let Some(file) =
            ["config", "config.toml"].map(|name| folder.join(name)).into_iter().find(|file| file.is_file())
        else {
            continue;
        };
        let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        let table = read.and_then(|text| text.parse::<Table>().map_err(|error| error.to_string()));
        files.push(table.map_err(|error| format!("{}: {error}", file.display()))?);
    }
    Ok(files)
}

/// Lists are joined; a string replaces what counts less.
fn merged<'a>(files: &'a [Table], key: impl Fn(&'a Table) -> Option<&'a Value>) -> Option<Vec<String>> {
    files.iter().filter_map(key).fold(None, |flags: Option<Vec<String>>, value| match value {
        Value::String(text) => Some(words(text)),
        Value::Array(values) => {
            let own = values.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(flags.into_iter().flatten().chain(own).collect())
        }
        _ => flags,
    })
}

fn matches(key: &str, cfg: &BTreeSet<(String, Option<String>)>) -> bool {
    let Some(expression) = key.strip_prefix("cfg(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let lines = cfg.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}=\"{value}\""),
        None => name.clone(),
    });
    let cfg: Vec<Cfg> = lines.filter_map(|line| Cfg::from_str(&line).ok()).collect();
    CfgExpr::from_str(expression).is_ok_and(|expression| expression.matches(&cfg))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn upper(triple: &str) -> String {
    triple.to_uppercase().replace(['-', '.'], "_")
}

/// Cargo's home, as cargo finds it.
pub(crate) fn cargo_home(variable: impl Fn(&str) -> Option<std::ffi::OsString>, directory: &Path) -> PathBuf {
    let set = |value: &std::ffi::OsString| value != OsStr::new("");
    match (variable("CARGO_HOME").filter(set), variable("HOME").filter(set)) {
        (Some(home), _) => directory.join(home),
        (None, Some(home)) => Path::new(&home).join(".cargo"),
        (None, None) => directory.join(".cargo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIPLE: &str = "x86_64-unknown-linux-gnu";

    /// Flags of a project with these configuration files (path → text) and variables.
    fn flags(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("created");
            std::fs::write(file, text).expect("written");
        }
        let cfg = BTreeSet::from([("unix".to_owned(), None), ("target_os".to_owned(), Some("linux".to_owned()))]);
        user(&Sources {
            variable: &|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()),
            directory: &folder.path().join("ws/app"),
            cargo_home: &folder.path().join("home"),
            triple: TRIPLE,
            cfg: &cfg,
        })
    }

    #[test]
    fn variables_count_most() {
        let file = ("ws/.cargo/config.toml", "[build]\nrustflags = '-Cno'");
        let encoded = ("CARGO_ENCODED_RUSTFLAGS", "-Ca b\x1f-Cc");
        assert_eq!(flags(&[file], &[encoded, ("RUSTFLAGS", "-Cd")]).unwrap(), ["-Ca b", "-Cc"]);
        assert_eq!(flags(&[file], &[("RUSTFLAGS", " -Cd  -Ce ")]).unwrap(), ["-Cd", "-Ce"]);
        assert_eq!(flags(&[], &[("CARGO_BUILD_RUSTFLAGS", "-Cf")]).unwrap(), ["-Cf"]);
        assert_eq!(flags(&[], &[]).unwrap(), [] as [&str; 0]);
    }

    #[test]
    fn lists_join_with_the_nearest_last() {
        let files = [
            ("home/config.toml", "build.rustflags = ['-Chome']"),
            ("ws/.cargo/config.toml", "build.rustflags = ['-Cws', '-Cmore']"),
            ("ws/app/.cargo/config.toml", "build.rustflags = ['-Capp']"),
        ];
        assert_eq!(flags(&files, &[]).unwrap(), ["-Chome", "-Cws", "-Cmore", "-Capp"]);
    }

    #[test]
    fn a_target_of_any_kind_hides_the_build() {
        let build = ("home/config.toml", "build.rustflags = ['-Cbuild']");
        let own = ("ws/.cargo/config.toml", "[target.x86_64-unknown-linux-gnu]\nrustflags = ['-Ctarget']");
        let cfg =
            ("ws/app/.cargo/config.toml", "[target.'cfg(all(unix, target_os = \"linux\"))']\nrustflags = '-Ccfg'");
        let other = ("ws/app/.cargo/config.toml", "[target.'cfg(windows)']\nrustflags = '-Cno'");
        assert_eq!(flags(&[build, own, cfg], &[]).unwrap(), ["-Ccfg", "-Ctarget"]);
        assert_eq!(flags(&[build, other], &[]).unwrap(), ["-Cbuild"]);
        let variable = ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Cvariable");
        assert_eq!(flags(&[build], &[variable]).unwrap(), ["-Cvariable"]);
    }

    #[test]
    fn a_linker_is_named_wherever_cargo_looks() {
        let names = |text: &str, variables: &[(&str, &str)], flags: &[&str]| {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("config.toml");
            std::fs::write(&file, text).expect("written");
            let sources = Sources {
                variable: &|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()),
                directory: folder.path(),
                cargo_home: folder.path(),
                triple: TRIPLE,
                cfg: &BTreeSet::from([("unix".to_owned(), None)]),
            };
            let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
            names_linker(&sources, &flags).expect("readable")
        };
        assert!(!names("[target.x86_64-unknown-linux-gnu]\nrustflags = []", &[], &["-Clink-arg=-s"]));
        assert!(!names("[target.other]\nlinker = 'ld'", &[], &[]));
        assert!(names("[target.x86_64-unknown-linux-gnu]\nlinker = 'ld'", &[], &[]));
        assert!(names("[target.'cfg(unix)']\nlinker = 'ld'", &[], &[]));
        assert!(names("", &[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", "ld")], &[]));
        assert!(names("", &[], &["-Clinker=ld"]) && names("", &[], &["-C", "linker=ld"]));
    }

    #[test]
    fn nonsense_is_named() {
        let error = flags(&[("ws/.cargo/config.toml", "build = [")], &[]).unwrap_err();
        assert!(error.contains("config.toml"), "{error}");
    }
}
