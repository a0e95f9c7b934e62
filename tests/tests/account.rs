//! The shop in an account of AWS's, as far as one can be had on this machine: the expected template, the linked program, and
//! policies that are enforced.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use updraft_tests::aws::DeployedShop;
use updraft_tests::shop::PATIENCE;
use updraft_wire::aws::events::SCHEDULED;

/// Waits for something.
async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_shipped_mailed_and_audited() {
    let Some(shop) = DeployedShop::open().await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    let count = shop.ask("PUT", "/admin/stock/teapot", Some(json!({"left": 10}))).await;
    assert_eq!((count.status.as_u16(), count.text().as_str()), (200, r#"{"left":10}"#));
    let ids: Vec<String> = (0..8).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        shop.place(id, 1).await;
    }
    shop.place("poison", 1_000_000).await;
    for id in &ids {
        shop.stands_at(id, "shipped").await;
    }
    shop.stands_at("poison", "failed").await;

    // Each is mailed and written down.
    let trail = shop.stack.physical("TrailBucket");
    for id in &ids {
        let mailed =
            async || shop.mailer.sent().into_iter().find(|sent| sent.headers["idempotency-key"] == id.as_str());
        let letter = until(&format!("no letter for {id}"), mailed).await;
        assert_eq!(
            (letter.request.as_str(), &letter.headers["authorization"]),
            ("POST /messages", &"Bearer mail-key".parse().expect("a value"))
        );
        assert!(letter.body.contains(&format!("Your order {id} is on its way")), "{}", letter.body);
        let key = format!("shipments/{id}.txt");
        let written = until(&key, async || shop.account.get(trail, &key).await).await;
        assert_eq!(written, "1 × teapot\n".as_bytes());
    }
    // Eight pieces left the shelf; a quote is another unit's function.
    let price = shop.ask("GET", "/quotes/teapot?quantity=2", None).await;
    assert_eq!((price.status.as_u16(), price.json()), (200, json!({"cents": 2 * 1_990})));
    assert_eq!(shop.ask("GET", "/quotes/teapot?quantity=3", None).await.status, 409);
    let problem = shop.ask("POST", "/orders", Some(json!({"id": 7}))).await;
    assert_eq!(
        (problem.status.as_u16(), &problem.headers["content-type"]),
        (422, &"application/problem+json".parse().expect("a value"))
    );

    // What can't be shipped is kept, with its reason, and nothing else is.
    let dead = shop.stack.physical(shop.logical("ShopOrdersShip", "DeadLetters"));
    let letter = until("no dead letter", async || shop.account.drain(dead).await.pop()).await;
    assert!(letter["Body"].as_str().expect("a body").contains("poison"), "{letter}");
    let metadata = letter["MessageAttributes"]["updraft"]["StringValue"].as_str().expect("metadata");
    assert!(metadata.contains("are more than there are") && metadata.contains("permanent"), "{metadata}");
    for (logical, (kind, url)) in &shop.stack.resources {
        if kind == "AWS::SQS::Queue" {
            let left = shop.account.drain(url).await;
            assert!(left.is_empty(), "{logical}: {left:?}");
        }
    }
}

/// A secret that is a parameter is read by whoever may read it, once it is there.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_may_be_parameters() {
    let settings = "[placement]\ndefault = \"handler\"\n[target.aws-lambda]\nsecrets = \"parameter-store\"\n";
    let Some(shop) = DeployedShop::open_with(settings).await else { return };
    let shipment = json!({"order": "1", "sku": "teapot", "quantity": 1});
    let (unit, inbox) = ("ShopMailEmailCustomer", shop.logical("ShopMailEmailCustomer", "Inbox"));
    assert!(!taken(&shop, unit, inbox, &shipment).await, "there is no parameter yet");
    shop.put_parameters().await;
    let role = shop.stack.physical("ShopMailEmailCustomerRole");
    let policy = shop.account.policy(role).await;
    let statements = policy["Statement"].as_array().expect("statements");
    let at = statements.iter().position(|one| one["Sid"] == "MailerKeySecretRead").expect("a statement");
    assert_eq!(statements[at]["Action"], json!(["ssm:GetParameter"]));
    let mut less = policy.clone();
    less["Statement"].as_array_mut().expect("statements").remove(at);
    shop.account.set_policy(role, &less).await;
    assert!(!taken(&shop, unit, inbox, &shipment).await, "it may not read the parameter");
    shop.account.set_policy(role, &policy).await;
    assert!(taken(&shop, unit, inbox, &shipment).await);
    let sent = shop.mailer.sent();
    assert_eq!(sent[0].headers["authorization"], "Bearer mail-key");
    let count = shop.ask("PUT", "/admin/stock/teapot", Some(json!({"left": 10}))).await;
    assert_eq!((count.status.as_u16(), count.text().as_str()), (200, r#"{"left":10}"#));
}

/// Functions get another version while orders are placed: none is lost, and all are shipped.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_under_load_loses_nothing() {
    let Some(shop) = DeployedShop::open().await else { return };
    let shop = Arc::new(shop);
    shop.put_secrets().await;
    shop.without_tls().await;
    let (going_on, count) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let clients = (0..3).map(|client| {
        let (shop, going_on, count) = (shop.clone(), going_on.clone(), count.clone());
        tokio::spawn(async move {
            let mut placed = Vec::new();
            while going_on.load(Ordering::Relaxed) {
                let id = format!("{client}-{}", placed.len());
                shop.place(&id, 0).await;
                placed.push(id);
                count.fetch_add(1, Ordering::Relaxed);
            }
            placed
        })
    });
    let clients: Vec<_> = clients.collect();
    for memory in [640, 768] {
        let before = count.load(Ordering::Relaxed);
        until("no orders", async || (count.load(Ordering::Relaxed) > before + 5).then_some(())).await;
        shop.with_memory(memory).await;
    }
    going_on.store(false, Ordering::Relaxed);
    let mut placed = Vec::new();
    for client in clients {
        placed.extend(client.await.expect("no client's order is lost"));
    }
    assert!(placed.len() > 10, "{placed:?}");
    for id in &placed {
        shop.stands_at(id, "shipped").await;
    }
}

/// The scheduler sends a tick with what the template says, at the time that it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs() {
    let Some(shop) = DeployedShop::open().await else { return };
    shop.put_secrets().await;
    shop.without_tls().await;
    let count = shop.ask("PUT", "/admin/stock/teapot", Some(json!({"left": 2}))).await;
    assert_eq!(count.status, 200, "{}", count.text());
    let schedule = shop.stack.physical(shop.logical("ShopReportsNightlyReport", "Schedule"));
    // Another that is the same but due at once: the emulator counts the first one's time from its own start.
    let mut now = shop.account.send("scheduler", "GET", &format!("/schedules/{schedule}"), &[], "").await.json();
    let due = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    now["ScheduleExpression"] = due.strftime("at(%Y-%m-%dT%H:%M:%S)").to_string().into();
    now["ScheduleExpressionTimezone"] = "UTC".into();
    // And it leaves what AWS puts the time in for.
    let input = now["Target"]["Input"].as_str().expect("an input").replace(SCHEDULED, &due.to_string());
    now["Target"]["Input"] = input.into();
    let headers = [("content-type", "application/json")];
    let made = shop.account.send("scheduler", "POST", "/schedules/now", &headers, now.to_string()).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let key = due.strftime("stock/%Y-%m-%d.csv").to_string();
    let reports = shop.stack.physical("ReportsBucket");
    let report = until(&key, async || shop.account.get(reports, &key).await).await;
    assert_eq!(&report[..], b"sku,left\nteapot,2\n");
}

