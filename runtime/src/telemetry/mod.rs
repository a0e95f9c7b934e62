//! Traces, metrics and logs, as OpenTelemetry has them.
//!
//! ```text
//! context   W3C trace context                tracer    ids, sampling      span   what is recorded
//! spans     which spans there are            engines   operations, watched
//! ```
//!
//! What happens is told to [`crate::ctx::Observer`]; spans begin and end where handlers do. Where nothing is traced the request
//! path holds no more than a look at an absent tracer: no allocation, no clock, no lock.
//!
//! Written by hand rather than with OpenTelemetry's crates: those add 0.9 MB and 37 crates to a static program (measured
//! with 0.33, batch exporters over the runtime's own HTTP client, link-time optimised and stripped).

mod context;
mod engines;
mod span;
pub(crate) mod spans;
#[cfg(not(updraft_slim))]
#[cfg(test)]
mod tests;
mod tracer;

pub use context::TraceContext;
pub use engines::Held;
pub(crate) use span::Span;
pub use span::{Finished, Kind, Value};
pub use tracer::{Sampler, Sink, Tracer};
