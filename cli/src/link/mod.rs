//! Links the program that a cloud runs: static, small, the same bytes wherever it is built. Cargo does the work, under a
//! profile and flags given on its command line, so that the user's Cargo.toml stays as it is.

mod cold;
mod cross;
pub(crate) mod migrations;
mod rustflags;

use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::project::Project;
use crate::report::Reporter;
use cargo_metadata::Message;
use std::env;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The profile's name, and that of its folders below the target directory: not `updraft`, where what we write lies.
const PROFILE: &str = "updraft-release";

/// Every key that decides about the bytes: what the user's `[profile.release]` sets would flow in otherwise.
/// Unwinding, since an abort would lose every request in flight with the one that panicked.
const KEYS: [(&str, &str); 10] = [
    ("inherits", "\"release\""),
    ("opt-level", "3"),
    ("lto", "\"fat\""),
    ("codegen-units", "1"),
    ("panic", "\"unwind\""),
    ("strip", "\"symbols\""),
    ("debug", "false"),
    ("debug-assertions", "false"),
    ("overflow-checks", "false"),
    ("incremental", "false"),
];

/// What to link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `x86_64-unknown-linux-gnu`.
    pub(crate) triple: &'a str,
    /// Whether it has to run without any library, as in an image it must.
    pub(crate) alone: bool,
    /// Whether it is a function, which starts more often than it is busy.
    pub(crate) function: bool,
    /// The features of updraft that the bindings need: `redis`, `s3`.
    pub(crate) engines: &'a [&'a str],
}

/// Links the program and says where it lies.
///
/// # Errors
/// Compile errors, which rustc has shown; cargo failing for another reason.
pub(crate) fn link(project: &Project, global: &Global, request: &Request<'_>, reporter: &Reporter) -> Result<PathBuf> {
    has_library(request.triple)?;
    let directory = env::current_dir().map_err(|error| Failure::Outside(format!("no current directory: {error}")))?;
    let cargo_home = rustflags::cargo_home(|name| env::var_os(name), &directory);
    let sources = rustflags::Sources {
        variable: &|name| env::var(name).ok(),
        directory: &directory,
        cargo_home: &cargo_home,
        triple: request.triple,
        cfg: &project.program.cfg,
    };
    let user = rustflags::user(&sources).map_err(Failure::Usage)?;
    let named = rustflags::names_linker(&sources, &user).map_err(Failure::Usage)?;
    let question = cross::Question { triple: request.triple, named, alone: request.alone, has: &cross::installed };
    let told = question.answer().map_err(Failure::Usage)?.told(request.triple);

    let mut features = global.clone();
    features.features.extend(request.engines.iter().map(|engine| format!("updraft/{engine}")));
    let mut command = cargo(global, reporter);
    command.args([told.command, "--manifest-path"]).arg(&project.manifest_path);
    command.args(["--package", &project.package, "--bin", &project.bin, "--target", &told.target]);
    command.envs(told.variable);
    command.args(["--profile", PROFILE]).args(features.feature_flags());
    for (key, value) in KEYS {
        command.arg("--config").arg(format!("profile.{PROFILE}.{key}={value}"));
    }
    for package in cold::among(&project.hidden, request.function) {
        command.arg("--config").arg(format!("profile.{PROFILE}.package.{package}.opt-level=\"s\""));
    }
    let mut own: Vec<String> = told.flags.iter().map(|&flag| flag.to_owned()).collect();
    own.extend(flags(project, &cargo_home));
    if request.triple.starts_with(env::consts::ARCH) && libc_packs_relocations() {
        own.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    for folder in &project.outside {
        // Cargo names a package by its path then, and the names order the program's parts.
        let folder = folder.display();
        reporter
            .status("Note", &format_args!("{folder} lies outside the workspace: the digest depends on where it is"));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", user.into_iter().chain(own).collect::<Vec<_>>().join("\x1f"));
    command.env_remove("RUSTFLAGS");
    reporter.detail(&format_args!("{command:?}"));
    run(command, &project.bin)
}

/// The command that builds the program for this machine, as `cargo run` would.
/// What a laptop needs beside the embedded engine, `engines` turns on.
pub(crate) fn debug(project: &Project, global: &Global, engines: &[&str], reporter: &Reporter) -> Command {
    let mut features = global.clone();
    features.features.extend(engines.iter().map(|engine| format!("updraft/{engine}")));
    let mut command = cargo(global, reporter);
    command.args(["build", "--manifest-path"]).arg(&project.manifest_path);
    command.args(["--package", &project.package, "--bin", &project.bin]).args(features.feature_flags());
    command
}

/// The cargo that runs us, with our way of speaking.
fn cargo(global: &Global, reporter: &Reporter) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(if reporter.color() { "--color=always" } else { "--color=never" });
    if global.quiet {
        command.arg("--quiet");
    }
    for _ in 1..global.verbose {
        command.arg("--verbose");
    }
    command
}

/// Runs `cargo build` and returns the executable of the binary `bin`.
///
/// # Errors
/// Compile errors, which rustc has shown; cargo failing for another reason.
pub(crate) fn run(mut command: Command, bin: &str) -> Result<PathBuf> {
    command.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Failure::Outside(format!("cargo can't be run: {error}")))?;
    let (mut executable, mut compiled) = (None, None);
    let stdout = child.stdout.take().map(BufReader::new);
    for message in stdout.into_iter().flat_map(Message::parse_stream) {
        match message {
            Ok(Message::CompilerArtifact(artifact)) if artifact.target.name == bin && artifact.target.is_bin() => {
                executable = artifact.executable;
            }
            Ok(Message::BuildFinished(finished)) => compiled = Some(finished.success),
            _ => {}
        }
    }
    let status = child.wait().map_err(|error| Failure::Outside(format!("cargo can't be waited for: {error}")))?;
    match (compiled, executable) {
        (Some(true), Some(executable)) if status.success() => Ok(executable.into_std_path_buf()),
        (Some(false), _) => Err(Failure::Diagnostics),
        _ => Err(Failure::Outside(format!("cargo build failed ({status}) before anything was compiled"))),
    }
}

