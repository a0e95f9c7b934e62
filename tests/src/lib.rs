//! What whole-system tests share.

pub mod aws;
pub mod cargo;
pub mod cluster;
pub mod collector;
pub mod day;
pub mod deploying;
pub mod depot;
pub mod http;
pub mod lambda;
pub mod process;
pub mod servers;
pub mod shop;
pub mod sink;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