/// What a unit is asked, and whether it does it. A name of two words is of a unit's dead letters.
const PROBES: [&str; 12] = [
    "count",
    "place",
    "status",
    "quote",
    "ship",
    "ship in vain",
    "mail",
    "mail in vain",
    "audit",
    "audit in vain",
    "report",
    "report in vain",
];

/// Which probes fail without a statement: role's unit, the statement's id.
fn edge(role: &str, sid: &str) -> Option<&'static [&'static str]> {
    let dead = sid.ends_with("DeadLettersWrite");
    Some(match (role, sid) {
        // No emulator holds anybody to these: the rules of the emitted template do.
        (_, "Logs" | "Traces") => return None,
        (_, sid) if sid.ends_with("Consume") => return None,
        ("ShopAdminCountStockRole", "StockTableRead" | "StockTableWrite" | "AdminKeySecretRead") => &["count"],
        ("ShopOrdersPlaceOrderRole", "OrdersQueueWrite" | "ProgressTableWrite") => &["place"],
        ("ShopOrdersGetOrderRole", "ProgressTableRead") => &["status"],
        ("ShopPricingGetQuoteRole", "ShopPricingQuoteAliasCall") | ("ShopPricingQuoteRole", "StockTableRead") => {
            &["quote"]
        }
        ("ShopOrdersShipRole", "ShippedTopicWrite") => &["ship"],
        ("ShopOrdersShipRole", "ProgressTableRead" | "ProgressTableWrite" | "StockTableRead" | "StockTableWrite") => {
            &["ship", "ship in vain"]
        }
        ("ShopOrdersShipRole", _) if dead => &["ship in vain"],
        ("ShopMailEmailCustomerRole", "MailerKeySecretRead") => &["mail"],
        ("ShopMailEmailCustomerRole", _) if dead => &["mail in vain"],
        ("AuditRecordRole", "TrailBucketWriteObjects") => &["audit"],
        ("AuditRecordRole", _) if dead => &["audit in vain"],
        ("ShopReportsNightlyReportRole", "StockTableRead" | "ReportsBucketWriteObjects") => &["report"],
        ("ShopReportsNightlyReportRole", _) if dead => &["report in vain"],
        _ => panic!("{role} has a statement that no probe is for: {sid}"),
    })
}

