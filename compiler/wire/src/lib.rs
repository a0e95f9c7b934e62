//! Formats that the compiler and the running application must agree on: descriptors, ids, envelopes, bindings.
//!
//! No dependencies (serde only behind the feature `binding`, quick-xml behind `xml`), and what expansions use is const-friendly.

pub mod defaults;
pub mod descriptor;
pub mod envelope;
pub mod ids;
pub mod limits;
pub mod migrations;

#[cfg(feature = "binding")]
pub mod aws;
#[cfg(feature = "binding")]
pub mod binding;
#[cfg(feature = "xml")]
pub mod xml;

pub use descriptor::{Descriptor, Grants, Record};
