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
//!
//! # Chaos
//!
//! [`AppBuilder::chaos`] plays what a cloud may do, decided by a seed: messages come late, twice and out of turn; operations
//! fail before or after they took effect; attempts, acknowledgements and the whole process are lost ([`Chaos`] has the
//! knobs). Attempts at messages and requests interleave at each operation in an order that the seed chooses, also while the
//! test awaits a request; requests that are awaited together (`tokio::join!`) do too. [`for_seeds`] holds an invariant
//! against many seeds; a failure says with which, which faults it needs, and how to play it again:
//!
//! ```
//! use std::collections::BTreeSet;
//! use updraft::prelude::*;
//! use updraft::test::for_seeds;
//!
//! #[updraft::data]
//! pub struct Visit { page: String, visitor: u32 }
//!
//! #[queue(message = Visit)]
//! pub struct Visits;
//!
//! /// Who was on each page.
//! #[store(key = String, value = BTreeSet<u32>)]
//! pub struct Visitors;
//!
//! // A set, since a message may come again; an `update`, since another may be worked on at the same time.
//! #[consumer(Visits)]
//! async fn count(visit: Visit, visitors: Store<Visitors>) -> Result<()> {
//!     let add = |visitors: Option<BTreeSet<u32>>| {
//!         let mut visitors = visitors.unwrap_or_default();
//!         visitors.insert(visit.visitor);
//!         visitors
//!     };
//!     visitors.update(&visit.page, add).await?;
//!     Ok(())
//! }
//!
//! fn main() { // a plain `#[test]` function
//!     for_seeds(50, |seed| async move {
//!         let app = updraft::test::app!().chaos(seed).start().await;
//!         for visitor in 0..5 {
//!             app.queue::<Visits>().send(&Visit { page: "home".into(), visitor }).await.unwrap();
//!         }
//!         app.settle().await;
//!         assert_eq!(app.store::<Visitors>().get("home").await.unwrap().unwrap().len(), 5);
//!     });
//! }
//! ```
//!
//! Chaos stays within the contracts: it loses nothing that was acknowledged, keeps the order of an ordered queue's keys, and
//! spares the last attempt at each message, so that it is never the reason that one is given up. What the test itself does
//! (`app.store`, `app.queue`) never fails; requests may, as clients see it: 500, 503, or 502 for a handler that crashed. Some
//! of what fails comes again only when time has passed: [`App::settle`] lets it, [`App::drain`] does not.
//!
//! The same seed plays the same events ([`App::trace`]): one thread, a clock of its own, ids from the seed. What a handler
//! does past that is up to the handler: tasks that it spawns, the system's time, other sources of chance, a `HashMap`'s order,
//! `tokio::select!` without `biased`. Real input and output (a stand-in of an external, a database) is waited for while
//! nothing else happens, so that how long it takes decides nothing; but it is no step that fails, except for requests to
//! stand-ins.

mod app;
mod faults;
mod http;
mod outside;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
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
