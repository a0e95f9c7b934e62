//! The outbox's relay, copied and left as it is: what finds mistakes in the other copies finds none here.

include!(concat!(env!("OUT_DIR"), "/relay_as_it_is.rs"));

#[path = "../relay/mod.rs"]
mod relay;

#[tokio::test]
async fn the_relay_keeps_its_promises() {
    let Some(broken) = relay::broken().await else { return };
    assert!(broken.is_empty(), "{broken:?}");
}
