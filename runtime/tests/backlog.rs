//! The embedded engine's memory under a long backlog, in a process of its own: `UPDRAFT_LONG=1` makes it a million messages.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use updraft::clock::SystemClock;
use updraft::embedded::{Embedded, Topology, topology};
use updraft::engine::{Channel, Message, Messaging};

#[tokio::test]
async fn a_long_backlog_stays_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Embedded::open(directory.path(), Topology::default(), Arc::new(SystemClock)).expect("opened");
    let long = std::env::var_os("UPDRAFT_LONG").is_some_and(|value| value == "1");
    let (messages, bytes, at_once) = if long { (1_000_000, 300, 1_000) } else { (24_000, 10_000, 100) };
    let before = resident();
    for begin in (0..messages).step_by(at_once) {
        let message = |number: usize| Message {
            id: number.to_string(),
            source: "//backlog/test".into(),
            time: Timestamp::UNIX_EPOCH,
            schema: None,
            trace: None,
            attributes: BTreeMap::new(),
            body: vec![b'x'; bytes].into(),
        };
        let batch = (begin..begin + at_once).map(message).collect();
        engine.publish(Channel::Queue("orders"), batch, Duration::ZERO).await.expect("sent");
    }
    let lane = topology::queue_lane("orders");
    for _ in 0..20 {
        assert!(!engine.is_empty(&lane).expect("read"));
        for lease in engine.lease(&lane, 32, Duration::from_secs(60)).await.expect("leased") {
            engine.put_back(lease, Duration::ZERO).await.expect("put back");
        }
    }
    assert_eq!(engine.orphans().expect("read").get(&*lane), Some(&messages), "nobody works the lane");
    let grown = resident().saturating_sub(before) >> 20;
    println!("{messages} messages of {bytes} bytes wait; the process grew by {grown} MiB");
    // The database's cache is 64 MiB; a commit of the batch above, and what the allocator keeps of it, come on top.
    assert!(grown < 200, "{grown} MiB for {} MiB of messages", (messages * bytes) >> 20);
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0);
    pages * 4096
}
