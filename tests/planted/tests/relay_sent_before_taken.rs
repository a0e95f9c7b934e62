//! A message is marked as sent before the broker has taken it.

include!(concat!(env!("OUT_DIR"), "/relay_sent_before_taken.rs"));

#[path = "../relay/mod.rs"]
mod relay;

#[tokio::test]
async fn what_is_sent_before_it_was_taken_is_lost() {
    let Some(broken) = relay::broken().await else { return };
    assert!(broken.iter().any(|problem| problem.ends_with("is lost")));
}
