//! Each test of this package is the shop with one mistake in it: `build.rs` plants them into copies of the shop's own sources,
//! so that they can't drift. The promises that the shop keeps under chaos are broken by each within 200 seeds.
