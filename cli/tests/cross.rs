//! How a program for another machine is linked: what cargo is told, by whatever linker this machine seems to have. Nothing is
//! compiled: cargo, rustc and the linkers are played.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lambda's word and rustc's for a machine that this one is not.
const OTHER: (&str, &str) = if cfg!(target_arch = "x86_64") { ("arm64", "aarch64") } else { ("x86_64", "x86_64") };

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("executable");
    file
}

/// How a build ended, what it said, and what cargo was told last: its arguments and the variables of its kind.
struct Built {
    code: Option<i32>,
    said: String,
    told: String,
}

impl Built {
    fn has(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.told.lines().any(|line| line == *word))
    }
}

/// `build` for the other machine, with these linkers, and code that is this (`zip`, `image`).
fn build(linkers: &[&str], package: &str) -> Built {
    let folder = tempfile::tempdir().expect("a folder");
    let tools = folder.path().join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    // Nothing else is there, whatever this machine has.
    for program in ["sh", "env", "grep", "sed", "tr", "rustc", "getconf"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").expect("a path"))
            .map(|folder| folder.join(program))
            .find(|file| file.is_file());
        std::os::unix::fs::symlink(found.expect(program), tools.join(program)).expect("linked");
    }
    for linker in linkers {
        script(&tools, &linker.replace("ARCH", OTHER.1), "exit 1");
    }
    let (log, real) = (folder.path().join("told"), env!("CARGO"));
    let cargo = format!(
        "case \" $* \" in *' metadata '*) exec {real} \"$@\";; esac\nprintf '%s\\n' \"$@\" >{0}\nenv | grep '^CARGO_.*LINKER\\|^CARGO_ENCODED' | tr '\\037' '\\n' | sed 's/^CARGO_ENCODED_RUSTFLAGS=/&\\n/' >>{0}\nexit 1",
        log.display()
    );
    // It has the library of any machine.
    let rustc = format!("case \"$*\" in *target-libdir*) echo {};; *) exec rustc \"$@\";; esac", tools.display());
    let app = folder.path().join("app");
    std::fs::create_dir_all(app.join("src")).expect("a folder");
    let updraft = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nupdraft = {{ path = {updraft:?} }}\n\n[workspace]\n"
    );
    std::fs::write(app.join("Cargo.toml"), manifest).expect("written");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"), app.join("Cargo.lock")).expect("copied");
    std::fs::write(
        app.join("Updraft.toml"),
        format!("[target.aws-lambda]\narchitecture = \"{}\"\npackage = \"{package}\"\n", OTHER.0),
    )
    .expect("written");
    let source = "use updraft::prelude::*;\n\n#[http(get, \"/\")]\nasync fn hello() -> &'static str {\n    \"hello\"\n}\n\nupdraft::main!();\n";
    std::fs::write(app.join("src/main.rs"), source).expect("written");

    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-updraft"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CARGO_TARGET_") || name.contains("RUSTFLAGS"))
    {
        command.env_remove(name);
    }
    command.args(["updraft", "build", "--target", "aws-lambda"]).current_dir(&app).env("PATH", &tools);
    command.env("CARGO", script(folder.path(), "cargo", &cargo)).env("RUSTC", script(folder.path(), "rustc", &rustc));
    command.env("CARGO_NET_OFFLINE", "true");
    let output = command.output().expect("the command");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Built { code: output.status.code(), said, told: std::fs::read_to_string(log).unwrap_or_default() }
}

#[test]
fn gnus_compiler_links_a_static_program() {
    let triple = format!("{}-unknown-linux-gnu", OTHER.1);
    for package in ["zip", "image"] {
        let built = build(&["ARCH-linux-gnu-gcc", "cargo-zigbuild"], package);
        assert!(
            built.has(&["build", "--target", &triple, "-Ctarget-feature=+crt-static"]),
            "{}\n{}",
            built.said,
            built.told
        );
        let variable =
            format!("CARGO_TARGET_{}_LINKER={}-linux-gnu-gcc", triple.to_uppercase().replace('-', "_"), OTHER.1);
        assert!(built.has(&[&variable]), "{}", built.told);
        // Nobody knows whether the other C library unpacks them.
        assert!(!built.told.contains("pack-relative-relocs"), "{}", built.told);
    }
}

#[test]
fn zig_links_with_the_libraries_of_lambdas_machine() {
    let built = build(&["cargo-zigbuild"], "zip");
    let target = format!("{}-unknown-linux-gnu.2.34", OTHER.1);
    assert!(built.has(&["zigbuild", "--target", &target, "--cfg=updraft_slim"]), "{}\n{}", built.said, built.told);
    assert!(!built.told.contains("crt-static") && !built.told.contains("LINKER"), "{}", built.told);

    let image = build(&["cargo-zigbuild"], "image");
    assert_eq!((image.code, &*image.told), (Some(2), ""), "{}", image.said);
    assert!(image.said.contains("as an image's must"), "{}", image.said);
}

#[test]
fn without_a_linker_it_says_what_to_install() {
    let built = build(&[], "zip");
    assert_eq!((built.code, &*built.told), (Some(2), ""), "{}", built.said);
    let words =
        ["no linker for it is installed", "apt-get install gcc-", "pip install cargo-zigbuild", "architecture = "];
    assert!(words.iter().all(|word| built.said.contains(word)), "{}", built.said);
}
