//! The shop in a cluster, as far as one can be had without Kubernetes: the emitted manifests, the linked program, Redis, an
//! S3 server, and a broker that retries, delivers twice and now and then refuses.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use updraft_tests::collector::{Collector, Told, tree};
use updraft_tests::shop::{PATIENCE, Shop};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_shipped_mailed_and_audited() {
    let Some(shop) = Shop::open().await else { return };
    let (status, count) = shop.ask(Method::PUT, "/admin/stock/teapot", Some(json!({"left": 10}))).await;
    assert_eq!((status, count), (StatusCode::OK, json!({"left": 10})), "{}", shop.cluster.logs());
    // Enough of them that the broker refuses some at first and delivers some twice.
    let ids: Vec<String> = (0..8).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        shop.place(id, 1).await;
    }
    for id in &ids {
        shop.stands_at(id, "shipped").await;
    }
    shop.cluster.quiet(PATIENCE).await;

    let letters = shop.mailer.sent();
    for id in &ids {
        let to = |letter: &&updraft_tests::cluster::Sent| letter.headers["idempotency-key"] == id.as_str();
        let letter = letters.iter().find(to).unwrap_or_else(|| panic!("no letter for {id}\n{}", shop.cluster.logs()));
        assert_eq!(
            (letter.request.as_str(), &letter.headers["authorization"]),
            ("POST /messages", &"Bearer mail-key".parse().expect("a value"))
        );
        assert!(letter.body.contains(&format!("Your order {id} is on its way")), "{}", letter.body);
        let trail = shop.s3.read("shop", &format!("trail/shipments/{id}.txt"));
        assert_eq!(trail.as_deref(), Some("1 × teapot\n".as_bytes()), "{id}");
    }
    // Delivered twice or not, eight pieces left the shelf.
    let (status, price) = shop.ask(Method::GET, "/quotes/teapot?quantity=2", None).await;
    assert_eq!((status, price), (StatusCode::OK, json!({"cents": 2 * 1_990})));
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=3", None).await;
    assert_eq!(status, StatusCode::CONFLICT);

    shop.cluster.fire("shop-reports-nightly-report").await;
    shop.cluster.quiet(PATIENCE).await;
    let report = shop.s3.read("shop", "reports/stock/2026-11-23.csv");
    assert_eq!(report.as_deref(), Some(&b"sku,left\nteapot,2\n"[..]), "{}", shop.cluster.logs());
    assert_eq!(shop.dead_letters(), []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_is_kept_with_its_reason() {
    let Some(shop) = Shop::open().await else { return };
    shop.mailer.fail(true);
    shop.place("good", 1).await;
    shop.place("poison", 1_000_000).await;
    shop.stands_at("good", "shipped").await;
    shop.stands_at("poison", "failed").await;
    shop.cluster.quiet(PATIENCE).await;

    // The permanent error after one attempt each time it was delivered, the mailer's after all retries.
    let letters = shop.dead_letters();
    let of = |handler: &str| letters.iter().filter(|(key, _)| key.contains(handler)).collect::<Vec<_>>();
    let [(_, poison)] = of("shop::orders::ship")[..] else { panic!("{letters:?}\n{}", shop.cluster.logs()) };
    assert!(poison.contains("are more than there are") && poison.contains("\"kind\":\"permanent\""), "{poison}");
    let [(_, mail)] = of("shop::mail::email_customer")[..] else { panic!("{letters:?}\n{}", shop.cluster.logs()) };
    assert!(mail.contains("asking the mailer") || mail.contains("503"), "{mail}");
    assert_eq!(letters.len(), 2, "{letters:?}");
    let attempts = shop.cluster.broker().attempts();
    let tried = |trigger: &str| attempts.iter().filter(|attempt| attempt.trigger == trigger).count();
    assert!(tried("shop-mail-email-customer") >= 9, "{attempts:?}");
    assert_eq!(shop.s3.read("shop", "trail/shipments/good.txt").as_deref(), Some("1 × teapot\n".as_bytes()));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_units_under_load_loses_no_request() {
    let Some(shop) = Shop::open().await else { return };
    let shop = Arc::new(shop);
    shop.place("first", 1).await;
    shop.stands_at("first", "shipped").await;
    let clients = (0..8).map(|client| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let mut placed = Vec::new();
            for number in 0..25 {
                let id = format!("{client}-{number}");
                shop.place(&id, 0).await;
                placed.push(id);
            }
            placed
        })
    });
    let clients: Vec<_> = clients.collect();
    for service in ["web", "orders", "web", "orders"] {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let code = shop.cluster.service(service).roll().await;
        assert_eq!(code, Some(0), "{service}\n{}", shop.cluster.logs());
    }
    let mut placed = Vec::new();
    for client in clients {
        placed.extend(client.await.expect("no client's request is lost"));
    }
    assert_eq!(placed.len(), 200);
    for id in &placed {
        shop.stands_at(id, "shipped").await;
    }
    let Some(shop) = Arc::into_inner(shop) else { panic!("a client still holds the shop") };
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_die_lose_no_message() {
    let Some(shop) = Shop::open().await else { return };
    for round in 0..6 {
        for number in 0..10 {
            shop.place(&format!("{round}-{number}"), 1).await;
        }
        tokio::time::sleep(Duration::from_millis(20 * round)).await;
        for service in ["orders", "audit", "mail"] {
            shop.cluster.service(service).crash();
        }
    }
    for round in 0..6 {
        for number in 0..10 {
            shop.stands_at(&format!("{round}-{number}"), "shipped").await;
        }
    }
    shop.cluster.quiet(PATIENCE).await;
    for round in 0..6 {
        for number in 0..10 {
            let id = format!("{round}-{number}");
            assert!(shop.s3.read("shop", &format!("trail/shipments/{id}.txt")).is_some(), "{id}");
            let letters = shop.mailer.sent();
            assert!(letters.iter().any(|letter| letter.headers["idempotency-key"] == id.as_str()), "{id}");
        }
    }
    // Sixty of the hundred that a shelf begins with, each once, however often it was tried.
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=40", None).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=41", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(shop.dead_letters(), []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faces_show_their_own_paths_alone() {
    let Some(shop) = Shop::open().await else { return };
    let event = "/_updraft/events/shop.orders.ship";
    let (status, _) = shop.ask(Method::POST, event, Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = shop.ask(Method::POST, "/_updraft/dead-letters", Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_over_all_units() {
    let collector = Collector::listen().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()), ("OTEL_METRICS_EXPORTER", "none".to_owned())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let Some(shop) = Shop::open_with(BTreeMap::from(variables)).await else { return };
    shop.place("one", 1).await;
    shop.stands_at("one", "shipped").await;
    shop.cluster.quiet(PATIENCE).await;
    let (status, _) = shop.ask(Method::GET, "/quotes/teapot?quantity=2", None).await;
    assert_eq!(status, StatusCode::OK);
    shop.mailer.fail(true);
    shop.place("poison", 1_000_000).await;
    shop.stands_at("poison", "failed").await;
    shop.cluster.quiet(PATIENCE).await;
    let logs = shop.cluster.logs();
    shop.close().await; // each unit sends what it still has when it ends

    let spans = collector.spans();
    let trace_of = |route: &str, number: usize| {
        let mut roots: Vec<&Told> = spans.iter().filter(|told| told.span.name == route).collect();
        roots.sort_by_key(|told| told.span.start_time_unix_nano);
        let trace = roots.get(number).unwrap_or_else(|| panic!("no {route}: {}", tree(&spans))).trace();
        let of: Vec<Told> = spans.iter().filter(|told| told.trace() == trace).cloned().collect();
        (tree(&of), of)
    };
    let (order, _) = trace_of("POST /orders", 0);
    assert_eq!(
        order,
        "\
shop-web: POST /orders
  shop-web: put progress
  shop-web: send orders
    shop-orders: process orders
      shop-orders: get progress
      shop-orders: get stock
      shop-orders: put progress
      shop-orders: put stock
      shop-orders: send shipped
        shop-audit: process shipped
          shop-audit: put trail
        shop-mail: process shipped
          shop-mail: POST
"
    );
    let (quote, _) = trace_of("GET /quotes/{sku}", 0);
    assert_eq!(quote, "shop-web: GET /quotes/{sku}\n  shop-web: call shop::pricing::quote\n    shop-web: get stock\n");
    let (poison, of) = trace_of("POST /orders", 1);
    let reason = "order poison: 1000000 × teapot are more than there are";
    assert_eq!(
        poison,
        format!(
            "\
shop-web: POST /orders
  shop-web: put progress
  shop-web: send orders
    shop-dead-letter: dead_letter orders ! {reason}
    shop-orders: process orders ! {reason}
      shop-orders: get progress
      shop-orders: get stock
      shop-orders: put progress
      shop-orders: put stock
"
        )
    );
    let failed = of.iter().find(|told| told.span.name == "process orders").expect("an attempt");
    assert_eq!(failed.attribute("error.type").as_deref(), Some("permanent"));
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = lines.into_iter().find(|line| line["message"] == "a message failed").expect("a line");
    assert_eq!(said["trace_id"], failed.trace().as_str());
    assert_eq!(said["message_id"], failed.attribute("messaging.message.id").expect("an id").as_str());
}
