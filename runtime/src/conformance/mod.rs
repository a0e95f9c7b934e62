//! What every engine of stores, of buckets, and of queues and topics must do, whatever stands behind it: one suite for all of them. Each part
//! panics at the first promise that is not kept.

mod bucket;
pub mod messaging;
mod ordered;
mod presigned;
mod store;

pub use bucket::{bucket, buckets_do_not_meet};
pub use messaging::messaging;
pub use ordered::ordered_store;
pub use presigned::{Ask, presigned};
pub use store::store;

use crate::engine::BoxFuture;
use std::time::Duration;

/// How a suite meets an engine.
pub struct Conditions {
    /// Lets time pass for the engine: sleeps, or advances its clock.
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Whether a server keeps blobs as files named by their keys, so that `a` and `a/b` can't be there at once nor keys be
    /// long. No engine of ours may.
    pub blobs_are_files: bool,
    /// Whether of several writes under one condition only one succeeds. A server for tests may not know how.
    pub conditions_are_atomic: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions {
            pass: Box::new(|time| Box::pin(tokio::time::sleep(time))),
            blobs_are_files: false,
            conditions_are_atomic: true,
        }
    }
}
