//! A function for the other architecture that Lambda has: built by the command itself, with GNU's cross compiler, and run by
//! qemu. Only where both are there, and rustc's library for it: the rest of what these tests show does not need them.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "helpers of tests, which read files and say what is skipped"
)]

use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use updraft_tests::cargo::{updraft, workspace};
use updraft_tests::lambda::Lambda;
use updraft_tests::servers::optional;

/// Whether rustc has its library for a target.
fn compiles_for(triple: &str) -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", triple]).output().unwrap();
    let there = Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_dir();
    if !there {
        eprintln!("SKIPPED: rustc has no library for {triple}");
    }
    there
}

/// Whether a C compiler has the library that a static program needs.
fn links_with(gcc: &Path) -> bool {
    let asked = Command::new(gcc).arg("-print-file-name=libc.a").output().unwrap();
    // Only a name, where it knows of no such file.
    let there = Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_file();
    if !there {
        eprintln!("SKIPPED: {} has no libc.a", gcc.display());
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_for_arm_answers() {
    let (Some(gcc), Some(qemu)) = (optional("aarch64-linux-gnu-gcc"), optional("qemu-aarch64")) else { return };
    if !compiles_for("aarch64-unknown-linux-gnu") || !links_with(&gcc) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let built = Command::new(updraft())
        .args(["build", "-p", "deployed", "--target", "aws-lambda", "--env", "arm64", "--quiet", "--out"])
        .arg(folder.path())
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let zip = std::fs::read(folder.path().join("code.zip")).unwrap();
    let (program, _) = updraft_image::zip::open(&zip).unwrap();
    assert_eq!((&program[..4], program[18]), (&b"\x7fELF"[..], 0xb7), "an ELF file for AArch64");
    let bootstrap = folder.path().join("bootstrap");
    std::fs::write(&bootstrap, program).unwrap();
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();

    let lambda = Lambda::start().await;
    let mut function = Command::new(qemu)
        .arg(&bootstrap)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", lambda.address())
        .env("LAMBDA_TASK_ROOT", folder.path())
        .env("UPDRAFT_BINDING", "binding.json")
        .env("UPDRAFT_UNIT", "deployed-take")
        .env("UPDRAFT_RESOURCES", json!({ "queue/inbox": "http://127.0.0.1:9/1/inbox" }).to_string())
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKID")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = |method: &str, path: &str, body: &str| {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": { "host": "api.example.org", "content-type": "application/json" },
            "requestContext": { "stage": "$default", "http": { "method": method, "path": path, "sourceIp": "192.0.2.1" } },
            "body": body, "isBase64Encoded": false,
        })
    };
    let unknown = lambda.invoke(&request("GET", "/nowhere", "")).await.answer();
    // Its queue can't be reached: that is said, and the next event is served.
    let away = lambda.invoke(&request("POST", "/notes", r#"{ "id": "a", "text": "b" }"#)).await.answer();
    let wrong = lambda.invoke(&request("POST", "/notes", "{")).await.answer();
    function.kill().unwrap();
    function.wait().unwrap();
    assert_eq!(
        [&unknown, &away, &wrong].map(|answer| answer["statusCode"].as_u64()),
        [Some(404), Some(503), Some(400)]
    );
}
