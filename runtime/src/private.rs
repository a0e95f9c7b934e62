//! What expansions name. Not for people: whoever writes it by hand can grant themselves anything, and `check` refuses it.
//!
//! Versioned, so that macros and runtime of two versions can't meet unnoticed.

/// The first version.
pub mod v1 {
    pub use crate::__needs_postgres as needs_postgres;
    pub use crate::batch::Report;
    pub use crate::capability::{
        BucketResource, ConfigResource, DatabaseResource, Deduplicated, Delayed, Expiring, Exposed, ExternalResource,
        Partitioned, Presigned, QueueResource, Resource as ResourceType, SecretResource, StoreResource, TopicResource,
        config, key_of,
    };
    pub use crate::capability::{Migration, Migrations};
    pub use crate::ctx::Scope;
    pub use crate::engine::BoxFuture;
    pub use crate::error::{Error, Fallible};
    pub use crate::function::{Arguments, Caller, FunctionResource, Outcome, call_with_json, travels};
    pub use crate::grants::{Argument, Declares, Group, Members, Probe, Undeclared, argument};
    pub use crate::http::{
        ExtractsLast, ExtractsPart, Layer, Opens, Tag, last, layered, part, scope_within, serve, state,
    };
    pub use crate::key::partition;
    pub use crate::message::{
        Delivers, Publishes, consume, consume_batch, delivered, message_argument, published, tick,
    };
    pub use crate::object::{ObjectEvent, told};
    pub use crate::registry::{Dispatch, HANDLERS, Handler, Incoming, RESOURCES, Resource, Tick};
    pub use crate::schema::{Forms, accepted, queue_forms, topic_forms};
    pub use crate::shared::{AnyShared, Cloned, SharedValue, build};
    pub use crate::start::start;
    pub use bytes::Bytes;
    pub use linkme;
    pub use schemars;
    pub use secrecy::SecretString;
    pub use serde;
    pub use serde_json;
    pub use updraft_wire::{Grants, Record};
}
