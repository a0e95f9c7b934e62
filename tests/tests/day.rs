//! The same day in the shop, on a laptop, in a cluster and in an account of AWS's however it is placed: what differs is a
//! defect.

use audit::Trail;
use shop::admin::AdminKey;
use shop::mail::{Mailer, MailerKey};
use std::time::Duration;
use updraft::test::App;
use updraft_tests::aws::DeployedShop;
use updraft_tests::day::{Place, Said, day};
use updraft_tests::shop::Shop;

/// The embedded engine, on a clock of its own.
struct Laptop(App);

impl Place for Laptop {
    async fn ask(&self, method: &str, path: &str, key: &str, body: Option<&str>) -> Said {
        let request = self.0.request(method, path).bearer(key).header("content-type", "application/json");
        let answer = request.body(body.unwrap_or_default().to_owned()).await;
        Said::new(answer.status().as_u16(), answer.header("content-type").unwrap_or_default(), answer.text().as_bytes())
    }

    fn key(&self) -> &'static str {
        "letmein"
    }

    fn letters(&self) -> Vec<(String, String)> {
        let key = |headers: &http::HeaderMap| headers["idempotency-key"].to_str().expect("text").to_owned();
        let sent = self.0.requests_to::<Mailer>();
        sent.iter().map(|sent| (key(&sent.headers), String::from_utf8_lossy(&sent.body).into_owned())).collect()
    }

    async fn trail(&self, key: &str) -> Option<Vec<u8>> {
        self.0.bucket::<Trail>().get(key).await.expect("a bucket").map(|blob| blob.body.to_vec())
    }

    async fn dead_letters(&self) -> Vec<(String, String)> {
        self.0.dead_letters().into_iter().map(|letter| (letter.handler, letter.reason)).collect()
    }

    async fn go_on(&self) {
        self.0.advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn on_a_laptop() {
    day(&Laptop(
        updraft::test::app!(shop, audit).secret::<AdminKey>("letmein").secret::<MailerKey>("hush").start().await,
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster() {
    let Some(shop) = Shop::open().await else { return };
    day(&shop).await;
    shop.close().await;
}

async fn in_an_account(placement: &str, functions: usize) {
    let Some(shop) = DeployedShop::open_with(&format!("[placement]\ndefault = \"{placement}\"\n")).await else {
        return;
    };
    shop.put_secrets().await;
    shop.without_tls().await;
    assert_eq!(shop.stack.of_type("AWS::Lambda::Function").count(), functions);
    day(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_account_as_one_function() {
    in_an_account("app", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_account_by_module() {
    in_an_account("module", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_account_by_handler() {
    in_an_account("handler", 9).await;
}

/// By the URL of the one function that has all routes, which streams what it answers.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_account_by_a_functions_url() {
    let settings = "[placement]\ndefault = \"handler\"\n\
        groups.web = [\"shop::admin\", \"shop::orders::place_order\", \"shop::orders::get_order\", \"shop::pricing::get_quote\"]\n\
        [target.aws-lambda]\nhttp = \"function-url\"\n";
    let Some(shop) = DeployedShop::open_with(settings).await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    assert!(shop.stack.outputs["ApiUrl"].contains(".lambda-url."), "{:?}", shop.stack.outputs);
    assert_eq!(shop.stack.of_type("AWS::ApiGatewayV2::Api").count(), 0);
    assert_eq!(shop.stack.of_type("AWS::Lambda::Function").count(), 6);
    day(&shop).await;
}

/// The whole way: compiled, linked, proved, packed, uploaded and deployed by the command.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_account_as_deploy_leaves_it() {
    let Some(shop) = DeployedShop::deployed().await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    day(&shop).await;
}
