//! An order is sent before it is written down as placed: it may be shipped by then, and is placed for ever.

include!(concat!(env!("OUT_DIR"), "/effect_before_check.rs"));

/// As the shop's own tests name it.
mod shop {
    pub use crate::{admin, mail, orders, warehouse};
}

#[path = "../found/mod.rs"]
mod found;
#[path = "../../../examples/shop/tests/promises/mod.rs"]
mod promises;

#[test]
fn an_order_that_is_shipped_too_early_is_found() {
    found::within_200_seeds(|seed| promises::hold(updraft::test::app!(audit).chaos(seed)));
}
