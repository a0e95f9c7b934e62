//! Each test of this package is the shop with one mistake in it: `build.rs` plants them into copies of the shop's own sources,
//! so that they can't drift. The promises that the shop keeps under chaos are broken by each within 200 seeds.
//!
//! The outbox's relay is copied too, in the same way (`relay_….rs`): what it promises is broken by each mistake within forty
//! seeds, and by the relay as it is by none.
