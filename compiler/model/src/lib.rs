//! The application as plain data, and the contracts between the compiler's stages and its targets.
//!
//! Formats and contracts, little behaviour: [`App`] is what the source view sees, the graph joins it, [`Plan`] is what a
//! [`Target`] lowers to [`Artifacts`]. Whoever finds something wrong says so in a [`Sink`].

pub mod app;
pub mod artifacts;
pub mod diagnostic;
pub mod plan;
pub mod settings;
pub mod target;

pub use app::{Access, App, Grant, Handler, Kind, ObjectEvent, Place, Resource, Trigger};
pub use artifacts::{Artifact, Artifacts};
pub use diagnostic::{Diagnostic, Explain, Label, Severity, Sink};
pub use plan::{Plan, Unit, ZERO_DIGEST};
pub use settings::Settings;
pub use target::{Capabilities, Guarantee, Limits, Target};
