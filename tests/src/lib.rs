//! What whole-system tests share.

pub mod cluster;
pub mod depot;
pub mod http;
pub mod process;
pub mod servers;
pub mod sink;
