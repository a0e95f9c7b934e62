//! Stores and buckets as handlers use them.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::time::Duration;
use updraft::object::ObjectEvent;
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

/// What people send in.
#[bucket]
struct Uploads;

/// How often a blob's handlers ran.
#[store(key = String, value = u32)]
struct Seen;

#[object(Uploads, created, prefix = "in/", suffix = ".png", retries = 1)]
async fn thumbnail(object: Object, delivery: Delivery, uploads: Bucket<Uploads>, seen: Store<Seen>) -> Result<()> {
    seen.update(&object.key, |times| times.unwrap_or_default() + 1).await?;
    if object.key.contains("poison") {
        return Err(Error::new(format!("attempt {:?}", delivery.attempt())));
    }
    let Some(reader) = uploads.read(&object.key).await? else { return Ok(()) };
    assert_eq!((reader.meta().size, &reader.meta().etag), (object.size, &object.etag));
    let name = object.key.trim_start_matches("in/");
    uploads.put_as(&format!("out/{name}"), "image/png", reader.bytes().await?.slice(..2)).await?;
    Ok(())
}

#[object(Uploads, removed)]
async fn forget(object: Object, seen: Store<Seen>) -> Result<()> {
    assert_eq!(object.event, ObjectEvent::Removed);
    seen.update(&format!("removed {} of {}", object.key, object.size), |times| times.unwrap_or_default() + 1).await?;
    Ok(())
}

#[http(post, "/uploads/{*key}")]
async fn upload(
    uploads: Bucket<Uploads, WriteOnly>,
    Path(key): Path<String>,
    body: axum::body::Body,
) -> Result<StatusCode> {
    uploads.write(&key, Some("image/png"), body.into_data_stream()).await?;
    Ok(StatusCode::CREATED)
}

