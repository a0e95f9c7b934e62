//! What whole-system tests share.

pub mod cluster;
pub mod servers;
