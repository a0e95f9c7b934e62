//! Where PostgreSQL's programs are on this machine, and as whom they run: they refuse to run as root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the folder of `initdb` and `postgres`, where they are not found by themselves.
pub const BIN_VARIABLE: &str = "UPDRAFT_POSTGRES_BIN";

/// How to get them.
pub const HOW_TO_GET: &str = "PostgreSQL is not installed on this machine: install it (Debian and Ubuntu: `apt install postgresql`, \
     Fedora: `dnf install postgresql-server`, macOS: `brew install postgresql`), or name the folder of its programs in \
     UPDRAFT_POSTGRES_BIN, or a server that exists under `[dev.databases]` of Updraft.toml";

/// The folder that holds `initdb` and `postgres`: of major version `wanted` if one is wanted and there, else the newest.
pub(super) fn find(wanted: Option<u32>) -> Option<PathBuf> {
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    if let Some(named) = std::env::var_os(BIN_VARIABLE).filter(|path| !path.is_empty()) {
        return Some(PathBuf::from(named)).filter(complete); // named, so nothing else will do
    }
    let mut versions: Vec<(u32, PathBuf)> = installed().filter(|(_, folder)| complete(folder)).collect();
    versions.sort();
    if let Some((_, folder)) = versions.iter().find(|(major, _)| Some(*major) == wanted) {
        return Some(folder.clone());
    }
    let in_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).find(complete);
    in_path.or_else(|| versions.pop().map(|(_, folder)| folder))
}

/// Folders where distributions keep one version each.
fn installed() -> impl Iterator<Item = (u32, PathBuf)> {
    // Before the version's number, and after.
    let places: [(&str, &str, &str); 5] = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/usr/lib", "postgresql", "bin"),
    ];
    places.into_iter().flat_map(|(folder, prefix, bin)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.filter_map(move |entry| {
            let major = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join(bin)))
        })
    })
}

/// Another user, because this process is root.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Whom to run as, given a folder that this process has made. Nobody else, unless that is root.
///
/// # Errors
/// Root, and there is nobody to run as.
pub(super) fn user(folder: &Path) -> Result<Option<User>, String> {
    let owner = std::fs::metadata(folder).map_err(|error| format!("{}: {error}", folder.display()))?.uid();
    if owner != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(User { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
    };
    match find("postgres").or_else(|| find("nobody")) {
        Some(user) => Ok(Some(user)),
        None => {
            Err("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as".to_owned())
        }
    }
}

/// A command that is run as `user`, who may pass through the folders above `folder` even if they are closed to others.
pub(super) fn command(program: &Path, user: Option<User>, folder: &Path) -> Command {
    let Some(User { uid, gid }) = user else { return Command::new(program) };
    let open = |folder: &Path| std::fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    if folder.ancestors().skip(1).all(open) {
        let mut command = Command::new(program);
        command.uid(uid).gid(gid);
        return command;
    }
    // `.updraft` in a folder of root's own: without root's name, but with root's right to pass through closed folders.
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]).arg(program);
    command
}

/// Whether a process of this id lives, as far as this user may know.
pub(crate) fn lives(process: u32) -> bool {
    let asked = Command::new("kill").args(["-0", &process.to_string()]).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}
