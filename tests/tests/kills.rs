//! Units that are killed (SIGKILL) at random moments under load: what was acknowledged comes to its end all the same.
//!
//! A seed decides which units die when. `UPDRAFT_SEED=17` plays one seed's kills again, `UPDRAFT_LONG=1` plays 50 of them. A
//! failure prints its seed.

use http::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use updraft_tests::shop::{PATIENCE, Shop};

/// As many as the shop's handlers have retries, so that no message can be given up for them.
const KILLS: u64 = 5;
const UNITS: [&str; 4] = ["web", "orders", "mail", "audit"];
const CLIENTS: u64 = 4;
/// By each client, one after the other.
const ORDERS: u64 = 8;

/// Some units that die together, and how long after those before.
#[derive(Debug)]
struct Kill {
    after: Duration,
    units: Vec<&'static str>,
}

/// What a seed decides.
fn plan(seed: u64) -> Vec<Kill> {
    let kill = |number| {
        let random = mix(seed << 8 | number);
        // One of them at least, by a bit each.
        let chosen = 1 + random % ((1 << UNITS.len()) - 1);
        let units = UNITS.into_iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, unit)| unit);
        Kill { after: Duration::from_millis((random >> 32) % 400), units: units.collect() }
    };
    (0..KILLS).map(kill).collect()
}

/// The finaliser of splitmix64.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_comes_to_its_end() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("UPDRAFT_SEED") {
        Some(seed) => seed..seed + 1,
        None if std::env::var("UPDRAFT_LONG").is_ok_and(|long| long == "1") => 0..50,
        None => 0..2,
    };
    for seed in seeds {
        if tokio::spawn(try_seed(seed)).await.is_err() {
            panic!("seed {seed} failed; UPDRAFT_SEED={seed} plays the same kills again: {:#?}", plan(seed));
        }
    }
}

async fn try_seed(seed: u64) {
    let Some(shop) = Shop::open().await else { return };
    let shop = Arc::new(shop);
    shop.place("first", 1).await;
    let clients = (0..CLIENTS).map(|client| tokio::spawn(insist(shop.clone(), client)));
    let clients: Vec<_> = clients.collect();
    let mut killed = 0;
    for Kill { after, units } in plan(seed) {
        tokio::time::sleep(after).await;
        killed += units.into_iter().filter(|unit| shop.cluster.service(unit).crash()).count();
    }
    assert!(killed > 0, "nobody ran when it was to die");
    let mut acknowledged = vec!["first".to_owned()];
    for client in clients {
        acknowledged.extend(client.await.expect("a client's orders"));
    }
    for id in &acknowledged {
        shop.stands_at(id, "shipped").await;
    }
    shop.cluster.quiet(PATIENCE).await;
    let letters = shop.mailer.sent();
    for id in &acknowledged {
        assert!(shop.s3.read("shop", &format!("trail/shipments/{id}.txt")).is_some(), "no trail of {id}");
        assert!(letters.iter().any(|letter| letter.headers["idempotency-key"] == id.as_str()), "no letter for {id}");
    }
    // A piece each of the hundred that a shelf begins with, however often it was tried.
    let left = 100 - acknowledged.len();
    for (quantity, expected) in [(left, StatusCode::OK), (left + 1, StatusCode::CONFLICT)] {
        let (status, _) = shop.ask(Method::GET, &format!("/quotes/teapot?quantity={quantity}"), None).await;
        assert_eq!(status, expected, "{quantity} pieces, {left} left");
    }
    assert_eq!(shop.dead_letters(), []);
    let Some(shop) = Arc::into_inner(shop) else { panic!("a client still holds the shop") };
    shop.close().await;
}

/// A client that sends each order until it is acknowledged; their ids.
async fn insist(shop: Arc<Shop>, client: u64) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..ORDERS {
        let id = format!("{client}-{number}");
        let order = json!({"id": id, "sku": "teapot", "quantity": 1});
        let started = Instant::now();
        loop {
            let answer = shop.try_ask(Method::POST, "/orders", Some(order.clone())).await;
            if answer.as_ref().is_ok_and(|(status, _)| *status == StatusCode::ACCEPTED) {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{id} is never taken: {answer:?}\n{}", shop.cluster.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        acknowledged.push(id);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    acknowledged
}
