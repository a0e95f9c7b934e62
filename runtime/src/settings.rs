//! Every key of `Updraft.toml`, on one page: `settings.md`, for people who read the source and for those who read the
//! documentation.
//!
#![doc = include_str!("settings.md")]
