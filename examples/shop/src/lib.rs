//! A small shop: customers place orders, a queue ships them, and whoever wants to know is told.
#![forbid(unsafe_code)]
#![deny(warnings)]

pub mod admin;
pub mod mail;
pub mod orders;
pub mod pricing;
pub mod reports;
pub mod warehouse;
