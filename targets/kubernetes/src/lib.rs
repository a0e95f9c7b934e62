//! Typed Kubernetes manifests and the one YAML emitter.
//!
//! [`resources`] holds small structs of our own, one file per kind: only the fields that we set, in the order in which people
//! read them. [`yaml`] writes them; [`document`] puts comments above.

pub mod document;
pub mod hash;
pub mod names;
pub mod resources;
pub mod yaml;

pub use document::Document;
