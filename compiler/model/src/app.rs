//! `App`: handlers, resources and grants, as the source view found them. Its JSON form is `graph --format json`.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The version of [`App`]'s JSON form.
pub const FORMAT: u32 = 1;

/// A whole application. Lists are sorted by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// [`FORMAT`].
    pub format: u32,
    /// The app's name: the package's unless `Updraft.toml` says otherwise.
    pub name: String,
    /// The package that holds the program.
    pub package: String,
    /// The crates whose handlers the program names (`main!(shop, audit)`), in source order.
    pub crates: Vec<String>,
    /// All handlers.
    pub handlers: Vec<Handler>,
    /// All resources.
    pub resources: Vec<Resource>,
}

/// A place in the source. Paths are relative to the workspace's root, with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `examples/shop/src/orders.rs`.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// Byte range within the file.
    pub start: usize,
    /// Byte range within the file.
    pub end: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An annotated function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handler {
    /// `shop::orders::ship`.
    pub id: String,
    /// The crate's name, as in paths.
    pub krate: String,
    /// The module below the crate's root (`orders`), empty at the root.
    pub module: String,
    /// What runs it.
    pub trigger: Trigger,
    /// What it reaches.
    pub grants: BTreeSet<Grant>,
    /// Seconds until it is given up.
    pub timeout: u32,
    /// Attempts after the first; 0 where retrying is the caller's business (http, function).
    pub retries: u32,
    /// What the attribute says, canonical, defaults included: what the descriptor carries.
    pub options: BTreeMap<String, String>,
    /// The first paragraph of its doc comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The function's name.
    pub place: Place,
}

/// What runs a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Trigger {
    /// A request.
    Http {
        /// `get`, `post`, `put`, `patch`, `delete`, `head` or `options`.
        method: String,
        /// axum's syntax, `/orders/{id}`.
        path: String,
    },
    /// A message of a queue: one handler gets it.
    Consumer {
        /// The queue's id.
        queue: String,
    },
    /// A message of a topic: every subscriber gets it.
    Subscriber {
        /// The topic's id.
        topic: String,
        /// Attributes that a message must have (`when(region = "eu")`).
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        when: BTreeMap<String, String>,
    },
    /// The clock.
    Schedule {
        /// Five fields, as written.
        cron: String,
        /// IANA name.
        timezone: String,
        /// Whether a run may start while the last still runs.
        overlap: bool,
        /// Whether a run that was missed (nobody was up) is made up for, once.
        run_missed: bool,
    },
    /// A blob that was written or deleted.
    Object {
        /// The bucket's id.
        bucket: String,
        /// Which of the two.
        event: ObjectEvent,
        /// How the blob's key must begin.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// How the blob's key must end.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        suffix: String,
    },
    /// A call by another handler.
    Function {
        /// Whether a call may be retried.
        idempotent: bool,
    },
    /// Requests under a path, for a router of axum's that the function makes.
    Routes {
        /// `/legacy`; `/` for all that no other handler takes.
        prefix: String,
    },
    /// Requests to routes under a path, on their way to their handlers: a tower layer that the function makes.
    Layer {
        /// `/admin`; `/` for all routes.
        path: String,
        /// Of layers round one route, the lowest is the outermost.
        order: u32,
    },
    /// The start: the function makes a value that handlers share.
    Shared {
        /// Its type, as it is written where it is made.
        value: String,
    },
}

/// Whether a path is `prefix` or below it. Both are plain: text alone.
pub fn is_under(path: &str, prefix: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What happens to a bucket's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectEvent {
    /// A blob was written, whether or not there was one.
    Created,
    /// A blob was deleted.
    Removed,
}

impl ObjectEvent {
    /// `created` or `removed`.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectEvent::Created => "created",
            ObjectEvent::Removed => "removed",
        }
    }
}

impl Handler {
    /// Whether it is declared with `once`: what it is done with is recorded.
    pub fn is_once(&self) -> bool {
        self.options.contains_key("once")
    }

    /// Whether messages run it, or what a target makes a message of: it is tried again, and has dead letters.
    pub fn takes_messages(&self) -> bool {
        match self.trigger {
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. } => true,
            Trigger::Http { .. }
            | Trigger::Function { .. }
            | Trigger::Routes { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => false,
        }
    }
}

