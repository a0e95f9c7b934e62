//! The same source gives the same image: from another folder, under another cargo home, at another time.
//!
//! The application that `new` writes by default. `UPDRAFT_LONG=1` builds the example shop as well, which takes some minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of the workspace, as a clone would have it, with what `new` writes among its members.
fn copy(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().expect("git");
    assert!(listed.status.success(), "{listed:?}");
    for path in String::from_utf8(listed.stdout).expect("paths").split('\0').filter(|path| !path.is_empty()) {
        let (from, to) = (root.join(path), to.join(path));
        if from.is_file() {
            fs::create_dir_all(to.parent().expect("a folder")).expect("created");
            fs::copy(from, to).expect("copied");
        }
    }
    let manifest = fs::read_to_string(to.join("Cargo.toml")).expect("a manifest");
    let joined = manifest.replacen("members = [", "members = [\n    \"tiny\",", 1);
    assert_ne!(joined, manifest, "the workspace lists its members");
    fs::write(to.join("Cargo.toml"), joined).expect("written");
    let mut new = Command::new(env!("CARGO_BIN_EXE_cargo-updraft"));
    let new = new.args(["updraft", "new", "tiny", "--updraft", "runtime"]).current_dir(to).output().expect("started");
    assert!(new.status.success(), "{new:?}");
    // It would be a workspace of its own, and then updraft a package outside, whose place decides about the bytes.
    let manifest = fs::read_to_string(to.join("tiny/Cargo.toml")).expect("a manifest");
    let member = manifest.split("\n# A project of its own").next().expect("the first part");
    fs::write(to.join("tiny/Cargo.toml"), member).expect("written");
}

/// A cargo home of its own; only what was downloaded is shared.
fn cargo_home(to: &Path) -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cargo"));
    fs::create_dir_all(to.join("registry")).expect("created");
    for part in ["registry/index", "registry/cache"] {
        std::os::unix::fs::symlink(home.join(part), to.join(part)).expect("linked");
    }
    to.to_owned()
}

/// Builds a package and returns the image's digest.
fn build(workspace: &Path, package: &str, home: Option<&Path>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-updraft"));
    command.args(["updraft", "build", "--target", "knative", "-p", package]).current_dir(workspace);
    command.env("CARGO_TARGET_DIR", workspace.join("target"));
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(home) = home {
        command.env("CARGO_HOME", home);
    }
    let output = command.output().expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let push = "skopeo copy --preserve-digests oci:target/updraft/image docker://registry.example.com/";
    assert!(said.contains(push), "{said}");
    let index = fs::read(workspace.join("target/updraft/image/index.json")).expect("an index");
    let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    let manifests = fs::read_dir(workspace.join("target/updraft/knative")).expect("manifests");
    let mut texts = manifests.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    assert!(texts.any(|text| text.contains(&digest)), "no manifest names {digest}");
    digest
}

#[test]
fn images_do_not_tell_where_they_were_built() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (folder.path().join("here"), folder.path().join("over/there with a longer name"));
    copy(&here);
    copy(&there);
    let home = cargo_home(&folder.path().join("another home"));
    let mut packages = vec!["tiny"];
    if std::env::var_os("UPDRAFT_LONG").is_some() {
        packages.push("shop");
    }
    for package in packages {
        assert_eq!(build(&here, package, None), build(&there, package, Some(&home)), "{package}");
    }
}
