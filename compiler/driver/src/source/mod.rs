//! From files to what is declared where: module trees, `cfg`, items, names.

pub(crate) mod cfg;
pub mod codes;
pub(crate) mod file;
pub(crate) mod names;
pub(crate) mod path;
mod skim;
pub mod sources;
pub(crate) mod tree;

pub use sources::{File, Sources};
