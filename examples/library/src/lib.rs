//! A library's desk, grown as a plain axum application and adopted route by route. README.md tells how, step by step.
#![forbid(unsafe_code)]
#![deny(warnings)]

pub mod books;
pub mod desk;
pub mod legacy;
pub mod loans;
pub mod polite;