/// Asks every unit for everything; the probes that failed.
async fn failing(shop: &DeployedShop, number: usize) -> BTreeSet<&'static str> {
    let id = format!("probe-{number}");
    let order = |quantity: u32| json!({"id": id, "sku": "teapot", "quantity": quantity});
    let asked =
        async |method: &str, path: &str, body: Option<Value>| shop.ask(method, path, body).await.status.is_success();
    let mut failing = BTreeSet::new();
    for probe in PROBES {
        let shipment = json!({"order": id, "sku": "teapot", "quantity": 1});
        let tick = |handler: &str| json!({"updraft": {"schedule": {"handler": handler, "scheduled": "2026-11-23T02:00:00Z", "attempt": "1"}}});
        let done = match probe {
            "count" => asked("PUT", "/admin/stock/teapot", Some(json!({"left": 1_000}))).await,
            "place" => asked("POST", "/orders", Some(order(0))).await,
            "status" => asked("GET", "/orders/known", None).await,
            "quote" => asked("GET", "/quotes/teapot", None).await,
            "ship" => taken(shop, "ShopOrdersShip", "OrdersQueue", &order(1)).await,
            "ship in vain" => {
                taken(
                    shop,
                    "ShopOrdersShip",
                    "OrdersQueue",
                    &json!({"id": format!("{id}-vain"), "sku": "teapot", "quantity": 1_000_000}),
                )
                .await
            }
            "mail" => {
                taken(shop, "ShopMailEmailCustomer", shop.logical("ShopMailEmailCustomer", "Inbox"), &shipment).await
            }
            "mail in vain" => {
                taken(
                    shop,
                    "ShopMailEmailCustomer",
                    shop.logical("ShopMailEmailCustomer", "Inbox"),
                    &json!("no shipment"),
                )
                .await
            }
            "audit" => taken(shop, "AuditRecord", shop.logical("AuditRecord", "Inbox"), &shipment).await,
            "audit in vain" => {
                taken(shop, "AuditRecord", shop.logical("AuditRecord", "Inbox"), &json!("no shipment")).await
            }
            "report" => {
                taken(
                    shop,
                    "ShopReportsNightlyReport",
                    shop.logical("ShopReportsNightlyReport", "Inbox"),
                    &tick("shop::reports::nightly_report"),
                )
                .await
            }
            _ => {
                taken(
                    shop,
                    "ShopReportsNightlyReport",
                    shop.logical("ShopReportsNightlyReport", "Inbox"),
                    &tick("nobody"),
                )
                .await
            }
        };
        if !done {
            failing.insert(probe);
        }
    }
    failing
}

