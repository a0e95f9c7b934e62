//! Images in the hands of other people's programs: skopeo reads them, podman runs them.

use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use updraft_image::{Architecture, Image, Layout, function, layout};
use updraft_tests::lambda::Lambda;
use updraft_tests::process::Setup;
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
    write(folder, layout(&image(program, &BTreeMap::new())).expect("packed"))
}

fn image<'a>(program: &'a [u8], labels: &'a BTreeMap<String, String>) -> Image<'a> {
    Image { program, architecture: Architecture::Amd64, labels }
}

fn write(folder: &Path, packed: Layout) -> String {
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
    let printed = output(podman_run(&podman, folder.path()).arg("oci:image"));
    assert_eq!(printed, "user 65532 group 65532\nroots true\ntmp true\nprogram false\nlocalhost true\n");
}

/// `podman run` with all of its own in a folder, where it runs, too: it takes a path for a name, which must be lower case.
fn podman_run(podman: &Path, folder: &Path) -> Command {
    let mut command = Command::new(podman);
    command.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
    command.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "run", "--rm"]);
    command.args(["--network=host", "--runtime=runc", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
    command.current_dir(folder);
    command
}

/// A container that is asked to end when a test is done with it.
struct Container(Child);

impl Container {
    fn ends(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "can't send SIGTERM");
        self.0.wait().expect("a status").code()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // By podman, so that it takes what it runs along.
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).output();
        let _ = self.0.wait();
    }
}

/// As Lambda runs it: as a user of its own, with nothing to write to but `/tmp`, told of its unit and of nothing that is in the
/// image. The libraries are this machine's: what tests link is not static.
#[tokio::test]
async fn a_function_runs_as_an_image() {
    let (Some(podman), Some(_)) = (program("podman"), program("runc")) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let stripped = folder.path().join("program");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_depot")));
    let bytes = std::fs::read(&stripped).expect("a program");
    let files = BTreeMap::from([("binding.json".to_owned(), Setup::depot().binding().into_bytes())]);
    write(&folder.path().join("image"), function::layout(&image(&bytes, &BTreeMap::new()), &files).expect("packed"));

    let lambda = Lambda::start().await;
    let mut run = podman_run(&podman, folder.path());
    run.args(["--read-only", "--user=993:990", "--volume=/lib:/lib:ro", "--volume=/lib64:/lib64:ro"]);
    let variables = [
        ("AWS_LAMBDA_RUNTIME_API", lambda.address()),
        ("UPDRAFT_BINDING", "binding.json".to_owned()),
        ("UPDRAFT_UNIT", "plain".to_owned()),
        ("UPDRAFT_RESOURCES", "{}".to_owned()),
    ];
    for (name, value) in variables {
        run.arg(format!("--env={name}={value}"));
    }
    let log = std::fs::File::create(folder.path().join("log")).expect("a file");
    run.stdout(log.try_clone().expect("a file")).stderr(log);
    let container = Container(run.arg("oci:image").spawn().expect("started"));
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/hello/you", "rawQueryString": "", "headers": {},
        "requestContext": { "stage": "$default", "http": {
            "method": "GET", "path": "/hello/you", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7" } },
        "isBase64Encoded": false
    });
    let answer = lambda.invoke(&event).await.answer();
    assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("hello, you")));
    assert_eq!(lambda.extensions(), ["updraft"]);
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert_eq!(container.ends(), Some(0), "it is told of the end: {}", log());
}