/// Refuses a target whose standard library rustc does not have: cargo would say so of the first crate, some minutes on.
fn has_library(triple: &str) -> Result {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked =
        Command::new(rustc).args(["--print", "target-libdir", "--target", triple]).stdin(Stdio::null()).output();
    let folder = asked.map_err(|error| Failure::Outside(format!("rustc can't be run: {error}")))?.stdout;
    if Path::new(String::from_utf8_lossy(&folder).trim()).is_dir() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "this machine can't compile for {triple}: its standard library is not installed\n\n\
         install it (`rustup target add {triple}`); where there is no linker for it either, {}",
        cross::help(triple)
    )))
}

/// Whether the C library that the program is linked with can start one whose relocations are packed (a thirtieth of the room):
/// glibc since 2.36.
fn libc_packs_relocations() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").stdin(Stdio::null()).stderr(Stdio::null()).output();
    asked.is_ok_and(|answer| packs_relocations(&String::from_utf8_lossy(&answer.stdout)))
}

/// The same, from what `getconf` says: `glibc 2.41`.
fn packs_relocations(answer: &str) -> bool {
    let version = answer.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let number = |text: &str| text.split('.').next().and_then(|text| text.parse::<u32>().ok());
    version.is_some_and(|(major, minor)| (number(major), number(minor)) >= (Some(2), Some(36)))
}

/// Flags of ours. Paths are replaced by names that every machine shares; where several prefixes fit, rustc takes the last.
fn flags(project: &Project, cargo_home: &Path) -> Vec<String> {
    let mut flags = vec!["--cfg=updraft_slim".to_owned()];
    let mut remap = |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    remap(&project.workspace_root, "/workspace");
    remap(&project.target_dir, "/target");
    for folder in &project.outside {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        remap(folder, &format!("/outside/{name}"));
    }
    remap(cargo_home, "/cargo");
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relocations_are_packed_for_a_libc_that_unpacks_them() {
        for (answer, expected) in
            [("glibc 2.41\n", true), ("glibc 2.36", true), ("glibc 2.35\n", false), ("glibc 3.0", true), ("", false)]
        {
            assert_eq!(packs_relocations(answer), expected, "{answer}");
        }
    }
}
