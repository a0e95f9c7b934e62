//! A message that comes again takes its pieces again.

include!(concat!(env!("OUT_DIR"), "/not_idempotent.rs"));

/// As the shop's own tests name it.
mod shop {
    pub use crate::{admin, mail, orders, warehouse};
}

#[path = "../found/mod.rs"]
mod found;
#[path = "../../../examples/shop/tests/promises/mod.rs"]
mod promises;

#[test]
fn a_message_that_comes_again_is_found() {
    found::within_200_seeds(|seed| promises::hold(updraft::test::app!(audit).chaos(seed)));
}
