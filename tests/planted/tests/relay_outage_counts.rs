//! An attempt that finds the broker away counts as a refusal.

include!(concat!(env!("OUT_DIR"), "/relay_outage_counts.rs"));

#[path = "../relay/mod.rs"]
mod relay;

#[tokio::test]
async fn what_an_outage_gives_up_is_found() {
    let Some(broken) = relay::broken().await else { return };
    assert!(broken.iter().any(|problem| problem.contains("is given up after")));
}
