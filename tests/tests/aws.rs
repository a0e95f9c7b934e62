//! AWS's engines keep the promises of every engine, against an emulator of AWS.

use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use updraft::conformance::{self, Conditions};
use updraft::engine::{EngineError, Expect, StoreEngine};
use updraft::engines::dynamodb::DynamoDbStore;
use updraft::key::{AsKey, partition};
use updraft::registry::Partition;
use updraft_tests::servers::{MiniStack, free_port};
use updraft_wire::aws::table::{EXPIRES, PARTITION, SORT};

/// These stores, each in a table as the target declares it.
async fn stores(server: &MiniStack, names: &[&str], partition: Option<Partition>) -> Arc<DynamoDbStore> {
    let mut engine = DynamoDbStore::new(&server.engine_account()).expect("an engine");
    for name in names {
        let table = format!("{}-{name}", if partition.is_some() { "ordered" } else { "plain" });
        let mut keys = vec![(PARTITION, "HASH")];
        keys.extend(partition.map(|_| (SORT, "RANGE")));
        let attributes: Vec<_> =
            keys.iter().map(|(name, _)| json!({ "AttributeName": name, "AttributeType": "B" })).collect();
        let schema: Vec<_> =
            keys.iter().map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind })).collect();
        let content = json!({ "TableName": table, "AttributeDefinitions": attributes, "KeySchema": schema,
            "BillingMode": "PAY_PER_REQUEST" });
        server.call("DynamoDB_20120810.CreateTable", content).await;
        let ttl =
            json!({ "TableName": table, "TimeToLiveSpecification": { "AttributeName": EXPIRES, "Enabled": true } });
        server.call("DynamoDB_20120810.UpdateTimeToLive", ttl).await;
        engine = engine.table(name, &table, partition);
    }
    Arc::new(engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_conforms() {
    let Some(server) = MiniStack::with("dynamodb") else { return };
    let plain = [
        "empty", "values", "keys", "one", "one-more", "put", "delete", "again", "pages", "busy", "times", "race",
        "count", "many",
    ];
    let plain = stores(&server, &plain, None).await;
    let ordered = stores(&server, &["order", "apart", "apart-too", "times", "busy"], Some(partition::<String>)).await;
    let conditions = Conditions::default();
    // Together, since both wait for entries to end.
    tokio::join!(conformance::store(plain, &conditions), conformance::ordered_store(ordered, &conditions));
}

#[tokio::test]
async fn dynamodb_finds_by_prefix_within_partitions_and_across_them() {
    let Some(server) = MiniStack::with("dynamodb") else { return };
    let store = stores(&server, &["rooms"], Some(partition::<String>)).await;
    let keys: Vec<Vec<u8>> = [("a", "x1"), ("a", "x2"), ("a", "y"), ("ab", "x1"), ("b", "x1")]
        .iter()
        .map(|(room, name)| ((*room).to_owned(), (*name).to_owned()).key_bytes())
        .collect();
    let entries = keys.iter().map(|key| (key.clone(), Bytes::from_static(b"1"))).collect();
    store.put_all("rooms", entries, None).await.expect("put");
    let room = "a".part_bytes();
    for (prefix, expected) in [
        (Vec::new(), keys.clone()),
        (b"a".to_vec(), keys[..4].to_vec()),
        (room.clone(), keys[..3].to_vec()),
        ([&room[..], b"x"].concat(), keys[..2].to_vec()),
        ([&room[..], b"z"].concat(), Vec::new()),
        (b"c".to_vec(), Vec::new()),
    ] {
        for limit in [1, 2, 100] {
            let (mut found, mut from) = (Vec::new(), None);
            loop {
                let page = store.scan("rooms", &prefix, from, limit).await.expect("scan");
                assert!(page.items.len() <= limit);
                found.extend(page.items.into_iter().map(|(key, _)| key));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            found.sort();
            assert_eq!(found, expected, "{prefix:?} in pages of {limit}");
        }
    }
}

#[tokio::test]
async fn dynamodb_tells_what_is_wrong() {
    let Some(server) = MiniStack::with("dynamodb") else { return };
    let store = stores(&server, &["stock"], None).await;
    let put = |value: Vec<u8>| store.put("stock", b"a", value.into(), Expect::Anything, None);
    let error = put(vec![0; 400 * 1024]).await.expect_err("it is too large");
    assert!(matches!(error, EngineError::TooLarge { limit: 409_600, .. }), "{error:?}");
    let error = store.get("stock", &[0; 2048]).await.expect_err("the key is too long");
    assert!(matches!(error, EngineError::TooLarge { limit: 2048, .. }), "{error:?}");
    assert!(matches!(store.get("other", b"a").await, Err(EngineError::Misconfigured(_))));

    let absent = DynamoDbStore::new(&server.engine_account()).expect("an engine").table("stock", "absent", None);
    let error = absent.get("stock", b"a").await.expect_err("there is no table");
    assert!(matches!(&error, EngineError::Misconfigured(text) if text.contains("`absent`")), "{error:?}");

    let nobody = server.engine_account().at(&format!("http://127.0.0.1:{}", free_port()));
    let nobody = DynamoDbStore::new(&nobody).expect("an engine").table("stock", "stock", None);
    let put = nobody.put("stock", b"a", Bytes::new(), Expect::Absent, Some(Duration::from_secs(1)));
    assert!(matches!(put.await, Err(EngineError::Unavailable(_))));
}
