//! Handlers: the triggers and the functions that they stand on. What runs once for the whole application (`#[shared]`,
//! `#[layer]`, `#[routes]`) is read here too: it has parameters, grants and an id as any handler has (`built.rs`).

mod parameters;
mod parse;
mod triggers;

pub use parameters::{BODY_EXTRACTORS, batch_of};
pub(crate) use parse::parse;
pub use triggers::OBJECT_EVENTS;

use crate::cron::Cron;
use crate::names::handler_id;
use crate::option::{OptionValue, canonical};
use crate::route::Route;
use syn::ext::IdentExt;
use syn::{Ident, LitStr, Path, Type, Visibility};

/// A function with a trigger.
#[cfg_attr(test, derive(Debug))]
pub struct Handler {
    /// What runs it.
    pub trigger: Trigger,
    /// The function's name.
    pub name: Ident,
    /// `name = "…"`, which keeps its id.
    pub pin: Option<LitStr>,
    /// The function's visibility.
    pub vis: Visibility,
    /// In order.
    pub parameters: Vec<Parameter>,
    /// What it returns; `()` if nothing is written.
    pub output: Type,
    /// Seconds until it is given up.
    pub timeout: u32,
    /// Attempts after the first; 0 where retrying is the caller's business.
    pub retries: u32,
    /// Bytes that a request's body may have, where that is said.
    pub body: Option<u64>,
    /// Seconds for which a consumer or subscriber returns a message of a newer version; 0 for other handlers.
    pub skew: u32,
    /// Seconds for which a consumer or subscriber remembers what it is done with; `None` if it doesn't.
    pub once: Option<u32>,
}

/// What runs a handler.
#[cfg_attr(test, derive(Debug))]
pub enum Trigger {
    /// `#[http(get, "/orders/{id}")]`
    Http {
        /// One of [`METHODS`].
        method: &'static str,
        /// The path.
        route: Route,
    },
    /// `#[consumer(Orders)]`
    Consumer {
        /// The queue.
        queue: Path,
        /// If it takes several messages at once.
        batch: Option<Batching>,
    },
    /// `#[subscriber(Shipped, when(region = "eu"))]`
    Subscriber {
        /// The topic.
        topic: Path,
        /// Attributes that a message must have.
        when: Vec<(Ident, LitStr)>,
    },
    /// `#[schedule("0 3 * * *")]`
    Schedule {
        /// When.
        cron: Cron,
        /// IANA name; `UTC` if nothing is written.
        timezone: String,
        /// Whether a run may start while the last still runs.
        overlap: bool,
        /// Whether a missed run is made up for, once.
        run_missed: bool,
    },
    /// `#[object(Uploads, created, prefix = "in/", suffix = ".png")]`
    Object {
        /// The bucket.
        bucket: Path,
        /// `created` or `removed`.
        event: &'static str,
        /// How a blob's key must begin.
        prefix: Option<LitStr>,
        /// How a blob's key must end.
        suffix: Option<LitStr>,
    },
    /// `#[function]`
    Function {
        /// Whether a failed call may be tried again.
        idempotent: bool,
        /// The name of the type that stands for it.
        type_name: Ident,
    },
    /// `#[routes("/legacy")]`: a router of axum's that the function makes.
    Routes {
        /// Where it is mounted; `/` for all that nothing else takes.
        prefix: Route,
    },
    /// `#[layer("/admin", order = 1)]`: a tower layer that the function makes.
    Layer {
        /// The routes at this path and below; `/` for all.
        path: Route,
        /// Of layers round one route, the lowest is the outermost.
        order: u32,
    },
    /// `#[shared]`: a value that the function makes.
    Shared {
        /// `T` of the `Result<T, …>` that it returns.
        value: Box<Type>,
    },
}

/// How a consumer of a `Batch<T>` gets its messages.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub struct Batching {
    /// Messages at once, at most.
    pub most: u32,
    /// Seconds that it waits for more of them; 0 if it takes what is there.
    pub window: u32,
}

