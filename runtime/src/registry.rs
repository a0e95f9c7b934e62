//! Every handler that is linked into this program. The attributes' expansions put them here; the compiler reads their
//! descriptors from the file instead.

use crate::capability::config::Mistake;
use crate::ctx::Scope;
use crate::engine::BoxFuture;
use crate::error::Error;
use crate::http::Layer;
use crate::object::ObjectEvent;
use crate::shared::Build;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::Grants;

/// All handlers, in no particular order.
#[linkme::distributed_slice]
pub static HANDLERS: [Handler];

/// All resources that are linked in, with the record's bytes, in no particular order.
#[linkme::distributed_slice]
pub static RESOURCES: [Resource];

/// A handler as the runtime sees it.
pub struct Handler {
    /// `shop::orders::ship`.
    pub id: &'static str,
    /// The same bytes as in the link section.
    pub descriptor: &'static [u8],
    /// What its parameters grant.
    pub grants: Grants,
    /// Milliseconds until it is given up.
    pub timeout_millis: u64,
    /// What runs it.
    pub dispatch: Dispatch,
}

/// A resource as the runtime sees it.
pub struct Resource {
    /// `orders`.
    pub id: &'static str,
    /// `queue`, …
    pub kind: &'static str,
    /// The same bytes as in the link section.
    pub descriptor: &'static [u8],
    /// For a config: reads and validates a value, at start.
    pub validate: Option<fn(&serde_json::Value) -> Result<(), Vec<Mistake>>>,
    /// For a store with partitions: how long a key's partition is.
    pub partition: Option<Partition>,
    /// For a database: what makes its tables.
    pub migrations: Option<&'static crate::capability::Migrations>,
}

/// How many of a key's bytes are its partition; `None` if they are no such key.
pub type Partition = fn(&[u8]) -> Option<usize>;

/// How a trigger runs a handler: plain fn pointers, so that axum's generics are instantiated once and not per handler.
pub enum Dispatch {
    /// A request.
    Http {
        /// Upper case: `POST`.
        method: &'static str,
        /// axum's syntax.
        route: &'static str,
        /// Extracts, calls, makes a response.
        serve: fn(Scope, Request) -> BoxFuture<'static, Response>,
    },
    /// A queue's message.
    Consumer {
        /// The queue's id.
        queue: &'static str,
        /// Attempts after the first.
        retries: u32,
        /// Reads the message and calls.
        deliver: Deliver,
    },
    /// Several of a queue's messages.
    Batch {
        /// The queue's id.
        queue: &'static str,
        /// Attempts after the first, of each message.
        retries: u32,
        /// Messages at once, at most.
        most: u32,
        /// How long it waits for so many.
        window_millis: u64,
        /// Reads the messages and calls.
        deliver: DeliverBatch,
    },
    /// A topic's message.
    Subscriber {
        /// The topic's id.
        topic: &'static str,
        /// Attributes that a message must have.
        when: &'static [(&'static str, &'static str)],
        /// Attempts after the first.
        retries: u32,
        /// Reads the message and calls.
        deliver: Deliver,
    },
    /// The clock.
    Schedule {
        /// Five fields.
        cron: &'static str,
        /// IANA name.
        timezone: &'static str,
        /// Whether a run may start while the last still runs.
        overlap: bool,
        /// Whether a missed run is made up for.
        run_missed: bool,
        /// Attempts after the first.
        retries: u32,
        /// Runs.
        run: fn(Scope, Tick) -> BoxFuture<'static, Result<(), Error>>,
    },
    /// A blob that was written or deleted.
    Object {
        /// The bucket's id.
        bucket: &'static str,
        /// Which of the two.
        event: ObjectEvent,
        /// How its key must begin.
        prefix: &'static str,
        /// How its key must end.
        suffix: &'static str,
        /// Attempts after the first.
        retries: u32,
        /// Reads the [`crate::Object`] and calls.
        deliver: Deliver,
    },
    /// A call. Callers in this process reach it through its type; this is for calls from outside (`invoke`, tests).
    Function {
        /// Takes its caller's scope and a JSON object of argument names; gives the result's JSON, or why there is none.
        call: fn(Scope, Bytes) -> BoxFuture<'static, crate::function::Answered>,
    },
    /// Requests under a path, for a router that the application brings along.
    Routes {
        /// Plain: `/legacy`, or `/`.
        prefix: &'static str,
        /// Makes the router, once.
        make: fn(&Scope) -> Router,
    },
    /// Requests to routes under a path, on their way.
    Layer {
        /// Plain: `/admin`, or `/`.
        path: &'static str,
        /// Of layers round one route, the lowest is the outermost.
        order: u32,
        /// Makes the layer, once.
        make: fn(&Scope) -> Arc<dyn Layer>,
    },
    /// The start.
    Shared {
        /// The value's type.
        value: TypeId,
        /// Makes the value, once.
        build: Build,
    },
}

