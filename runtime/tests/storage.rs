//! Stores and buckets as handlers use them.

use std::time::Duration;
use updraft::prelude::*;
use updraft::test;

#[store(key = String, value = u32, ttl = "1h")]
struct Stock;

/// What happened in a room.
#[store(partition = String, key = u64, value = String)]
struct Events;

#[tokio::test]
async fn an_entry_is_written_if_nobody_wrote_since() {
    let stock = test::store::<Stock>();
    assert!(stock.get_versioned("tea").await.unwrap().is_none());
    stock.put("tea", &1).await.unwrap();
    let read = stock.get_versioned("tea").await.unwrap().unwrap();
    assert_eq!(read.value, 1);
    let travelled = read.version.to_string().parse().unwrap();
    assert!(stock.put_if("tea", &2, travelled).await.unwrap());
    assert!(!stock.put_if("tea", &3, read.version).await.unwrap());
    assert!(!stock.delete_if("tea", read.version).await.unwrap());
    assert_eq!(stock.get("tea").await.unwrap(), Some(2));
    let read = stock.get_versioned("tea").await.unwrap().unwrap();
    assert!(stock.delete_if("tea", read.version).await.unwrap());
    assert!(!stock.put_if("tea", &4, read.version).await.unwrap(), "what is gone has no version");
    stock.put_for("tea", &5, Duration::from_secs(60)).await.unwrap();
    assert_eq!(stock.get("tea").await.unwrap(), Some(5));
}

#[tokio::test]
async fn many_entries_come_in_the_order_of_their_keys() {
    let stock = test::store::<Stock>();
    stock.put_all(&[("tea", 1), ("milk", 2), ("tea", 3)]).await.unwrap();
    let found = stock.get_all(&["milk", "none", "tea", "milk"]).await.unwrap();
    assert_eq!(found, [Some(2), None, Some(3), Some(2)], "of two with one key, the later");
    let many: Vec<_> = (0..300).map(|number| (format!("{number}"), number)).collect();
    stock.put_all(&many).await.unwrap();
    let keys: Vec<_> = many.iter().map(|(key, _)| key.clone()).collect();
    let found = stock.get_all(&keys).await.unwrap();
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());

    let events = test::store::<Events>();
    let large = ("room".to_owned(), 2);
    let refused = events.put_all(&[(("room".to_owned(), 1), "fits".into()), (large, "x".repeat(400 << 10))]).await;
    assert!(refused.unwrap_err().is_too_large());
    assert_eq!(events.get(&("room", 1)).await.unwrap(), None, "then none is written");
}

#[tokio::test]
async fn a_partition_is_scanned_in_order() {
    let events = test::store::<Events>();
    for number in [300, 1, 20, 4_000_000_000, 0] {
        events.put(&("room", number), &format!("{number}")).await.unwrap();
        events.put(&("roo", number + 1), &String::new()).await.unwrap();
    }
    let events = events.read_only();
    let numbers = |found: Vec<(u64, String)>| found.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    assert_eq!(numbers(events.in_order("room").all().await.unwrap()), [0, 1, 20, 300, 4_000_000_000]);
    assert_eq!(numbers(events.in_order("room").range(1..300).all().await.unwrap()), [1, 20]);
    assert_eq!(numbers(events.in_order("room").range(..=20).reversed().all().await.unwrap()), [20, 1, 0]);
    assert_eq!(numbers(events.in_order("room").reversed().take(2).await.unwrap()), [4_000_000_000, 300]);
    assert!(events.in_order("nobody").all().await.unwrap().is_empty());
    assert!(events.in_order("room").take(0).await.unwrap().is_empty());
    let found = events.scan(("room".to_owned(),)).all().await.unwrap();
    assert_eq!(found.len(), 5, "a partition is a prefix as well");
    assert_eq!(events.get(&("room".to_owned(), 20)).await.unwrap().as_deref(), Some("20"));
}
