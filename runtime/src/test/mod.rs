//! For an application's own tests: the whole of it in memory ([`App`]), or single capabilities for handlers that a test
//! calls directly ([`store`], [`queue()`], [`function`] and their like).
//!
//! ```ignore
//! #[tokio::test]
//! async fn an_order_is_shipped() {
//!     let app = updraft::test::app!(shop, audit).start().await;
//!     let answer = app.post("/orders").json(&order("1")).await;
//!     assert_eq!(answer.status(), 202);
//!     app.drain().await;                                            // the queue and what follows from it
//!     assert_eq!(app.store::<Progress>().get("1").await.unwrap(), Some(Status::Shipped));
//! }
//! ```
//!
//! It is the laptop's engine with its state in memory: at least once, retries with pauses, dead letters, limits and grants
//! are those of `dev`. Time stands still until the test advances it, and one seed decides what is left to chance. Function
//! calls go through serialisation, so that a type that can't make the trip fails here.

mod app;
mod faults;
mod http;
mod outside;
#[cfg(feature = "postgres")]
mod postgres;
mod script;
mod seeds;
mod simulation;
mod trace;
mod units;

pub use app::{App, AppBuilder, TestQueue};
pub use faults::Fault;
pub use http::{Answered, Request};
pub use outside::Received;
pub use seeds::{Broken, Outcome, for_seeds, replay, try_seeds};
pub use serde_json::{Value, json};
pub use trace::Trace;
#[cfg(feature = "postgres")]
pub use units::database;
pub use units::{Sent, bucket, config, external, function, queue, secret, store, topic};

pub use crate::__test_app as app;
pub use crate::chaos::Chaos;
pub use crate::deadletter::DeadLetter;

/// The application of these crates, in memory: `updraft::test::app!(shop, audit)` gives an
/// [`AppBuilder`]. It names each crate that holds handlers, as `updraft::main!` does.
#[doc(hidden)]
#[macro_export]
macro_rules! __test_app {
    ($($handlers:ident),* $(,)?) => {{
        $(#[allow(unused_imports)] use $handlers as _;)*
        $crate::test::AppBuilder::new(::core::env!("CARGO_PKG_NAME"))
    }};
}

use crate::capability::Capability;
use crate::ctx::{Ctx, Invocation};
use crate::engine::EngineResult;
use crate::registry::{Dispatch, Handler};
use updraft_wire::Grants;

/// The id under which a test itself acts.
const TESTER: &str = "test";

/// A capability as the test itself holds it: an invocation that never ends, of a handler that has this grant alone.
fn held<C: Capability>(ctx: &Ctx) -> C {
    let handler = const {
        &Handler {
            id: TESTER,
            descriptor: &[],
            grants: Grants::One { kind: C::KIND, resource: C::RESOURCE, access: C::ACCESS },
            timeout_millis: u64::MAX,
            dispatch: Dispatch::Function { call: |_, body| Box::pin(async { Ok(body) }) },
        }
    };
    C::bind(&ctx.scope(handler, Invocation { deadline: jiff::Timestamp::MAX, trace: None }))
}

/// What no test wants to handle: the engine's own failures.
#[track_caller]
fn sound<T>(result: EngineResult<T>) -> T {
    result.unwrap_or_else(|error| panic!("the engine failed: {error}"))
}
