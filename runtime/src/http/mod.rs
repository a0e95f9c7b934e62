//! Parameters and responses of `#[http]` handlers.

mod extract;
mod fence;
mod redirect;

pub use extract::{Form, Json, Path, Query};
pub use fence::{
    ExtractsLast, ExtractsPart, Last, LastOf, Opens, Parameters, Part, PartOf, Tag, last, part, scope_within, serve,
};
pub use redirect::Redirect;