#[http(get, "/uploads/{*key}")]
async fn download(uploads: Bucket<Uploads, ReadOnly>, Path(key): Path<String>) -> Result<Response> {
    Ok(match uploads.read(&key).await? {
        Some(reader) => reader.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

use updraft::axum;

#[tokio::test]
async fn handlers_run_for_the_objects_they_name() {
    let app = test::app!().start().await;
    let (uploads, seen) = (app.bucket::<Uploads>(), app.store::<Seen>());
    uploads.put("in/a.png", "123").await.unwrap();
    assert_eq!(app.drain().await, 1, "and none for what it writes itself");
    assert_eq!(uploads.get("out/a.png").await.unwrap().unwrap().body, "12");
    for (key, _) in [("in/a.jpg", ()), ("a.png", ()), ("in/a.png/b", ())] {
        uploads.put(key, "123").await.unwrap();
    }
    assert!(!uploads.put_new("in/a.png", None, "4").await.unwrap());
    uploads.delete("nothing").await.unwrap();
    assert_eq!(app.drain().await, 0);

    uploads.put("in/a.png", "45").await.unwrap();
    uploads.delete("in/a.png").await.unwrap();
    assert_eq!(app.drain().await, 2, "one for each change");
    assert_eq!(seen.get("in/a.png").await.unwrap(), Some(2));
    assert_eq!(seen.get("removed in/a.png of 2").await.unwrap(), Some(1));

    uploads.put("in/poison.png", "123").await.unwrap();
    app.settle().await;
    let [letter] = app.dead_letters().try_into().unwrap();
    assert_eq!((&*letter.resource, &*letter.reason), ("uploads", "attempt Some(2)"));
    app.redrive(&letter).await;
    app.settle().await;
    assert_eq!(seen.get("in/poison.png").await.unwrap(), Some(4));
}

#[tokio::test]
async fn blobs_stream_in_and_out_of_requests() {
    let app = test::app!().start().await;
    let body = Bytes::from(vec![7; 300_000]);
    let answer = app.post("/uploads/in/large.png").body(body.clone()).await;
    assert_eq!(answer.status(), 201);
    app.drain().await;
    assert_eq!(app.bucket::<Uploads>().get("out/large.png").await.unwrap().unwrap().body.len(), 2);
    let answer = app.get("/uploads/in/large.png").await;
    assert_eq!((answer.status().as_u16(), answer.body() == &body), (200, true));
    assert_eq!((answer.header("content-type"), answer.header("content-length")), (Some("image/png"), Some("300000")));
    assert_eq!(app.get("/uploads/none").await.status(), 404);
}

#[tokio::test]
async fn a_blob_is_written_on_conditions_and_read_in_parts() {
    let uploads = test::bucket::<Uploads>();
    assert!(uploads.put_new("a", Some("text/plain"), "one").await.unwrap());
    assert!(!uploads.put_new("a", None, "two").await.unwrap());
    let meta = uploads.head("a").await.unwrap().unwrap();
    assert_eq!((meta.size, meta.content_type.as_deref()), (3, Some("text/plain")));
    let etag = uploads.put_if("a", &meta.etag, None, "three").await.unwrap().unwrap();
    assert_eq!(uploads.put_if("a", &meta.etag, None, "four").await.unwrap(), None);
    let blob = uploads.get("a").await.unwrap().unwrap();
    assert_eq!((&*blob.body, blob.etag), (&b"three"[..], etag));

    let part = |range: (std::ops::Bound<u64>, std::ops::Bound<u64>)| {
        let uploads = uploads.clone();
        async move { uploads.read_range("a", range).await.unwrap().unwrap().bytes().await.unwrap() }
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    assert_eq!(part((Included(1), Included(3))).await, "hre");
    assert_eq!(part((Excluded(1), Excluded(4))).await, "re");
    assert_eq!(part((Included(3), Unbounded)).await, "ee");
    assert_eq!(part((Included(9), Unbounded)).await, "");

    let mut reader = uploads.read_only().read("a").await.unwrap().unwrap();
    assert_eq!(reader.range(), 0..5);
    assert_eq!(reader.next_piece().await.unwrap().as_deref(), Some(&b"three"[..]));
    assert!(reader.next().await.is_none(), "it is a stream as well");

    let broken = stream::iter([Ok("some"), Err("the sender hung up")]);
    let error = uploads.write_only().write("a", None, broken).await.unwrap_err();
    assert_eq!(error.to_string(), "bucket `uploads`, write: the sender hung up");
    assert_eq!(uploads.get("a").await.unwrap().unwrap().body, "three");
}

#[tokio::test]
async fn a_handler_of_objects_is_called_directly() {
    let (uploads, seen) = (test::bucket::<Uploads>(), test::store::<Seen>());
    uploads.put("in/a.png", "123").await.unwrap();
    let meta = uploads.head("in/a.png").await.unwrap().unwrap();
    let object = Object { key: "in/a.png".into(), event: ObjectEvent::Created, size: meta.size, etag: meta.etag };
    let now = meta.modified;
    thumbnail(object, Delivery::of("1", None, now, now), uploads.clone(), seen).await.unwrap();
    assert_eq!(uploads.get("out/a.png").await.unwrap().unwrap().content_type.as_deref(), Some("image/png"));
}

/// What guests bring and take away.
#[bucket(presign)]
struct Cloakroom;

/// Where to leave a coat, and where to fetch it.
#[http(post, "/coats/{name}")]
async fn check_in(cloakroom: Bucket<Cloakroom>, Path(name): Path<String>) -> Result<Json<[String; 2]>> {
    let minute = Duration::from_secs(60);
    let put = cloakroom.write_only().presign_put(&name, minute, Some("image/png")).await?;
    let get = cloakroom.read_only().presign_get(&name, minute).await?;
    assert_eq!((put.method().as_str(), put.content_type()), ("PUT", Some("image/png")));
    assert_eq!((get.method().as_str(), get.content_type()), ("GET", None));
    let token = get.url().rsplit('/').next().unwrap_or_default();
    assert!(!format!("{get:?}").contains(token), "a secret in `Debug`");
    Ok(Json([put.url().to_owned(), get.url().to_owned()]))
}

#[store(key = String, value = u64)]
struct Coats;

#[object(Cloakroom, created)]
async fn hung_up(object: Object, coats: Store<Coats>) -> Result<()> {
    Ok(coats.put(&object.key, &object.size).await?)
}

#[tokio::test]
async fn clients_reach_blobs_by_presigned_urls() {
    let app = test::app!().start().await;
    let [put, get]: [String; 2] = app.post("/coats/a%20coat").await.json();
    assert_eq!(app.get(&get).await.status(), 404);
    assert_eq!(app.put(&put).body("coat").await.status(), 403, "no image");
    assert_eq!(app.put(&put).header("content-type", "image/png").body("coat").await.status(), 200);
    app.drain().await;
    assert_eq!(app.store::<Coats>().get("a coat").await.unwrap(), Some(4), "its event came");
    let answer = app.get(&get).header("range", "bytes=1-2").await;
    assert_eq!((answer.status().as_u16(), &*answer.text()), (206, "oa"));
    app.advance(Duration::from_secs(60)).await;
    let late = app.get(&get).await;
    assert_eq!((late.status().as_u16(), late.header("content-type")), (403, Some("application/problem+json")));
    assert!(late.text().contains("expired"), "{}", late.text());
}

#[tokio::test]
async fn presigned_urls_have_limits() {
    let cloakroom = test::bucket::<Cloakroom>();
    let week = Duration::from_secs(7 * 86_400);
    for lifetime in [Duration::ZERO, Duration::from_millis(999), week + Duration::from_secs(1), Duration::MAX] {
        let refused = cloakroom.presign_get("a", lifetime).await.unwrap_err().to_string();
        assert!(refused.contains("a second to 7 days"), "{refused}");
    }
    for content_type in ["", "a\nb: c", "ü"] {
        let refused = cloakroom.presign_put("a", week, Some(content_type)).await.unwrap_err().to_string();
        assert!(refused.contains("no MIME type"), "{refused}");
    }
    for key in ["", "../a", "a//b"] {
        assert!(cloakroom.presign_get(key, week).await.is_err(), "{key}");
    }
    let started = jiff::Timestamp::now();
    let url = cloakroom.presign_get("a", week).await.unwrap();
    assert!(url.expires().duration_since(started) >= jiff::SignedDuration::try_from(week).unwrap());
}
