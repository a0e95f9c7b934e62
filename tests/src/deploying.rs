//! `deploy` and its kin, run as commands against MiniStack.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]

use crate::aws;
use crate::cargo::{built, updraft, workspace};
use crate::http::Http;
use crate::servers::{self, MiniStack};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use tempfile::TempDir;
use updraft_aws_deploy::{Deployer, Issuer};

/// Where the account is.
pub const REGION: &str = "eu-central-1";
/// What a version is made of that brings nothing.
pub const PLAIN: &str = "";

/// Zips of the application with these features, each made once.
pub fn zip(features: &str) -> PathBuf {
    zip_for(features, &[])
}

/// The same for an environment that more arguments name.
pub fn zip_for(features: &str, more: &[&str]) -> PathBuf {
    static ZIPS: LazyLock<(TempDir, Mutex<BTreeMap<String, PathBuf>>)> =
        LazyLock::new(|| (tempfile::tempdir().unwrap(), Mutex::default()));
    let (folder, made) = &*ZIPS;
    let mut made = made.lock().unwrap();
    let what = [&[features], more].concat().join("-");
    if let Some(path) = made.get(&what) {
        return path.clone();
    }
    let own = folder.path().join(format!("with-{what}"));
    std::fs::create_dir_all(&own).unwrap();
    let runtime = ["lambda", "sqs", "sns", "dynamodb", "secrets-manager"].map(|engine| format!(",updraft/{engine}"));
    let linked =
        built("deployed", &["--package", "deployed", "--features", &(features.to_owned() + &runtime.concat())]);
    let preview =
        ["build", "-p", "deployed", "--target", "aws-lambda", "--preview", "--quiet", "--features", features, "--out"];
    let status = Command::new(updraft()).args(preview).arg(&own).args(more).current_dir(workspace()).status().unwrap();
    assert!(status.success());
    let package = aws::zip(&linked, &std::fs::read(own.join("binding.json")).unwrap());
    let path = own.join("code.zip");
    std::fs::write(&path, package).unwrap();
    made.insert(what, path.clone());
    path
}

/// An account of MiniStack's.
pub struct Account {
    server: MiniStack,
    /// A folder of its own.
    pub home: TempDir,
}

/// How a command ended.
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// It ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// The object of this reason among its lines.
    #[track_caller]
    pub fn object(&self, reason: &str) -> Value {
        let mut objects = self.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.find(|object| object["reason"] == reason).unwrap_or_else(|| panic!("no {reason}: {}", self.out))
    }

    /// Codes of its diagnostics.
    pub fn codes(&self) -> Vec<String> {
        let objects = self.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.filter_map(|object| object["code"].as_str().map(str::to_owned)).collect()
    }
}

