//! What an application depends on: triggers, capabilities, engines, embedded mode and the test harness.
//!
//! Attributes declare handlers ([`macro@http`], [`macro@consumer`], …) and resources ([`macro@queue`], [`macro@store`], …);
//! the page of each has its options. [`capability`] has what handlers take, `test` runs an application in memory.
//! [`contracts`] says what each resource promises, wherever it runs, and [`settings`] what `Updraft.toml` may say.

mod answer;
pub mod batch;
pub mod capability;
#[cfg(not(updraft_slim))]
pub mod chaos;
pub mod clock;
#[cfg(any(test, feature = "conformance"))]
#[doc(hidden)]
pub mod conformance;
pub mod contracts;
pub mod ctx;
pub mod database;
pub mod deadletter;
pub mod dispatch;
#[cfg(not(updraft_slim))]
pub mod embedded;
pub mod engine;
pub mod engines;
pub mod error;
pub mod faults;
pub mod function;
pub mod grants;
pub mod http;
pub mod inflight;
pub mod key;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(not(updraft_slim))]
pub mod local;
mod logging;
pub mod message;
pub mod object;
mod once;
pub mod prelude;
pub mod problem;
mod program;
pub mod registry;
pub mod router;
pub mod schema;
pub mod selection;
pub mod server;
pub mod settings;
pub mod shared;
pub mod start;
pub mod telemetry;
#[cfg(not(updraft_slim))]
pub mod test;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

/// The language of queries, for `Database`: the version that [`capability::Database`] speaks.
#[cfg(feature = "postgres")]
pub use sqlx;

pub use axum;
pub use prelude::*;
pub use updraft_macros::data;

/// Each `#[database]` expands to this: an expansion can't ask for features itself, for they would be the user's.
#[cfg(feature = "postgres")]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_postgres {
    () => {};
}

/// The same without the feature.
#[cfg(not(feature = "postgres"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_postgres {
    () => {
        ::core::compile_error!(
            "a `#[database]` needs updraft's feature `postgres`: in Cargo.toml, `updraft = { …, features = [\"postgres\"] }`\n\nhelp: `cargo updraft dev` and `cargo updraft build` turn it on by themselves"
        );
    };
}
