//! Parameters and responses of `#[http]` handlers.

pub(crate) mod adopted;
mod extract;
mod fence;
pub(crate) mod layers;
pub(crate) mod limit;
mod redirect;
mod rejection;

pub use extract::{Form, Json, Path, Query};
pub use fence::{
    ExtractsLast, ExtractsPart, Last, LastOf, Opens, Parameters, Part, PartOf, Tag, last, part, scope_within, serve,
    state,
};
pub use layers::{Guard, Layer, layered};
pub use redirect::Redirect;
