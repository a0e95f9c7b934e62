//! `dead-letters --target aws-lambda`, through the command itself: the shop's poison messages, in its stack's queues of SQS.

use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;
use updraft_tests::aws::DeployedShop;
use updraft_tests::cargo::{updraft, workspace};
use updraft_tests::shop::PATIENCE;

/// How a command ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: Value,
    err: String,
}

/// Runs the command as whoever these variables name.
async fn run(variables: &[(&'static str, String)], arguments: &[&str]) -> Said {
    let mut command = Command::new(updraft());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().cloned()).env("AWS_EC2_METADATA_DISABLED", "true").current_dir(workspace());
    command.arg("dead-letters").args(arguments).args(["-p", "shop", "--target", "aws-lambda", "--stack", "shop"]);
    command.args(["--message-format", "json"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a task").expect("the command");
    let out = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Said { code: output.status.code(), out, err: String::from_utf8_lossy(&output.stderr).into_owned() }
}

async fn root(shop: &DeployedShop, arguments: &[&str]) -> Said {
    run(&shop.account.variables(), arguments).await
}

async fn letters(shop: &DeployedShop, arguments: &[&str]) -> Vec<Value> {
    let said = root(shop, &[&["list"], arguments].concat()).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out["letters"].as_array().unwrap_or_else(|| panic!("{said:?}")).clone()
}

/// Waits until there are so many.
async fn wait_for(shop: &DeployedShop, many: usize, arguments: &[&str]) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let all = letters(shop, arguments).await;
        if all.len() == many {
            return all;
        }
        assert!(started.elapsed() < PATIENCE, "{all:#?}");
    }
}

const SHIP: [&str; 2] = ["--handler", "shop::orders::ship"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_shown_and_redriven() {
    let Some(shop) = DeployedShop::open().await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    let count = shop.ask("PUT", "/admin/stock/teapot", Some(json!({"left": 10}))).await;
    assert_eq!(count.status, 200, "{}", count.text());
    shop.place("poison", 1_000_000).await;
    shop.stands_at("poison", "failed").await;

    let letter = wait_for(&shop, 1, &[]).await.remove(0);
    let text = |name: &str| letter[name].as_str().unwrap_or_else(|| panic!("{letter}")).to_owned();
    assert_eq!(
        (text("handler"), text("resource"), text("kind")),
        (SHIP[1].into(), "orders".into(), "permanent".into())
    );
    assert!(text("reason").contains("are more than there are"), "{letter}");
    assert_eq!(letter["attempts"], 1);
    assert_eq!(
        letters(&shop, &["--resource", "orders"]).await,
        std::slice::from_ref(&letter),
        "whoever looks takes nothing"
    );
    assert!(letters(&shop, &["--older-than", "1h"]).await.is_empty());
    let id = text("id");
    let shown = root(&shop, &["show", &id]).await.out;
    assert_eq!((&shown["headers"]["ce-id"], &shown["headers"]["ce-type"]), (&json!(id), &json!("shop.queue.orders")));
    assert_eq!(shown["headers"]["ce-source"], "//shop/shop::orders::place_order", "{shown}");

    // Redriven in vain it is another letter of the same message, whose attempts began anew.
    let first = text("last");
    let redriven = root(&shop, &["redrive", &id]).await;
    assert_eq!((redriven.code, &redriven.out), (Some(0), &json!({ "done": 1, "failed": [] })), "{redriven:?}");
    let again = wait_for(&shop, 1, &SHIP).await.remove(0);
    assert!(again["last"].as_str() > Some(first.as_str()), "{again}");
    assert_eq!((&again["id"], &again["attempts"]), (&json!(id), &json!(1)));
    let mut headers = root(&shop, &["show", &id]).await.out;
    assert_eq!((headers["headers"].take(), headers["body"].take()), (shown["headers"].clone(), shown["body"].clone()));

    // All of them are each redriven once, though it is in vain and the letter may be there again at once.
    let all = root(&shop, &["redrive", "--all"]).await;
    assert_eq!((all.code, &all.out["done"]), (Some(0), &json!(1)), "{all:?}");
    wait_for(&shop, 1, &SHIP).await;

    // Who may not send keeps the letter where it is.
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Resource": "*", "Action": [
        "cloudformation:*", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
        "sqs:ChangeMessageVisibilityBatch", "sqs:GetQueueAttributes"] }] });
    let reader = shop.account.user("reader", &policy).await;
    let refused = run(&reader, &["redrive", "--all"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let reason = refused.out["failed"][0]["reason"].as_str().unwrap_or_else(|| panic!("{refused:?}"));
    assert!(reason.contains("sqs:SendMessage"), "{reason}");
    assert_eq!(letters(&shop, &[]).await.len(), 1);

    // With enough on the shelf it is shipped.
    let count = shop.ask("PUT", "/admin/stock/teapot", Some(json!({"left": 1_000_000}))).await;
    assert_eq!(count.status, 200, "{}", count.text());
    let redriven = root(&shop, &["redrive", "--all", "--resource", "orders"]).await;
    assert_eq!((redriven.code, &redriven.out["done"]), (Some(0), &json!(1)), "{redriven:?}");
    shop.stands_at("poison", "shipped").await;
    assert!(letters(&shop, &[]).await.is_empty());
    let gone = root(&shop, &["redrive", &id]).await;
    assert_eq!(gone.code, Some(2), "{gone:?}");
}

/// Puts messages among a handler's dead letters, as SQS does that gives them up.
async fn bury(shop: &DeployedShop, handler: &str, many: usize, body: &Value) {
    let url = shop.stack.physical(shop.logical(handler, "DeadLetters"));
    for number in 0..many {
        let metadata = json!({ "id": format!("m{number}"), "source": "", "time": "2026-11-26T00:00:00Z" });
        let mut message = json!({ "QueueUrl": url, "MessageBody": body.to_string(), "MessageAttributes": {
            "updraft": { "DataType": "String", "StringValue": metadata.to_string() } } });
        if url.ends_with(".fifo") {
            message["MessageGroupId"] = "one".into();
            message["MessageDeduplicationId"] = number.to_string().into();
        }
        shop.account.json("sqs", "AmazonSQS.SendMessage", &message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_several_handlers_and_of_queues_in_order() {
    let Some(shop) = DeployedShop::open().await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    let shipment = json!({"order": "1", "sku": "teapot", "quantity": 1});
    bury(&shop, "AuditRecord", 25, &shipment).await;
    bury(&shop, "ShopMailEmailCustomer", 1, &shipment).await;
    let page = root(&shop, &["list", "--limit", "20"]).await.out;
    let next = page["next"].as_str().unwrap_or_else(|| panic!("{page}"));
    assert_eq!(
        (page["letters"].as_array().map(Vec::len), letters(&shop, &["--from", next]).await.len()),
        (Some(20), 6)
    );
    let several = root(&shop, &["drop", "m0"]).await;
    assert_eq!(several.code, Some(2), "{several:?}");
    assert!(several.err.contains("say which with --handler"), "{several:?}");
    assert_eq!(root(&shop, &["drop", "m0", "--handler", "audit::record"]).await.out["done"], 1);
    assert_eq!(letters(&shop, &[]).await.len(), 25, "no other");
    assert_eq!(root(&shop, &["redrive", "--all", "--handler", "audit::record"]).await.out["done"], 24);
    let trail = shop.stack.physical("TrailBucket");
    let started = Instant::now();
    while shop.account.get(trail, "shipments/1.txt").await.is_none() {
        assert!(started.elapsed() < PATIENCE);
    }
    assert_eq!(letters(&shop, &[]).await.len(), 1, "of the mail");

    // A schedule's queue keeps order: ten of a group are shown, and the others once those are gone.
    let tick = json!({"updraft": {"schedule": {"handler": "shop::reports::nightly_report", "scheduled": "2026-11-23T02:00:00Z", "attempt": "1"}}});
    bury(&shop, "ShopReportsNightlyReport", 12, &tick).await;
    let nightly = ["--handler", "shop::reports::nightly_report"];
    let shown = root(&shop, &[&["list"], &nightly[..]].concat()).await.out;
    assert_eq!((shown["letters"].as_array().map(Vec::len), &shown["unseen"]), (Some(10), &json!(2)), "{shown}");
    let redriven = root(&shop, &[&["redrive", "--all"], &nightly[..]].concat()).await.out;
    assert_eq!(redriven, json!({ "done": 12, "failed": [] }));
    let reports = shop.stack.physical("ReportsBucket");
    let started = Instant::now();
    while shop.account.get(reports, "stock/2026-11-23.csv").await.is_none() {
        assert!(started.elapsed() < PATIENCE);
    }
}