impl Trigger {
    /// The descriptor's kind.
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
}

/// A parameter of a handler.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Parameter {
    /// Its name, where the pattern is one.
    pub name: Option<Ident>,
    /// Its type.
    pub ty: Type,
    /// What it is, as far as syntax tells.
    pub role: Role,
}

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A consumer's or subscriber's first parameter.
    Message,
    /// What callers of a `#[function]` send.
    Argument,
    /// A capability, a group, `Delivery`, `Tick`, an extractor: given by the runtime. Its grants are those of its type.
    Given,
}

/// The methods of `#[http]`.
pub const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

/// Types of the language, which a function's own type must not hide.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32", "u64", "u128",
    "usize",
];

impl Handler {
    /// Its id: its pin, else its path below `module` (`shop::orders`).
    pub fn id(&self, module: &str) -> String {
        handler_id(module, &self.name, self.pin.as_ref())
    }

    /// What the descriptor says beside id, kind and grants.
    pub fn options(&self) -> Vec<(String, OptionValue)> {
        let mut options: Vec<(String, OptionValue)> = Vec::new();
        let mut add = |name: &str, value| options.push((name.to_owned(), value));
        match &self.trigger {
            Trigger::Http { method, route } => {
                add("method", OptionValue::text(method));
                add("path", OptionValue::text(route.path()));
            }
            Trigger::Consumer { queue, batch } => {
                add("queue", OptionValue::Resource(queue.clone()));
                if let Some(Batching { most, window }) = batch {
                    add("batch", OptionValue::text(most));
                    add("window", OptionValue::text(window));
                }
            }
            Trigger::Subscriber { topic, when } => {
                add("topic", OptionValue::Resource(topic.clone()));
                for (name, value) in when {
                    add(&format!("when.{name}"), OptionValue::text(value.value()));
                }
            }
            Trigger::Schedule { cron, timezone, overlap, run_missed } => {
                add("cron", OptionValue::text(&cron.canonical));
                add("timezone", OptionValue::text(timezone));
                add("overlap", OptionValue::text(overlap));
                add("missed", OptionValue::text(if *run_missed { "run" } else { "skip" }));
            }
            Trigger::Object { bucket, event, prefix, suffix } => {
                add("bucket", OptionValue::Resource(bucket.clone()));
                add("event", OptionValue::text(event));
                for (name, text) in [("prefix", prefix), ("suffix", suffix)] {
                    if let Some(text) = text {
                        add(name, OptionValue::text(text.value()));
                    }
                }
            }
            Trigger::Function { idempotent, type_name: _ } => {
                let arguments = self.parameters.iter().filter(|parameter| parameter.role == Role::Argument);
                let names = arguments.filter_map(|argument| argument.name.as_ref());
                add(
                    "arguments",
                    OptionValue::text(names.map(|name| name.unraw().to_string()).collect::<Vec<_>>().join(",")),
                );
                add("idempotent", OptionValue::text(idempotent));
            }
            Trigger::Routes { prefix } => add("prefix", OptionValue::text(prefix.path())),
            Trigger::Layer { path, order } => {
                add("path", OptionValue::text(path.path()));
                add("order", OptionValue::text(order));
            }
            Trigger::Shared { value } => add("value", OptionValue::text(canonical(value))),
        }
        if let Some(body) = self.body {
            add("body", OptionValue::text(body));
        }
        match self.trigger {
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. } => {
                add("retries", OptionValue::text(self.retries));
            }
            Trigger::Http { .. }
            | Trigger::Function { .. }
            | Trigger::Routes { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => {}
        }
        if matches!(self.trigger, Trigger::Consumer { .. } | Trigger::Subscriber { .. }) {
            add("skew", OptionValue::text(self.skew));
            if let Some(once) = self.once {
                add("once", OptionValue::text(once));
            }
        }
        add("timeout", OptionValue::text(self.timeout));
        options
    }
}