/// How a message is handed to a consumer, a subscriber or an object's handler.
pub type Deliver = fn(Scope, Incoming) -> BoxFuture<'static, Result<(), Error>>;

/// How messages are handed to a batch's consumer. What it reports of each is in the report; the result is of the rest.
pub type DeliverBatch = fn(Scope, Vec<Incoming>, crate::batch::Report) -> BoxFuture<'static, Result<(), Error>>;

/// A message on its way into a handler.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The message.
    pub message: crate::engine::Message,
    /// Counted from 1, where the engine knows it.
    pub attempt: Option<u32>,
}

/// A schedule's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When the run was due.
    pub scheduled: jiff::Timestamp,
    /// Counted from 1, where the engine knows it.
    pub attempt: Option<u32>,
}

impl Resource {
    /// What its declaration says of this option.
    pub fn option(&self, name: &str) -> Option<String> {
        let records = updraft_wire::descriptor::decode(self.descriptor).ok()?;
        records.into_iter().find_map(|mut record| record.options.remove(name))
    }
}

impl Handler {
    /// For how long the handler remembers what it is done with, if it is declared with `once`.
    pub fn once(&self) -> Option<Duration> {
        let records = updraft_wire::descriptor::decode(self.descriptor).ok()?;
        let seconds = records.first()?.options.get("once")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Whether it is run by what is delivered to it, and not by who waits for an answer.
    pub(crate) fn takes_events(&self) -> bool {
        match self.dispatch {
            Dispatch::Consumer { .. }
            | Dispatch::Batch { .. }
            | Dispatch::Subscriber { .. }
            | Dispatch::Object { .. }
            | Dispatch::Schedule { .. } => true,
            Dispatch::Http { .. }
            | Dispatch::Function { .. }
            | Dispatch::Routes { .. }
            | Dispatch::Layer { .. }
            | Dispatch::Shared { .. } => false,
        }
    }

    /// Whether the handler's parameters grant this.
    pub fn grants(&self, kind: &str, resource: &str, access: &str) -> bool {
        fn covers(grants: &Grants, kind: &str, resource: &str, access: &str) -> bool {
            match grants {
                Grants::None => false,
                Grants::One { kind: k, resource: r, access: a } => {
                    *k == kind && *r == resource && (*a == access || *a == "read-write")
                }
                Grants::All(all) => all.iter().any(|grants| covers(grants, kind, resource, access)),
            }
        }
        covers(&self.grants, kind, resource, access)
    }
}

/// All handlers by id.
///
/// # Errors
/// Two handlers with one id: which.
pub fn handlers() -> Result<BTreeMap<&'static str, &'static Handler>, String> {
    let mut by_id = BTreeMap::new();
    for handler in HANDLERS {
        if by_id.insert(handler.id, handler).is_some() {
            return Err(format!("two handlers have the id `{}`", handler.id));
        }
    }
    Ok(by_id)
}

/// Hex blake3 over the canonical descriptors, sorted: the hash that a binding names.
///
/// # Errors
/// If a descriptor can't be read.
pub fn graph_hash() -> Result<String, updraft_wire::descriptor::DecodeError> {
    let mut all = Vec::new();
    for bytes in HANDLERS.iter().map(|handler| handler.descriptor).chain(RESOURCES.iter().map(|r| r.descriptor)) {
        all.extend(updraft_wire::descriptor::decode(bytes)?);
    }
    let mut canonical: Vec<_> = all.iter().map(updraft_wire::Descriptor::canonical).collect();
    canonical.sort();
    canonical.dedup();
    let mut hash = blake3::Hasher::new();
    for bytes in canonical {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(hash.finalize().to_hex().to_string())
}
