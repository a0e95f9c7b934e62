//! A message leaves the outbox although its dead letter could not be kept.

include!(concat!(env!("OUT_DIR"), "/relay_letter_forgotten.rs"));

#[path = "../relay/mod.rs"]
mod relay;

#[tokio::test]
async fn what_has_no_letter_is_lost() {
    let Some(broken) = relay::broken().await else { return };
    assert!(broken.iter().any(|problem| problem.ends_with("is lost")));
}