/// Hands a unit's function a message as a poller does; whether it is done with it.
async fn taken(shop: &DeployedShop, unit: &str, queue: &str, body: &Value) -> bool {
    let event = json!({"Records": [{
        "messageId": "1", "receiptHandle": "1", "eventSource": "aws:sqs", "eventSourceARN": shop.queue_arn(queue),
        "body": body.to_string(), "messageAttributes": {},
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1764000000000",
            "ApproximateFirstReceiveTimestamp": "1764000000000", "MessageGroupId": "ticks" },
    }]});
    let function = shop.stack.physical(&format!("{unit}Function"));
    let answer = shop.account.invoke(function, &event).await;
    answer.is_ok_and(|answer| answer["batchItemFailures"].as_array().expect("failures").is_empty())
}

/// Each statement of each role is one edge of the graph: without it that edge is gone, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn each_grant_is_needed_for_its_edge_alone() {
    let Some(shop) = DeployedShop::open().await else { return };
    shop.put_secrets().await;
    let shipment = json!({"order": "1", "sku": "teapot", "quantity": 1});
    let inbox = shop.logical("AuditRecord", "Inbox");
    assert!(!taken(&shop, "AuditRecord", inbox, &shipment).await, "a bucket takes what does not come by TLS");
    shop.without_tls().await;
    assert!(taken(&shop, "AuditRecord", inbox, &shipment).await);
    let mut statements: Vec<(String, usize, String)> = Vec::new();
    let mut policies = BTreeMap::new();
    for function in shop.stack.of_type("AWS::Lambda::Function") {
        let role = function.replace("Function", "Role");
        let policy = shop.account.policy(shop.stack.physical(&role)).await;
        for (at, statement) in policy["Statement"].as_array().expect("statements").iter().enumerate() {
            statements.push((role.clone(), at, statement["Sid"].as_str().expect("an id").to_owned()));
        }
        policies.insert(role, policy);
    }
    let name = |role: &str| shop.stack.physical(role).to_owned();
    let less = |role: &str, at: usize| {
        let mut less = policies[role].clone();
        less["Statement"].as_array_mut().expect("statements").remove(at);
        less
    };
    // A secret that was read is known for a while, and needed to start: nobody has read one yet.
    let (secrets, others): (Vec<_>, Vec<_>) = statements.iter().partition(|(.., sid)| sid.ends_with("SecretRead"));
    for (role, at, _) in &secrets {
        shop.account.set_policy(&name(role), &less(role, *at)).await;
    }
    shop.place("known", 0).await;
    let mut missing: BTreeSet<&str> =
        secrets.iter().flat_map(|(role, _, sid)| edge(role, sid).expect("a probe")).copied().collect();
    missing.insert("mail in vain"); // it can't even begin
    for (number, (role, _, sid)) in secrets.iter().enumerate() {
        let found = failing(&shop, number).await;
        assert!(found == missing, "{found:?}, not {missing:?}\n{}", shop.logs().await);
        shop.account.set_policy(&name(role), &policies[role]).await;
        let probes = edge(role, sid).expect("a probe");
        missing.retain(|probe| !probes.contains(&probe.trim_end_matches(" in vain")));
    }
    let found = failing(&shop, 100).await;
    assert!(found.is_empty(), "with all statements: {found:?}\n{}", shop.logs().await);

    let mut edges = secrets.len();
    for (number, (role, at, sid)) in others.iter().enumerate() {
        let Some(expected) = edge(role, sid) else { continue };
        edges += 1;
        shop.account.set_policy(&name(role), &less(role, *at)).await;
        let found = failing(&shop, 1_000 + number).await;
        let expected = BTreeSet::from_iter(expected.iter().copied());
        assert!(found == expected, "{role} without {sid}: {found:?}, not {expected:?}\n{}", shop.logs().await);
        shop.account.set_policy(&name(role), &policies[role]).await;
    }
    assert_eq!(edges, 21);
    assert_eq!(failing(&shop, 20_000).await, BTreeSet::new(), "with all statements again");
}
