//! An account of AWS's on this machine, whose rights are enforced; and the shop in it.

mod account;
mod deployed;
mod shop;

pub use account::{Account, Stack, between};
pub use deployed::{deploy, zip};
pub use shop::DeployedShop;
