//! Resources (types that attributes declare) and capabilities (`Kind<Name, Access>`, the way to reach them).

mod access;
mod bucket;
#[cfg(feature = "client")]
mod client;
pub mod config;
pub mod database;
mod external;
mod failure;
mod queue;
mod secret;
mod store;
mod topic;

pub use access::{AccessMode, CanRead, CanWrite, ReadOnly, ReadWrite, WriteOnly};
pub use bucket::{BlobReader, Bucket, BucketResource, Presigned, PresignedUrl};
#[cfg(feature = "client")]
pub use client::{Client, RequestBuilder};
pub use config::{Config, ConfigResource};
pub use database::{Database, DatabaseAccess, DatabaseResource, Migration, Migrations};
pub use external::{External, ExternalResource};
pub use failure::ResourceError;
pub use queue::{Deduplicated, Delayed, Queue, QueueResource, key_of};
pub use secret::{Exposed, Secret, SecretResource};
pub use store::{Expiring, InOrder, NoVersion, Partitioned, Scan, Store, StoreResource, Version, Versioned};
pub use topic::{Topic, TopicResource};

#[cfg(feature = "postgres")]
pub use database::Transaction;

use crate::ctx::{Operation, Scope};
use crate::engine::EngineResult;

/// What an attribute declared.
pub trait Resource: 'static {
    /// `mailer-key`; for a function its handler's id.
    const ID: &'static str;
}

mod sealed {
    /// What only this crate implements: whoever binds a parameter holds a scope, which reaches everything.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` can't be made a capability",
        label = "none of updraft's own kinds",
        note = "a group of capabilities is a struct with `#[derive(Capabilities)]`, taken as `With<…>`"
    )]
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// A parameter type that reaches one resource. The constants are what the descriptor says of it.
pub trait Capability: Sealed + Clone + Send + Sync + 'static {
    /// `queue`, `store`, …
    const KIND: &'static str;
    /// The resource's id.
    const RESOURCE: &'static str;
    /// `read`, `write`, `read-write` or `call`.
    const ACCESS: &'static str;

    #[doc(hidden)]
    fn bind(scope: &Scope) -> Self;
}

/// Begins every method of a capability: grants, faults.
fn check<C: Capability>(scope: &Scope, access: &'static str, method: &'static str) -> EngineResult<()> {
    scope.check(Operation { kind: C::KIND, resource: C::RESOURCE, access, method })
}

/// `Clone`, `Debug` and [`Capability`] for one that is a scope and a type (derives would ask for `R: Clone`).
macro_rules! capability {
    ([$($generics:tt)*] $type:ident<$($argument:ident),*>, $kind:expr, $access:expr) => {
        impl<$($generics)*> Clone for $type<$($argument),*> {
            fn clone(&self) -> Self {
                $type(self.0.clone(), std::marker::PhantomData)
            }
        }

        impl<$($generics)*> std::fmt::Debug for $type<$($argument),*> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($type), R::ID)
            }
        }

        impl<$($generics)*> crate::capability::Sealed for $type<$($argument),*> {}

        impl<$($generics)*> crate::capability::Capability for $type<$($argument),*> {
            const KIND: &'static str = $kind;
            const RESOURCE: &'static str = <R as crate::capability::Resource>::ID;
            const ACCESS: &'static str = $access;

            fn bind(scope: &crate::ctx::Scope) -> Self {
                $type(scope.clone(), std::marker::PhantomData)
            }
        }
    };
}
use capability;