impl Trigger {
    /// `http`, `consumer`, `subscriber`, `schedule`, `object`, `function`, `routes`, `layer` or `shared`: the descriptor's
    /// kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Trigger::Http { .. } => "http",
            Trigger::Consumer { .. } => "consumer",
            Trigger::Subscriber { .. } => "subscriber",
            Trigger::Schedule { .. } => "schedule",
            Trigger::Object { .. } => "object",
            Trigger::Function { .. } => "function",
            Trigger::Routes { .. } => "routes",
            Trigger::Layer { .. } => "layer",
            Trigger::Shared { .. } => "shared",
        }
    }

    /// The resource that runs it: whose messages, or what happens to whose blobs.
    pub fn source(&self) -> Option<(Kind, &str)> {
        match self {
            Trigger::Consumer { queue } => Some((Kind::Queue, queue)),
            Trigger::Subscriber { topic, .. } => Some((Kind::Topic, topic)),
            Trigger::Object { bucket, .. } => Some((Kind::Bucket, bucket)),
            Trigger::Http { .. }
            | Trigger::Schedule { .. }
            | Trigger::Function { .. }
            | Trigger::Routes { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => None,
        }
    }

    /// Whether a message runs it only if its attributes are as it asks.
    pub fn filters(&self) -> bool {
        match self {
            Trigger::Subscriber { when, .. } => !when.is_empty(),
            Trigger::Http { .. }
            | Trigger::Consumer { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. }
            | Trigger::Routes { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => false,
        }
    }

    /// The path that clients ask for, where they do: a route's, or an adopted router's prefix.
    pub fn route(&self) -> Option<&str> {
        match self {
            Trigger::Http { path, .. } => Some(path),
            Trigger::Routes { prefix } => Some(prefix),
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => None,
        }
    }

    /// Whether a layer round `path` stands round requests of it: a route under the path, or an adopted router that has
    /// some.
    pub fn is_layered(&self, path: &str) -> bool {
        match self {
            Trigger::Http { path: route, .. } => is_under(route, path),
            Trigger::Routes { prefix } => is_under(prefix, path) || is_under(path, prefix),
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => false,
        }
    }

    /// Whether it has no traffic of its own and no unit: it is part of every unit that needs it.
    pub fn is_everywhere(&self) -> bool {
        matches!(self, Trigger::Layer { .. } | Trigger::Shared { .. })
    }
}

/// An edge from a handler to what it reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The capability's kind.
    pub kind: Kind,
    /// The resource's id, or the handler's for [`Kind::Function`] and [`Kind::Shared`].
    pub resource: String,
    /// How far it goes.
    pub access: Access,
}

/// The kinds of capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One consumer gets each message.
    Queue,
    /// Every subscriber gets each message.
    Topic,
    /// Key–value.
    Store,
    /// Blobs.
    Bucket,
    /// PostgreSQL.
    Database,
    /// A value nobody prints.
    Secret,
    /// A typed, validated struct.
    Config,
    /// Another handler.
    Function,
    /// Hosts outside the app.
    External,
    /// A value that a handler with `#[shared]` makes.
    Shared,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 10] = [
        Kind::Queue,
        Kind::Topic,
        Kind::Store,
        Kind::Bucket,
        Kind::Database,
        Kind::Secret,
        Kind::Config,
        Kind::Function,
        Kind::External,
        Kind::Shared,
    ];

    /// `queue`, …: as in descriptors and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Queue => "queue",
            Kind::Topic => "topic",
            Kind::Store => "store",
            Kind::Bucket => "bucket",
            Kind::Database => "database",
            Kind::Secret => "secret",
            Kind::Config => "config",
            Kind::Function => "function",
            Kind::External => "external",
            Kind::Shared => "shared",
        }
    }

    /// Whether it keeps data between requests, so that a cloud target needs a binding for it.
    pub fn is_stateful(self) -> bool {
        matches!(self, Kind::Store | Kind::Bucket | Kind::Database)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reads only.
    Read,
    /// Writes only.
    Write,
    /// Both.
    ReadWrite,
    /// Calls.
    Call,
}

impl Access {
    /// `read`, `write`, `read-write` or `call`.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::ReadWrite => "read-write",
            Access::Call => "call",
        }
    }

    /// Whether it covers reading.
    pub fn reads(self) -> bool {
        matches!(self, Access::Read | Access::ReadWrite)
    }

    /// Whether it covers writing.
    pub fn writes(self) -> bool {
        matches!(self, Access::Write | Access::ReadWrite)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A declared resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `mailer-key`.
    pub id: String,
    /// Its kind; never [`Kind::Function`] or [`Kind::Shared`].
    pub kind: Kind,
    /// Its type's path, `shop::mail::MailerKey`.
    pub path: String,
    /// Who outside the app uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<Access>,
    /// The declaration's other options, canonical (`message`, `key`, `value`, `ttl`, `hosts`, `optional`, …): what the
    /// descriptor carries.
    pub options: BTreeMap<String, String>,
    /// For [`Kind::External`]: `hooks.example.com:443`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The first paragraph of its doc comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The type's name.
    pub place: Place,
}

impl App {
    /// The handler of this id.
    pub fn handler(&self, id: &str) -> Option<&Handler> {
        self.handlers.binary_search_by(|handler| handler.id.as_str().cmp(id)).ok().map(|at| &self.handlers[at])
    }

    /// The resource of this kind and id.
    pub fn resource(&self, kind: Kind, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.id == id)
    }
}
