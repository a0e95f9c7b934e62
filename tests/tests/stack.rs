//! The examples' templates, made by MiniStack's CloudFormation.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use std::path::Path;
use std::time::Duration;
use updraft_tests::http::Http;
use updraft_tests::servers::MiniStack;

/// An account, and the bucket of the zip.
struct Account {
    server: MiniStack,
    http: Http,
}

const ZIPS: &str = "zips";

impl Account {
    async fn new() -> Option<Self> {
        let account = Account { server: MiniStack::with("")?, http: Http::one() };
        let bucket = format!("{}/{ZIPS}", account.server.endpoint());
        assert_eq!(account.http.send("PUT", &bucket, &[], "").await.unwrap().status, 200);
        account.upload("app.zip", "no program: nobody runs it here".to_owned()).await;
        Some(account)
    }

    async fn upload(&self, key: &str, body: String) -> String {
        let url = format!("{}/{ZIPS}/{key}", self.server.endpoint());
        let answer = self.http.send("PUT", &url, &[], body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        url
    }

    /// Asks CloudFormation something.
    async fn ask(&self, action: &str, stack: &str, rest: &str) -> String {
        let body = format!("Action={action}&Version=2010-05-15&StackName={stack}{rest}");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.http.send("POST", &format!("{}/", self.server.endpoint()), &form, body).await.unwrap();
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        answer.text()
    }

    /// What becomes of a stack.
    async fn settled(&self, stack: &str) -> String {
        loop {
            let said = self.ask("DescribeStacks", stack, "").await;
            let status = between(&said, "StackStatus").unwrap().to_owned();
            if !status.ends_with("_IN_PROGRESS") {
                let reasons = self.ask("DescribeStackEvents", stack, "").await;
                assert!(!reasons.contains("_FAILED"), "{reasons}");
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes an example's stack; what it tells of itself.
    async fn create(&self, example: &str) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples")
            .join(example)
            .join("expected/aws-lambda/template.json");
        let url = self.upload(&format!("{example}.json"), std::fs::read_to_string(file).unwrap()).await;
        let parameters =
            [("CodeBucketName", ZIPS), ("CodeKey", "app.zip")].into_iter().enumerate().map(|(at, (name, value))| {
                let at = at + 1;
                format!("&Parameters.member.{at}.ParameterKey={name}&Parameters.member.{at}.ParameterValue={value}")
            });
        let rest = format!("&TemplateURL={url}&Capabilities.member.1=CAPABILITY_IAM{}", parameters.collect::<String>());
        self.ask("CreateStack", example, &rest).await;
        assert_eq!(self.settled(example).await, "CREATE_COMPLETE");
        self.ask("DescribeStacks", example, "").await
    }
}

/// What stands in an element.
fn between<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    rest.split_once(&format!("</{element}>")).map(|(text, _)| text)
}

#[tokio::test]
async fn the_library_is_made() {
    let Some(account) = Account::new().await else { return };
    let said = account.create("library").await;
    assert!(said.contains("<OutputKey>ApiUrl</OutputKey>"), "{said}");
}

/// Its database is not the stack's: the stack has a place for its URL.
#[tokio::test]
async fn the_ledger_is_made() {
    let Some(account) = Account::new().await else { return };
    account.create("ledger").await;
    let resources = account.ask("DescribeStackResources", "ledger", "").await;
    for name in ["LedgerDatabaseUrl", "LedgerOutboxTick"] {
        assert!(resources.contains(&format!("<LogicalResourceId>{name}</LogicalResourceId>")), "{resources}");
    }
}

/// A stack that is deleted leaves what it kept; a new one is another, and does not meet it.
#[tokio::test]
async fn what_the_shop_keeps_stays() {
    let Some(account) = Account::new().await else { return };
    let bucket = |said: &str| {
        let (_, rest) = said.split_once("<OutputKey>ReportsBucket</OutputKey>").unwrap();
        between(rest, "OutputValue").unwrap().to_owned()
    };
    let first = bucket(&account.create("shop").await);
    let url = format!("{}/{first}/kept", account.server.endpoint());
    assert_eq!(account.http.send("PUT", &url, &[], "it").await.unwrap().status, 200);
    account.ask("DeleteStack", "shop", "").await;
    while account.ask("ListStacks", "shop", "").await.contains("_IN_PROGRESS") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(account.http.send("GET", &url, &[], "").await.unwrap().text(), "it");
    let second = bucket(&account.create("shop").await);
    assert_ne!(first, second);
}
