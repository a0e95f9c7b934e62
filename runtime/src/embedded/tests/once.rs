//! Effects once: duplicates, concurrent ones, and ends in the middle.

use super::*;
use std::path::Path;
use updraft_wire::Record;

const RECORD: Record = Record {
    id: "a::pay",
    kind: "consumer",
    file: "a.rs",
    line: 1,
    options: &[("once", "3600")],
    grants: Grants::None,
};
static DESCRIPTOR: [u8; RECORD.encoded_len()] = RECORD.encode();
static PAY: Handler = Handler {
    descriptor: &DESCRIPTOR,
    ..handler("a::pay", Dispatch::Consumer { queue: "orders", retries: 3, deliver: pay })
};

/// Counts its effects under the body; an effect takes its time.
fn pay(scope: Scope, incoming: Incoming) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move {
        let store = scope.store("kept")?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        for times in 1.. {
            let key = format!("{}/{times}", String::from_utf8_lossy(&incoming.message.body));
            if store.put("kept", key.as_bytes(), Bytes::new(), crate::engine::Expect::Absent, None).await? {
                break;
            }
        }
        if &incoming.message.body[..] == b"once" && incoming.attempt == Some(1) {
            return Err(Error::new("the effect was had, and yet it failed"));
        }
        Ok(())
    })
}

#[tokio::test]
async fn duplicates_have_one_effect_however_they_meet() {
    let app = app(&[&PAY]);
    let running = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move { dispatcher.run().await }
    });
    for _ in 0..20 {
        app.send("1", "fine").await;
    }
    let idle = async || {
        while !app.dispatcher.idle().unwrap() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if app.dispatcher.in_flight().count() == 0 {
                app.clock.advance(SECOND); // for those that waited for another
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), idle()).await.expect("worked off");
    assert_eq!(app.kept().await, ["fine/1"]);
    // Later, too; but not once the record is over.
    app.send("1", "fine").await;
    tokio::time::timeout(Duration::from_secs(20), idle()).await.expect("worked off");
    assert_eq!(app.kept().await, ["fine/1"]);
    app.clock.advance(Duration::from_secs(3600));
    app.send("1", "fine").await;
    app.send("2", "fine").await;
    tokio::time::timeout(Duration::from_secs(20), idle()).await.expect("worked off");
    assert_eq!(app.kept().await, ["fine/1", "fine/2", "fine/3"], "another message is another");
    assert!(app.engine.dead_letters().unwrap().is_empty());
    running.abort();
}

#[tokio::test]
async fn what_is_not_complete_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap());
    let open = |directory: &Path| {
        let engine = Embedded::open(directory, Topology::of([&PAY]), Arc::new(clock.clone())).unwrap();
        on(engine, clock.clone())
    };
    let program = open(directory.path());
    program.send("1", "once").await;
    program.settle().await;
    assert_eq!(program.kept().await, ["once/1", "once/2"], "a failure is no completion");

    // An end between the effect and the record: `once` can't tell that from an end before the effect.
    program.send("2", "fine").await;
    let lane = topology::queue_lane("orders");
    let [lease] = <[Lease; 1]>::try_from(program.engine.lease(&lane, 1, SECOND).await.unwrap()).unwrap();
    let incoming = Incoming { message: lease.message, attempt: Some(lease.attempt) };
    crate::dispatch::deliver(&program.ctx, &PAY, incoming).await.unwrap();
    drop(program);
    let program = open(directory.path());
    program.settle().await;
    assert_eq!(program.kept().await, ["fine/1", "fine/2", "once/1", "once/2"]);
    // Whereas what is recorded is recorded with the acknowledgement, and outlives the process.
    drop(program);
    let program = open(directory.path());
    program.send("2", "fine").await;
    program.settle().await;
    assert_eq!(program.kept().await.len(), 4);
}