impl Account {
    /// A fresh one; `None` if this machine has none to offer.
    pub fn new() -> Option<Self> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            servers::absent("Linux on x86-64, which `tests/deployed` is for");
            return None;
        }
        Some(Account { server: MiniStack::with("")?, home: tempfile::tempdir().unwrap() })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// A command with nothing of this machine's own configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(updraft());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env(name, self.home.path().join(name));
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", self.server.endpoint());
        command.env("AWS_REGION", REGION).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.args(arguments).args(["-p", "deployed", "--target", "aws-lambda", "--message-format", "json"]);
        command.current_dir(workspace()).stdin(Stdio::null());
        command
    }

    /// `deploy` of the application with these features.
    pub fn deploy_command(&self, features: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["deploy", "--features", features]);
        command.arg("--code").arg(zip(features)).args(more);
        command
    }

    /// Runs a command of the application's.
    pub fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// `diff` of the application with these features.
    pub fn diff(&self, features: &str) -> Said {
        said(self.command(&["diff", "--features", features]).arg("--code").arg(zip(features)))
    }

    /// What is live.
    pub fn version(&self) -> Value {
        self.run(&["status"]).ends(0).object("status")["version"].clone()
    }

    /// Starts a command and kills it as soon as it says something with this in it, or lets it end if it never does.
    pub fn kill_at(&self, mut command: Command, mark: &str) {
        let log = self.home.path().join("log");
        let file = std::fs::File::create(&log).unwrap();
        let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && !std::fs::read_to_string(&log).unwrap().contains(mark) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks CloudFormation something.
    pub fn ask(&self, action: &str, rest: &str) -> String {
        let body = format!("Action={action}&Version=2010-05-15{rest}");
        let kind = "application/x-www-form-urlencoded";
        self.send("POST", "", "cloudformation", &[("content-type", kind)], body)
    }

    /// Sends a request to a service of the account's, and wants it answered.
    pub fn send(&self, method: &str, path: &str, service: &str, more: &[(&str, &str)], body: String) -> String {
        let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request");
        let headers: Vec<(&str, &str)> = more.iter().copied().chain([("authorization", &*scope)]).collect();
        let url = format!("{}/{path}", self.server.endpoint());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(Http::one().send(method, &url, &headers, body)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// Makes a bucket that is nobody's.
    pub fn make_bucket(&self, name: &str) {
        let region = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        self.send("PUT", name, "s3", &[], region);
    }

    /// What DynamoDB says of a table.
    pub fn describe_table(&self, name: &str) -> String {
        let headers =
            [("x-amz-target", "DynamoDB_20120810.DescribeTable"), ("content-type", "application/x-amz-json-1.0")];
        self.send("POST", "", "dynamodb", &headers, json!({ "TableName": name }).to_string())
    }

    /// A stack that the command did not make, with one resource, until it is what it becomes.
    pub fn create_stack(&self, kind: &str, properties: Value, app: Option<&str>, becomes: &str) {
        let template = json!({ "Resources": { "It": { "Type": kind, "Properties": properties } } }).to_string();
        let template: String = template.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let tag = app.map(|app| format!("&Tags.member.1.Key=updraft%3aapp&Tags.member.1.Value={app}"));
        let rest = format!("&StackName=deployed&TemplateBody={template}{}", tag.unwrap_or_default());
        self.ask("CreateStack", &rest);
        let status = format!("<StackStatus>{becomes}</StackStatus>");
        while !self.ask("DescribeStacks", "&StackName=deployed").contains(&status) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Deploys the application with these features.
    pub fn deploy(&self, features: &str, more: &[&str]) -> Said {
        said(&mut self.deploy_command(features, more))
    }
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let output = command.output().expect("the command");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A policy's texts, as CloudFormation completes them.
fn completed(value: &Value) -> Value {
    match value {
        Value::Object(map) => match map.get("Fn::Sub").and_then(Value::as_str) {
            Some(text) => {
                let text = text.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", REGION);
                text.replace("${AWS::AccountId}", "000000000000").into()
            }
            None => Value::Object(map.iter().map(|(name, value)| (name.clone(), completed(value))).collect()),
        },
        Value::Array(items) => items.iter().map(completed).collect(),
        other => other.clone(),
    }
}

/// The variables of a pipeline with the rights that `ci` writes down for a template, in an account that looks at them.
pub fn pipeline(guarded: &aws::Account, template: &[u8], parts: &[(&str, Vec<u8>)]) -> [(&'static str, String); 3] {
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
    let parts = parts.iter().map(|(name, text)| ((*name).to_owned(), read(text))).collect();
    let template = read(template);
    let deployer = Deployer {
        app: "deployed",
        stack: "deployed",
        bucket: None,
        repository: None,
        template: &template,
        parts: &parts,
        issuer: Issuer::GitHub,
    };
    let role = deployer.template().unwrap();
    let mut policy = completed(&role["Resources"]["Deployer"]["Properties"]["Policies"][0]["PolicyDocument"]);
    // MiniStack does not look which path is asked for, and knows no tags of stacks.
    for statement in policy["Statement"].as_array_mut().unwrap() {
        if statement["Action"] == json!(["ssm:GetParametersByPath"]) {
            statement["Resource"] = json!(["*"]);
        }
        if statement["Sid"] == "PartsThatAreThere" {
            statement.as_object_mut().unwrap().remove("Condition").expect("a tag");
        }
    }
    let policy = policy.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |action: &str, members: &[(&str, &str)]| {
        runtime.block_on(guarded.query("iam", "2010-05-08", action, &[&[("UserName", "ci")], members].concat()))
    };
    ask("CreateUser", &[]);
    ask("PutUserPolicy", &[("PolicyName", "deploy"), ("PolicyDocument", &policy)]);
    let key = ask("CreateAccessKey", &[]);
    let of = |name: &str| aws::between(&key, name).next().unwrap().to_owned();
    [
        ("AWS_ENDPOINT_URL", guarded.endpoint()),
        ("AWS_ACCESS_KEY_ID", of("AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", of("SecretAccessKey")),
    ]
}
