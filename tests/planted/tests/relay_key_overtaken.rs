//! A key's next message goes out while the one before it waits.

include!(concat!(env!("OUT_DIR"), "/relay_key_overtaken.rs"));

#[path = "../relay/mod.rs"]
mod relay;

#[tokio::test]
async fn what_waits_is_overtaken() {
    let Some(broken) = relay::broken().await else { return };
    assert!(broken.iter().any(|problem| problem.contains("comes after")));
}
