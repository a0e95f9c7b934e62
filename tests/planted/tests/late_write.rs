//! A delivery that was overtaken writes over what the other one has noted.

include!(concat!(env!("OUT_DIR"), "/late_write.rs"));

/// As the shop's own tests name it.
mod shop {
    pub use crate::{admin, mail, orders, warehouse};
}

#[path = "../found/mod.rs"]
mod found;
#[path = "../../../examples/shop/tests/promises/mod.rs"]
mod promises;

/// Deliveries that overlap are rare unless they are asked for.
#[test]
fn a_delivery_that_writes_too_late_is_found() {
    let often = |seed| updraft::test::Chaos::calm(seed).duplicates(0.9).stalls(0.1);
    found::within_200_seeds(|seed| promises::hold(updraft::test::app!(audit).chaos(often(seed))));
}
