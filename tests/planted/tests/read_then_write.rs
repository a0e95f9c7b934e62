//! Reserving reads the shelf, then writes it: two orders at the same time, and pieces are promised twice.

include!(concat!(env!("OUT_DIR"), "/read_then_write.rs"));

/// As the shop's own tests name it.
mod shop {
    pub use crate::{admin, mail, orders, warehouse};
}

#[path = "../found/mod.rs"]
mod found;
#[path = "../../../examples/shop/tests/promises/mod.rs"]
mod promises;

#[test]
fn two_that_read_before_either_writes_are_found() {
    found::within_200_seeds(|seed| promises::hold(updraft::test::app!(audit).chaos(seed)));
}
