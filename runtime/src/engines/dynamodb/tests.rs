//! Against a server that does not do all at once, or whose answers get lost.

use super::DynamoDbStore;
use crate::engine::{EngineError, Expect, Span, StoreEngine};
use crate::engines::aws::Account;
use crate::engines::aws::tests::{OneSecret, SECRET};
use crate::key::partition;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use updraft_wire::aws::{Known, Use, actions};

type Answer = Box<dyn FnMut(&str, Value) -> (u16, Value) + Send>;

/// The stores `stock` and `rooms`, the second with partitions, on a server that answers an action so.
async fn store(answer: impl FnMut(&str, Value) -> (u16, Value) + Send + 'static) -> DynamoDbStore {
    async fn serve(
        State(answer): State<Arc<Mutex<Answer>>>,
        headers: HeaderMap,
        axum::Json(content): axum::Json<Value>,
    ) -> (StatusCode, String) {
        let target = headers["x-amz-target"].to_str().expect("text").trim_start_matches("DynamoDB_20120810.");
        let (status, answer) = answer.lock().expect("unpoisoned")(target, content);
        (StatusCode::from_u16(status).expect("a status"), answer.to_string())
    }
    // The type that they speak is none that an extractor knows.
    async fn as_json(mut request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
        request.headers_mut().insert("content-type", "application/json".parse().expect("a type"));
        next.run(request).await
    }
    let answer: Answer = Box::new(answer);
    let router = axum::Router::new().fallback(serve).with_state(Arc::new(Mutex::new(answer)));
    let router = router.layer(axum::middleware::from_fn(as_json));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let account = Account::of_secret("eu-1", Arc::new(OneSecret(SECRET)), "aws").expect("an account").at(&endpoint);
    DynamoDbStore::new(&account).expect("an engine").table("stock", "table", None).table(
        "rooms",
        "rooms",
        Some(partition::<u8>),
    )
}

fn entries(count: u8) -> Vec<(Vec<u8>, Bytes)> {
    (0..count).map(|number| (vec![number], Bytes::from(vec![number]))).collect()
}

#[tokio::test]
async fn what_is_left_of_a_batch_is_asked_for_again() {
    let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = taken.clone();
    let store = store(move |target, content| {
        let mut taken = taken.lock().expect("unpoisoned");
        let asked = &content["RequestItems"]["table"];
        if target == "BatchGetItem" {
            let keys = asked["Keys"].as_array().expect("keys");
            let found: Vec<_> = taken.iter().filter(|item| item["p"] == keys[0]["p"]).collect();
            let left = json!({ "table": { "Keys": keys[1..] } });
            let left = if keys.len() > 1 { left } else { json!({}) };
            return (200, json!({ "Responses": { "table": found }, "UnprocessedKeys": left }));
        }
        let writes = asked.as_array().expect("writes");
        taken.push(writes[0]["PutRequest"]["Item"].clone());
        let left = if writes.len() > 1 { json!({ "table": writes[1..] }) } else { json!({}) };
        (200, json!({ "UnprocessedItems": left }))
    })
    .await;
    store.put_all("stock", entries(4), None).await.expect("all of them");
    assert_eq!(kept.lock().expect("unpoisoned").len(), 4);
    let found = store.get_all("stock", &[vec![3], vec![7], vec![0]]).await.expect("all of them");
    let found: Vec<_> = found.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
    assert_eq!(found, [Some(Bytes::from_static(&[3])), None, Some(Bytes::from_static(&[0]))]);
}

#[tokio::test]
async fn a_table_that_does_nothing_is_overloaded() {
    let store = store(|_, content| (200, json!({ "UnprocessedItems": content["RequestItems"] }))).await;
    let error = store.put_all("stock", entries(2), None).await.expect_err("nothing is done");
    assert!(matches!(&error, EngineError::Unavailable(text) if text.contains("overloaded")), "{error:?}");
}

/// The answer to the first is lost. Had it been done, and had somebody else written or deleted since, a second one would
/// find a condition that holds, or doesn't, of another write.
#[tokio::test]
async fn a_conditional_write_that_may_have_been_done_is_not_repeated() {
    for (expect, times) in [(Expect::Absent, 1), (Expect::Version(7), 1), (Expect::Anything, 2)] {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let store = store(move |_, _| {
            let mut asked = count.lock().expect("unpoisoned");
            *asked += 1;
            if *asked == 1 { (500, json!({})) } else { (200, json!({})) }
        })
        .await;
        let put = store.put("stock", b"a", Bytes::from_static(b"1"), expect, None).await;
        assert_eq!((put.is_ok(), *asked.lock().expect("unpoisoned")), (times == 2, times), "{expect:?}: {put:?}");
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told() {
    let store = store(|_, _| {
        (400, json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "no" }))
    })
    .await;
    let put = store.put("stock", b"a", Bytes::from_static(b"1"), Expect::Absent, None).await;
    assert!(!put.expect("an answer"));
}

#[tokio::test]
async fn a_deletion_that_may_have_been_done_is_not_repeated() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let store = store(move |_, _| {
        *count.lock().expect("unpoisoned") += 1;
        (500, json!({}))
    })
    .await;
    let error = store.delete("stock", b"a", Expect::Anything).await.expect_err("nobody knows");
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
    assert_eq!(*asked.lock().expect("unpoisoned"), 1);
}

/// An item that DynamoDB has not deleted yet is absent.
#[tokio::test]
async fn what_is_past_its_time_is_not_there() {
    let store = store(|_, _| {
        (
            200,
            json!({ "Item": { "p": { "B": "a2E=" }, "v": { "B": "MQ==" }, "n": { "N": "1" }, "u": { "N": "1000" } } }),
        )
    })
    .await;
    assert_eq!(store.get("stock", b"a").await.expect("get"), None);
}

/// A role may do what is called, and no more.
#[tokio::test]
async fn every_call_has_its_action_and_every_action_its_call() {
    let called: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = called.clone();
    let store = store(move |target, _| {
        seen.lock().expect("unpoisoned").insert(target.to_owned());
        (200, json!({}))
    })
    .await;
    let calls = |used| {
        assert!(!called.lock().expect("unpoisoned").is_empty(), "{used:?}");
        let calls = actions(Known::Store, used).iter().flat_map(|action| action.calls);
        assert_eq!(
            std::mem::take(&mut *called.lock().expect("unpoisoned")),
            calls.map(|call| (*call).to_owned()).collect()
        );
    };
    store.get("stock", b"a").await.expect("get");
    store.get_all("stock", &[vec![1]]).await.expect("get");
    store.scan("stock", b"a", None, 5).await.expect("scan");
    calls(Use::Read);
    store.put("stock", b"a", Bytes::new(), Expect::Absent, None).await.expect("put");
    store.put_all("stock", entries(1), None).await.expect("put");
    store.delete("stock", b"a", Expect::Anything).await.expect("delete");
    calls(Use::Write);
    let span = Span { partition: vec![1], from: Bound::Unbounded, to: Bound::Unbounded, reversed: false };
    store.scan_ordered("rooms", &span, None, 5).await.expect("scan");
    store.scan("rooms", &[1, 2], None, 5).await.expect("scan");
    calls(Use::Order);
}
