//! Code that is an image: pushed into a repository, named by its digest, gone back to as a zip is.

use super::{Account, PLAIN, Said, pipeline, said, updraft, workspace, zip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use updraft_image::{Architecture, Image, function, zip::open};
use updraft_tests::aws;
use updraft_tests::servers::program;

/// The folder that `build` writes for an application with these features, in a place of the test's own.
fn image(account: &Account, features: &str) -> PathBuf {
    let (program, files) = open(&std::fs::read(zip(features)).unwrap()).unwrap();
    let binding: Value = serde_json::from_slice(&files["binding.json"]).unwrap();
    let labels = BTreeMap::from([
        ("org.opencontainers.image.title".to_owned(), "deployed".to_owned()),
        ("dev.updraft.graph".to_owned(), binding["graph"].as_str().unwrap().to_owned()),
    ]);
    let packed = Image { program: &program, architecture: Architecture::Amd64, labels: &labels };
    let packed = function::layout(&packed, &files).unwrap();
    let folder = account.home.path().join(format!("image-{features}"));
    for (path, bytes) in packed.files {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    folder
}

/// An account with a registry.
struct Images(Account);

impl Deref for Images {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.0
    }
}

impl Images {
    fn new() -> Option<Self> {
        Account::new().map(Images)
    }

    /// A command about the stack whose code may be either.
    fn of_images(&self, arguments: &[&str], features: &str) -> Said {
        let mut command = self.command(arguments);
        command.args(["--env", "image", "--stack", "deployed", "--features", features]);
        if arguments[0] == "deploy" || arguments[0] == "diff" {
            command.arg("--code").arg(image(self, features));
        }
        said(&mut command)
    }

    fn ecr(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
        serde_json::from_str(&self.send("POST", "", "ecr", &headers, body.to_string())).unwrap()
    }

    /// What the stack's functions run: each one's code.
    fn codes(&self) -> Vec<Value> {
        let functions: Value =
            serde_json::from_str(&self.send("GET", "2015-03-31/functions", "lambda", &[], String::new())).unwrap();
        let names = functions["Functions"].as_array().unwrap().iter().map(|one| one["FunctionName"].as_str().unwrap());
        let of = |name: &str| {
            let path = format!("2015-03-31/functions/{name}");
            serde_json::from_str::<Value>(&self.send("GET", &path, "lambda", &[], String::new())).unwrap()["Code"]
                .clone()
        };
        names.map(of).collect()
    }
}

#[test]
fn an_image_is_deployed_as_a_zip_is() {
    let Some(account) = Images::new() else { return };
    account.deploy(PLAIN, &["--yes"]).ends(0);
    let zipped = account.version();

    // What is proposed pushes nothing, and makes no repository.
    let before = account.of_images(&["diff"], PLAIN).ends(0).object("plan");
    assert_eq!(account.ecr("DescribeRepositories", &json!({}))["repositories"], json!([]));
    let deployed = account.of_images(&["deploy", "--yes"], PLAIN).ends(0);
    assert!(deployed.err.contains("Made the repository updraft/deployed"), "{}", deployed.err);
    assert!(deployed.err.contains("Uploaded image "), "{}", deployed.err);
    assert_eq!(deployed.object("plan"), before);
    let version = account.version();
    assert!(version != zipped && deployed.object("deployed")["version"] == version);

    let made = account.ecr("DescribeRepositories", &json!({}))["repositories"][0].clone();
    assert_eq!(made["imageTagMutability"], "IMMUTABLE");
    assert_eq!(made["imageScanningConfiguration"]["scanOnPush"], true);
    let images = account.ecr("DescribeImages", &json!({ "repositoryName": "updraft/deployed" }));
    let digest = images["imageDetails"][0]["imageDigest"].as_str().unwrap();
    assert_eq!(images["imageDetails"][0]["imageTags"], json!([digest.rsplit(':').next()]), "{images}");
    let address = format!("{}@{digest}", made["repositoryUri"].as_str().unwrap());
    let codes = account.codes();
    assert!(!codes.is_empty() && codes.iter().all(|code| code["ImageUri"] == *address), "{codes:?}");

    // Once there it is found again, and another version is another image.
    let again = account.of_images(&["deploy", "--yes"], PLAIN).ends(0);
    assert_eq!(again.object("deployed")["changed"], false);
    assert!(!again.err.contains("Uploaded") && !again.err.contains("Made"), "{}", again.err);
    account.of_images(&["deploy", "--yes"], "more").ends(0);
    let images = account.ecr("DescribeImages", &json!({ "repositoryName": "updraft/deployed" }));
    assert_eq!(images["imageDetails"].as_array().unwrap().len(), 2);

    account.of_images(&["rollback", "--yes"], PLAIN).ends(0);
    assert_eq!(account.version(), version);
    // Back to what was no image.
    account.of_images(&["rollback", zipped.as_str().unwrap(), "--yes"], PLAIN).ends(0);
    assert_eq!(account.version(), zipped);
    assert!(account.codes().iter().all(|code| code["ImageUri"].is_null()));
    // And to one that is gone.
    let gone = json!({ "repositoryName": "updraft/deployed", "imageIds": [{ "imageDigest": digest }] });
    account.ecr("BatchDeleteImage", &gone);
    let gone = account.of_images(&["rollback", version.as_str().unwrap(), "--yes"], PLAIN).ends(3);
    assert!(gone.err.contains("updraft/deployed holds sha256:"), "{}", gone.err);
}

/// Of several stacks, each kind of code has parts of its own, and requests go from these to those.
#[test]
fn parts_turn_into_parts_of_an_image_and_back() {
    let Some(account) = Images::new() else { return };
    let run = |arguments: &[&str], env: &str, code: PathBuf| {
        let mut command = account.command(arguments);
        if arguments[0] == "deploy" {
            command.arg("--code").arg(code);
        }
        said(command.args(["--env", env])).ends(0)
    };
    let zipped = run(&["deploy", "--yes"], "parts", zip(PLAIN));
    let imaged = run(&["deploy", "--yes"], "imaged", image(&account, PLAIN));
    let parts = |env: &str| {
        let status = run(&["status"], env, PathBuf::new()).object("status");
        let parts = status["parts"].as_array().unwrap().iter().map(|part| part["stack"].as_str().unwrap().to_owned());
        (status["version"].clone(), parts.collect::<Vec<_>>())
    };
    let both = ["deployed-deployed--image".to_owned(), "deployed-deployed-kept--image".to_owned()].to_vec();
    assert_eq!(parts("imaged"), (imaged.object("deployed")["version"].clone(), both));
    assert!(account.codes().iter().all(|code| code["ImageUri"].is_string()), "{:?}", account.codes());
    let again = run(&["deploy", "--yes"], "imaged", image(&account, PLAIN));
    assert_eq!(again.object("deployed")["changed"], false, "{}", again.err);
    run(&["rollback", "--yes"], "imaged", PathBuf::new());
    let both = ["deployed-deployed".to_owned(), "deployed-deployed-kept".to_owned()].to_vec();
    assert_eq!(parts("parts"), (zipped.object("deployed")["version"].clone(), both));
    assert!(account.codes().iter().all(|code| code["ImageUri"].is_null()), "{:?}", account.codes());
}

/// What a registry holds is what was built, by another's word.
#[test]
fn a_pushed_image_is_fetched_as_it_was() {
    let (Some(account), Some(skopeo)) = (Images::new(), program("skopeo")) else { return };
    account.of_images(&["deploy", "--yes"], PLAIN).ends(0);
    let here: Value =
        serde_json::from_slice(&std::fs::read(image(&account, PLAIN).join("index.json")).unwrap()).unwrap();
    let digest = here["manifests"][0]["digest"].as_str().unwrap();
    let copy = account.home.path().join("copy");
    let host = account.endpoint().trim_start_matches("http://").to_owned();
    let mut fetch = Command::new(skopeo);
    fetch.args(["copy", "--insecure-policy", "--src-tls-verify=false", "--preserve-digests"]);
    fetch.arg(format!("docker://{host}/updraft/deployed@{digest}")).arg(format!("oci:{}", copy.display()));
    let fetched = fetch.output().unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let there: Value = serde_json::from_slice(&std::fs::read(copy.join("index.json")).unwrap()).unwrap();
    assert_eq!(there["manifests"][0]["digest"], digest);
}

/// Whoever names a repository has one; and what is not `build`'s is not pushed.
#[test]
fn what_can_not_be_pushed_is_refused() {
    let Some(account) = Images::new() else { return };
    let folder = image(&account, PLAIN);
    let mut command = account.command(&["deploy", "--yes", "--env", "named", "--stack", "deployed"]);
    let absent = said(command.arg("--code").arg(&folder)).ends(3);
    assert!(absent.err.contains("there is no repository team/deployed"), "{}", absent.err);
    assert!(absent.err.contains("was left as it is"), "{}", absent.err);
    account.ecr("CreateRepository", &json!({ "repositoryName": "team/deployed" }));
    said(&mut command).ends(0);
    let images = account.ecr("DescribeImages", &json!({ "repositoryName": "team/deployed" }));
    assert_eq!(images["imageDetails"].as_array().unwrap().len(), 1);

    let with = |path: PathBuf| {
        let mut command = account.command(&["deploy", "--yes", "--env", "image", "--stack", "deployed"]);
        said(command.arg("--code").arg(path))
    };
    let zipped = with(zip(PLAIN)).ends(2);
    assert!(zipped.err.contains("functions' code is an image"), "{}", zipped.err);
    with(image(&account, "more")).ends(1); // another program's
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    std::fs::write(folder.join("blobs").join(manifest), "{}").unwrap();
    let damaged = with(folder).ends(2);
    assert!(damaged.err.contains("can't be deployed"), "{}", damaged.err);
}

/// The template of a preview, in a folder of the test's own.
fn template(account: &Account) -> Vec<u8> {
    let folder = account.home.path().join("preview");
    let mut build = Command::new(updraft());
    build.args([
        "build",
        "-p",
        "deployed",
        "--target",
        "aws-lambda",
        "--preview",
        "--quiet",
        "--env",
        "image",
        "--out",
    ]);
    assert!(build.arg(&folder).current_dir(workspace()).status().unwrap().success());
    std::fs::read(folder.join("template.json")).unwrap()
}

/// A pipeline may do all of it, and nothing with another's images.
#[test]
fn the_rights_of_a_pipeline_with_images_are_enough() {
    let (Some(account), Some(guarded)) = (Images::new(), aws::Account::open()) else { return };
    let variables = pipeline(&guarded, &template(&account), &[]);
    let run = |arguments: &[&str], env: &str, features: &str| {
        let mut command = account.command(arguments);
        command.args(["--env", env, "--stack", "deployed", "--features", features]).envs(variables.clone());
        if arguments[0] == "deploy" {
            command.arg("--code").arg(image(&account, features));
        }
        said(&mut command)
    };
    run(&["deploy", "--yes"], "image", PLAIN).ends(0);
    run(&["deploy", "--yes"], "image", "more").ends(0);
    run(&["rollback", "--yes"], "image", PLAIN).ends(0);
    let other = run(&["deploy", "--yes"], "named", PLAIN).ends(3);
    assert!(other.err.contains("AWS does not let you ecr:DescribeImages"), "{}", other.err);
    run(&["remove", "--yes"], "image", PLAIN).ends(0);
}
