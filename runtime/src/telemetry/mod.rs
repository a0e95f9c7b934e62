//! Traces, metrics and logs, as OpenTelemetry has them.
//!
//! ```text
//! context   W3C trace context                tracer    ids, sampling      span   what is recorded
//! spans     which spans there are            engines   operations, watched
//! metrics   what is counted                  current   whose work it is   log    lines that say so
//! settings  `OTEL_*`                         resource  who speaks
//! export    batches to a collector           otlp      as OTLP            protobuf, post
//! start     put together
//! ```
//!
//! What happens is told to [`crate::ctx::Observer`]; spans begin and end where handlers do. Where nothing is traced the request
//! path holds no more than a look at an absent tracer: no allocation, no clock, no lock.
//!
//! Written by hand rather than with OpenTelemetry's crates: those add 0.9 MB and 37 crates to a static program (measured
//! with 0.33, batch exporters over the runtime's own HTTP client, link-time optimised and stripped).

mod context;
pub(crate) mod current;
mod engines;
mod export;
pub(crate) mod log;
pub(crate) mod metrics;
mod otlp;
mod post;
mod protobuf;
mod resource;
mod settings;
mod span;
pub(crate) mod spans;
pub(crate) mod start;
#[cfg(not(updraft_slim))]
#[cfg(test)]
mod tests;
mod tracer;

pub use context::TraceContext;
pub use engines::Held;
pub use settings::VARIABLES;
pub(crate) use span::Span;
pub use span::{Finished, Kind, Value};
pub use tracer::{Sampler, Sink, Tracer};
