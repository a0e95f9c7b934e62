//! From files to what is declared where: module trees, `cfg`, items, names.

pub mod sources;

pub use sources::{File, Sources};
