//! The shop, deployed: the compiler's template, the linked program, a mailer outside.

use super::account::{Account, REGION, Stack};
use super::deployed::{allow_batches, deploy, update, zip};
use crate::cargo::{updraft, workspace};
use crate::cluster::Outside;
use crate::http::Answer;
use crate::shop::{PATIENCE, shop};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use updraft_aws_lambda::{AwsLambda, TEMPLATE};
use updraft_driver::world::{Crate, Extern};
use updraft_driver::{Program, Request, World};
use updraft_model::{Artifacts, Sink, Target, ZERO_DIGEST};
use updraft_wire::aws::{BINDING_FILE, parameter};

const NAME: &str = "shop";
/// Where the environment `emulator` has its mailer.
const MAILER: u16 = 9925;

/// The shop in an account of its own.
pub struct DeployedShop {
    /// The account.
    pub account: Account,
    /// Its stack.
    pub stack: Stack,
    /// What its letters are sent by.
    pub mailer: Arc<Outside>,
}

impl DeployedShop {
    /// Deploys it with a function for each handler; `None` if MiniStack is not installed. Its secrets have no values yet.
    pub async fn open() -> Option<Self> {
        Self::open_with("[placement]\ndefault = \"handler\"\n").await
    }

    /// The same with these settings beside its own.
    ///
    /// # Panics
    /// If the stack can't be made.
    pub async fn open_with(settings: &str) -> Option<Self> {
        let artifacts = artifacts(settings);
        let account = Account::open()?;
        let mailer = Outside::listen().await;
        let zip = zip(&shop(), binding(&artifacts, &mailer.url()).to_string().as_bytes());
        let stack = deploy(&account, NAME, artifact(&artifacts, TEMPLATE), zip).await;
        Some(DeployedShop { account, stack, mailer })
    }

    /// Deploys it anew, each function with so much memory, in MB: another version of each.
    pub async fn with_memory(&self, memory: u32) {
        let artifacts = artifacts(&format!("[target.aws-lambda.functions]\nmemory = {memory}\n"));
        update(&self.account, NAME, artifact(&artifacts, TEMPLATE)).await;
    }

    /// Lets its buckets take what does not come by TLS, which there is none of here.
    ///
    /// # Panics
    /// If S3 refuses.
    pub async fn without_tls(&self) {
        for bucket in self.stack.of_type("AWS::S3::Bucket").map(|logical| self.stack.physical(logical)) {
            let gone = self.account.send("s3", "DELETE", &format!("/{bucket}?policy"), &[], "").await;
            assert_eq!(gone.status, 204, "{bucket}: {}", gone.text());
        }
    }

    /// Builds it as it is released and deploys it, both by the command, for the environment `emulator` of its settings.
    ///
    /// # Panics
    /// If the command fails.
    pub async fn deployed() -> Option<Self> {
        let account = Account::open()?;
        let mailer = Outside::listen_at(MAILER).await;
        let mut command = Command::new(updraft());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.args(["deploy", "-p", "shop", "--target", "aws-lambda", "--env", "emulator", "--yes"]);
        command.envs(account.variables()).current_dir(workspace());
        let output = command.output().expect("the command");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stack = account.stack("shop-emulator").await;
        for role in stack.of_type("AWS::IAM::Role").map(|logical| stack.physical(logical)) {
            let mut policy = account.policy(role).await;
            allow_batches(&mut policy["Statement"]);
            account.set_policy(role, &policy).await;
        }
        Some(DeployedShop { account, stack, mailer })
    }

    /// Puts values into its secrets.
    pub async fn put_secrets(&self) {
        for (logical, value) in [("AdminKeySecret", "admin-key"), ("MailerKeySecret", "mail-key")] {
            let content = json!({ "SecretId": self.stack.physical(logical), "SecretString": value,
                "ClientRequestToken": format!("{:0>36}", logical.len()) });
            self.account.json("secretsmanager", "secretsmanager.PutSecretValue", &content).await;
        }
    }

    /// The same where they are parameters.
    pub async fn put_parameters(&self) {
        for (logical, value) in [("AdminKeySecret", "admin-key"), ("MailerKeySecret", "mail-key")] {
            let content = json!({ "Name": parameter(NAME, logical), "Value": value, "Type": "SecureString" });
            self.account.json("ssm", "AmazonSSM.PutParameter", &content).await;
        }
    }

