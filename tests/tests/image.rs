//! Images in the hands of other people's programs: skopeo reads them, podman runs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use updraft_image::{Architecture, Image, layout};
use updraft_tests::servers::program;

/// What a container sees of itself: run as the image's program, so it must be static.
const PROGRAM: &str = r#"
use std::net::ToSocketAddrs;
fn main() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ids = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().split('\t').nth(1).unwrap().to_owned();
    println!("user {} group {}", ids("Uid:"), ids("Gid:"));
    let roots = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    println!("roots {}", roots.contains("BEGIN CERTIFICATE"));
    println!("tmp {}", std::fs::write("/tmp/x", "x").is_ok());
    println!("program {}", std::fs::OpenOptions::new().write(true).open("/app").is_ok());
    println!("localhost {}", ("localhost", 80).to_socket_addrs().is_ok());
}
"#;

fn write_layout(folder: &Path, program: &[u8]) -> String {
    let packed =
        layout(&Image { program, architecture: Architecture::Amd64, labels: &BTreeMap::new() }).expect("packed");
    for (path, bytes) in &packed.files {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("created");
        std::fs::write(file, bytes).expect("written");
    }
    packed.digest
}

fn build_program(folder: &Path) -> PathBuf {
    let (source, binary) = (folder.join("program.rs"), folder.join("program"));
    std::fs::write(&source, PROGRAM).expect("written");
    let mut rustc = Command::new("rustc");
    rustc.args(["-O", "--edition=2021", "--target=x86_64-unknown-linux-gnu", "-Ctarget-feature=+crt-static", "-o"]);
    output(rustc.arg(&binary).arg(&source));
    binary
}

fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("started");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

#[test]
fn skopeo_reads_it_and_keeps_its_digest() {
    let Some(skopeo) = program("skopeo") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let digest = write_layout(&folder.path().join("image"), b"no program");
    let image = format!("oci:{}", folder.path().join("image").display());
    let inspected: serde_json::Value =
        serde_json::from_str(&output(Command::new(&skopeo).args(["inspect", &image]))).expect("JSON");
    assert_eq!(inspected["Digest"], digest.as_str());
    assert_eq!(inspected["Architecture"], "amd64");
    assert_eq!(inspected["Layers"].as_array().expect("layers").len(), 2);

    let copy = format!("dir:{}", folder.path().join("copy").display());
    output(Command::new(&skopeo).args(["copy", "--insecure-policy", "--preserve-digests", &image, &copy]));
    let copied = output(Command::new(&skopeo).args(["inspect", &copy]));
    assert!(copied.contains(&digest), "{copied}");
}

#[test]
fn podman_runs_it() {
    let (Some(podman), Some(_)) = (program("podman"), program("runc")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = std::fs::read(build_program(folder.path())).expect("a program");
    write_layout(&folder.path().join("image"), &bytes);
    let printed = output(
        Command::new(podman)
            .arg("--root")
            .arg(folder.path().join("root"))
            .arg("--runroot")
            .arg(folder.path().join("run"))
            .args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "run", "--rm"])
            .args(["--network=host", "--runtime=runc", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"])
            .arg("oci:image") // relative: podman takes the path for a name, which must be lower case
            .current_dir(folder.path()),
    );
    assert_eq!(printed, "user 65532 group 65532\nroots true\ntmp true\nprogram false\nlocalhost true\n");
}
