//! Other people's programs: `kubernetes-validate`, `checkov`, `cfn-lint`, `parliament`, `kubectl kustomize`. Where one is
//! missing, a test says so and goes on; `UPDRAFT_E2E=required` makes it fail where the gate should have installed the program.

use crate::value::items;
use crate::{Finding, Manifest};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// Says in plain sight that something was not tested.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// Programs that the gate installs; others are asked where a machine happens to have them.
const INSTALLED: [&str; 5] = ["kubernetes-validate", "checkov", "cfn-lint", "cfn-lint-serverless", "parliament"];

/// Says that a program is not there.
///
/// # Errors
/// If it should be.
pub(crate) fn missing(program: &str) -> Result<(), String> {
    if INSTALLED.contains(&program) && std::env::var("UPDRAFT_E2E").as_deref() == Ok("required") {
        return Err(format!("{program} is not installed, and UPDRAFT_E2E=required"));
    }
    skip(&format!("{program} is not installed"));
    Ok(())
}

/// Runs a program; `None`, said in plain sight, if it is not there.
///
/// # Errors
/// If it is there and can't be run, or is not there though `UPDRAFT_E2E=required`.
pub(crate) fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<Option<Output>, String> {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            missing(program)?;
            Ok(None)
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// Writes objects as JSON files, which every reader of YAML reads, and says their names.
///
/// # Errors
/// If the folder can't be written to.
pub fn write(manifests: &[Manifest], folder: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for (at, manifest) in manifests.iter().enumerate() {
        let name = format!("{at:03}-{}-{}.yaml", manifest.kind().to_lowercase(), manifest.name());
        let mut file = std::fs::File::create(folder.join(&name)).map_err(|error| error.to_string())?;
        file.write_all(manifest.value.to_string().as_bytes()).map_err(|error| error.to_string())?;
        names.push(name);
    }
    Ok(names)
}

/// Kubernetes' own kinds against its schemas, with unknown fields refused.
///
/// # Errors
/// If the program can't be run.
pub fn kubernetes_validate(manifests: &[Manifest], folder: &Path) -> Result<Vec<Finding>, String> {
    let own =
        |manifest: &&Manifest| !manifest.api_version().contains("knative.dev") && manifest.kind() != "Kustomization";
    let own: Vec<Manifest> = manifests.iter().filter(own).cloned().collect();
    let names = write(&own, folder)?;
    let mut arguments = vec!["--strict", "--quiet", "--no-warn"];
    arguments.extend(names.iter().map(String::as_str));
    let Some(output) = run("kubernetes-validate", &arguments, folder)? else { return Ok(Vec::new()) };
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(vec![Finding { object: "all".into(), path: String::new(), rule: "external/kubernetes-validate", message: said }])
}

/// What `kubectl kustomize` makes of a folder; `None` if it is not installed.
///
/// # Errors
/// If it refuses the folder.
pub fn kustomize(folder: &Path) -> Result<Option<String>, String> {
    let Some(output) = run("kubectl", &["kustomize", "."], folder)? else { return Ok(None) };
    if output.status.success() {
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Rules that do not apply, each with the reason.
const WAIVED: [(&str, &str); 1] = [(
    "CKV_K8S_29",
    "a pod's securityContext is forbidden in a Knative Service by default; each container has its own",
)];

/// Policies of good workloads, on Services lowered to the Deployments that Serving makes of them.
///
/// # Errors
/// If the program can't be run, or says what can't be read.
pub fn checkov(manifests: &[Manifest], folder: &Path) -> Result<Vec<Finding>, String> {
    let lowered: Vec<Manifest> = manifests.iter().map(deployment).collect();
    write(&lowered, folder)?;
    checkov_in(folder, "kubernetes", &WAIVED.map(|(rule, _)| rule).join(","))
}

/// What checkov says of a folder's files, of one framework.
pub(crate) fn checkov_in(folder: &Path, framework: &str, waived: &str) -> Result<Vec<Finding>, String> {
    let arguments = [
        "--directory",
        ".",
        "--framework",
        framework,
        "--skip-download",
        "--quiet",
        "--compact",
        "--output",
        "json",
        "--skip-check",
        waived,
    ];
    let Some(output) = run("checkov", &arguments, folder)? else { return Ok(Vec::new()) };
    let said = String::from_utf8_lossy(&output.stdout);
    let said: Value = serde_json::from_str(&said).map_err(|error| format!("checkov said {said}: {error}"))?;
    let passed = said["summary"]["passed"].as_u64().unwrap_or_default();
    if passed == 0 {
        return Err(format!("checkov looked at nothing: {said}"));
    }
    let finding = |check: &Value| Finding {
        object: check["resource"].as_str().unwrap_or_default().to_owned(),
        path: check["file_path"].as_str().unwrap_or_default().to_owned(),
        rule: "external/checkov",
        message: format!("{} {}", check["check_id"], check["check_name"]),
    };
    Ok(items(&said["results"]["failed_checks"]).iter().map(finding).collect())
}

/// A Knative Service as a Deployment, so that programs which know only Kubernetes look inside; others as they are.
pub fn deployment(manifest: &Manifest) -> Manifest {
    if !manifest.is_knative_service() {
        return manifest.clone();
    }
    let mut pod = manifest.value["spec"]["template"]["spec"].clone();
    if let Some(pod) = pod.as_object_mut() {
        for field in ["containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"] {
            pod.remove(field);
        }
    }
    let mut labels = manifest.value["spec"]["template"]["metadata"]["labels"].clone();
    labels["serving.knative.dev/service"] = manifest.name().into();
    let value = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": manifest.name(), "namespace": manifest.namespace(), "labels": manifest.value["metadata"]["labels"]},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    Manifest { file: manifest.file.clone(), value }
}
