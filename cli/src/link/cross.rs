//! Which linker makes a program for another machine than this one, and what cargo is told for it.
//!
//! Whoever names a linker in cargo's configuration has it. Else GNU's compiler for the other machine, as distributions have
//! it: with its C library the program is static, as everywhere. Else zig, by `cargo zigbuild`, which also compiles the C that
//! some packages hold; zig links glibc as a library alone, of the version that Lambda's own has.

use std::env::consts::ARCH;
use std::path::Path;

/// The glibc of Amazon Linux 2023, which zips run on.
const GLIBC: &str = "2.34";

/// What links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Linker {
    /// Cargo's own choice: this machine's, or the one that its configuration names.
    Own,
    /// GNU's compiler for the other machine.
    Gnu(String),
    /// zig.
    Zig,
}

/// What decides.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// `aarch64-unknown-linux-gnu`.
    pub(super) triple: &'a str,
    /// Whether cargo's configuration or flags name a linker for it.
    pub(super) named: bool,
    /// Whether the program has to run without any library.
    pub(super) alone: bool,
    /// Whether there is such a program.
    pub(super) has: &'a dyn Fn(&str) -> bool,
}

impl Question<'_> {
    /// The linker; in words if there is none.
    pub(super) fn answer(&self) -> Result<Linker, String> {
        let architecture = self.triple.split('-').next().unwrap_or_default();
        if self.named || architecture == ARCH {
            return Ok(Linker::Own);
        }
        let gnu = format!("{architecture}-linux-gnu-gcc");
        if (self.has)(&gnu) {
            return Ok(Linker::Gnu(gnu));
        }
        let zig = (self.has)("cargo-zigbuild");
        if zig && !self.alone {
            return Ok(Linker::Zig);
        }
        let why =
            if zig { "; zig, which is, links no program that runs without libraries, as an image's must" } else { "" };
        Err(format!(
            "this machine can't link for {}: no linker for it is installed{why}\n\n{}",
            self.triple,
            help(self.triple)
        ))
    }
}

/// What to install.
pub(super) fn help(triple: &str) -> String {
    let architecture = triple.split('-').next().unwrap_or_default();
    let package = architecture.replace('_', "-"); // as Debian calls it
    format!(
        "install one (Debian: `apt-get install gcc-{package}-linux-gnu`; for a zip, anywhere: `pip install cargo-zigbuild`), or name one in \
         .cargo/config.toml\n\n[target.{triple}]\nlinker = \"{architecture}-linux-gnu-gcc\"\n\n\
         or compile for this machine's own: on Lambda, that is `architecture = \"{}\"` in `[target.aws-lambda]` of Updraft.toml",
        if ARCH == "aarch64" { "arm64" } else { ARCH }
    )
}

/// What cargo is told of a linker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// `build`.
    pub(super) command: &'static str,
    /// After `--target`.
    pub(super) target: String,
    /// For rustc.
    pub(super) flags: &'static [&'static str],
    /// Of the environment.
    pub(super) variable: Option<(String, String)>,
}

impl Linker {
    pub(super) fn told(&self, triple: &str) -> Told {
        let told = Told {
            command: "build",
            target: triple.to_owned(),
            flags: &["-Ctarget-feature=+crt-static"],
            variable: None,
        };
        match self {
            Linker::Own => told,
            Linker::Gnu(gcc) => {
                let name = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
                Told { variable: Some((name, gcc.clone())), ..told }
            }
            Linker::Zig => Told { command: "zigbuild", target: format!("{triple}.{GLIBC}"), flags: &[], ..told },
        }
    }
}

/// Whether a program is in one of the folders of `PATH`.
pub(super) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A triple of a machine that this one is not.
    fn other() -> (&'static str, String) {
        let architecture = if ARCH == "x86_64" { "aarch64" } else { "x86_64" };
        (architecture, format!("{architecture}-unknown-linux-gnu"))
    }

    fn answer(named: bool, alone: bool, there: &[&str]) -> Result<Linker, String> {
        let (architecture, triple) = other();
        let has = |program: &str| there.iter().any(|one| one.replace("ARCH", architecture) == program);
        Question { triple: &triple, named, alone, has: &has }.answer()
    }

    #[test]
    fn what_is_named_comes_first_and_zig_last() {
        let gcc = Linker::Gnu(format!("{}-linux-gnu-gcc", other().0));
        assert_eq!(answer(true, true, &[]), Ok(Linker::Own));
        assert_eq!(answer(false, true, &["ARCH-linux-gnu-gcc", "cargo-zigbuild"]), Ok(gcc));
        assert_eq!(answer(false, false, &["cargo-zigbuild"]), Ok(Linker::Zig));
        let own = format!("{ARCH}-unknown-linux-gnu");
        assert_eq!(Question { triple: &own, named: false, alone: true, has: &|_| false }.answer(), Ok(Linker::Own));
    }

    #[test]
    fn without_a_linker_something_is_to_be_installed() {
        let none = answer(false, false, &["gcc"]).unwrap_err();
        assert!(none.contains("apt-get install gcc-") && none.contains("pip install cargo-zigbuild"), "{none}");
        let image = answer(false, true, &["cargo-zigbuild"]).unwrap_err();
        assert!(image.contains("as an image's must"), "{image}");
        assert!(help("x86_64-unknown-linux-gnu").contains("gcc-x86-64-linux-gnu"));
    }

    #[test]
    fn cargo_is_told() {
        let triple = "aarch64-unknown-linux-gnu";
        assert_eq!(Linker::Own.told(triple).flags, ["-Ctarget-feature=+crt-static"]);
        let gnu = Linker::Gnu("aarch64-linux-gnu-gcc".to_owned()).told(triple);
        let variable = ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
        assert_eq!(gnu.variable, Some((variable.0.to_owned(), variable.1.to_owned())));
        assert_eq!((gnu.command, &*gnu.target), ("build", triple));
        let zig = Linker::Zig.told(triple);
        assert_eq!((zig.command, &*zig.target), ("zigbuild", "aarch64-unknown-linux-gnu.2.34"));
        assert_eq!((zig.flags, zig.variable), (&[][..], None));
    }
}