    /// Sends a request through its API.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_as("admin-key", method, path, body.map(|body| body.to_string()).unwrap_or_default()).await
    }

    /// The same with another key of the admin's.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask_as(&self, key: &str, method: &str, path: &str, body: String) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        self.account.ask(&self.stack, method, path, &headers, body).await
    }

    /// What its functions wrote.
    pub async fn logs(&self) -> String {
        let mut all = String::new();
        for group in self.stack.of_type("AWS::Logs::LogGroup") {
            let ask = json!({ "logGroupName": self.stack.physical(group) });
            let said = self.account.json("logs", "Logs_20140328.FilterLogEvents", &ask).await;
            let events = said["events"].as_array().into_iter().flatten();
            let lines: Vec<&str> = events.filter_map(|event| event["message"].as_str()).collect();
            all += &format!("== {group}\n{}\n", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
        all
    }

    /// Places an order.
    ///
    /// # Panics
    /// If it is not taken.
    pub async fn place(&self, id: &str, quantity: u32) {
        let order = json!({"id": id, "sku": "teapot", "quantity": quantity});
        let answer = self.ask("POST", "/orders", Some(order)).await;
        assert!(answer.status == 202, "{}\n{}", answer.text(), self.logs().await);
        assert_eq!(answer.json(), json!({"id": id, "status": "placed"}));
    }

    /// Waits until an order has come so far.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn stands_at(&self, id: &str, status: &str) {
        let started = Instant::now();
        loop {
            let answer = self.ask("GET", &format!("/orders/{id}"), None).await;
            assert!(answer.status == 200, "{}\n{}", answer.text(), self.logs().await);
            if answer.json()["status"] == status {
                return;
            }
            let late = started.elapsed() > PATIENCE;
            assert!(!late, "{id} is {}, not {status}\n{}", answer.text(), self.logs().await);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// The ARN of a queue.
    pub fn queue_arn(&self, logical: &str) -> String {
        let url = self.stack.physical(logical);
        let mut parts = url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("arn:aws:sqs:{REGION}:{account}:{name}")
    }

    /// The logical id that begins and ends so: between them stands a hash.
    ///
    /// # Panics
    /// If there is none.
    pub fn logical(&self, start: &str, end: &str) -> &str {
        let mut found = self.stack.resources.keys().filter(|name| name.starts_with(start) && name.ends_with(end));
        found.next().unwrap_or_else(|| panic!("no {start}…{end}"))
    }
}

/// The shop's folder; its settings with these added.
struct Set<'a>(&'a str);

impl World for Set<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = std::fs::read(workspace().join(path))?;
        if path.ends_with("Updraft.toml") {
            bytes.push(b'\n');
            bytes.extend(self.0.bytes());
        }
        Ok(bytes)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(workspace().join(folder))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

/// What the target makes of the shop with these settings added.
fn artifacts(settings: &str) -> Artifacts {
    let externs: BTreeMap<String, Extern> = [
        ("updraft".to_owned(), Extern::Updraft),
        ("audit".to_owned(), Extern::Crate(1)),
        ("shop".to_owned(), Extern::Crate(2)),
    ]
    .into();
    let krate = |name: &str, dir: &str, root: &str| Crate {
        name: name.to_owned(),
        package: name.to_owned(),
        dir: dir.to_owned(),
        root: format!("{dir}/src/{root}.rs"),
        edition: 2024,
        features: BTreeSet::new(),
        externs: externs.clone(),
    };
    let crates = vec![
        krate("shop", "examples/shop", "main"),
        krate("audit", "examples/shop/audit", "lib"),
        krate("shop", "examples/shop", "lib"),
    ];
    let dir = "examples/shop".to_owned();
    let program = Program { package: "shop".to_owned(), dir, crates, cfg: BTreeSet::new() };
    let request = Request { env: None, target: Some(&AwsLambda) };
    let checked = updraft_driver::check(&program, &request, &Set(settings));
    assert!(!checked.has_errors(), "{:#?}", checked.diagnostics);
    let plan = updraft_driver::plan::plan(&checked, String::new(), ZERO_DIGEST.to_owned());
    AwsLambda.compile(&plan, &mut Sink::default()).expect("what was checked")
}

fn artifact(artifacts: &Artifacts, name: &str) -> Value {
    serde_json::from_slice(&artifacts.get(name).expect("a file").bytes).expect("JSON")
}

/// The binding; the mailer is where it says.
fn binding(artifacts: &Artifacts, mailer: &str) -> Value {
    let mut binding = artifact(artifacts, BINDING_FILE);
    binding["resources"]["external"]["mailer"]["base_url"] = mailer.into();
    binding
}
