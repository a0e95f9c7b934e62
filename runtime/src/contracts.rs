//! What is promised, on one page: `contracts.md`, for people who read the source and for those who read the documentation.
//!
#![doc = include_str!("contracts.md")]
