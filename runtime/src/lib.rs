//! What an application depends on: triggers, capabilities, engines, embedded mode and the test harness.

#[cfg(any(test, feature = "conformance"))]
#[doc(hidden)]
pub mod conformance;
pub mod ctx;
pub mod dispatch;
pub mod engine;
pub mod engines;
pub mod error;
pub mod inflight;
pub mod problem;
pub mod registry;
pub mod router;
