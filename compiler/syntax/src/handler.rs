//! Handlers: the triggers and the functions that they stand on. What runs once for the whole application (`#[shared]`,
//! `#[layer]`, `#[routes]`) is read here too: it has parameters, grants and an id as any handler has (`built.rs`).

use crate::arguments::Arguments;
use crate::built;
use crate::cron::{self, Cron};
use crate::diagnostic::{Diagnostic, Sink};
use crate::kinds::{GROUP, capability, inner_types, last_segment};
use crate::names::{Attribute, check_handler_pin, handler_id, one_of};
use crate::option::{OptionValue, canonical};
use crate::route::{self, Route};
use crate::signature::{self, Argument};
use crate::{Item, codes, zone};
use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::{Ident, LitStr, Path, ReturnType, Type, Visibility};
use updraft_wire::defaults;

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

/// Extractors that read the request's body, by name.
pub const BODY_EXTRACTORS: [&str; 7] = ["Json", "Form", "Multipart", "RawForm", "Bytes", "String", "Request"];

/// Types of the language, which a function's own type must not hide.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16", "u32", "u64", "u128",
    "usize",
];

/// The longest timeout, in seconds.
const LONGEST_TIMEOUT: u32 = 24 * 3_600;
/// The longest that a newer version's message is returned: a week, in seconds.
const LONGEST_SKEW: u32 = 7 * 86_400;
/// The longest that a handler remembers what it is done with: a year, in seconds.
const LONGEST_ONCE: u32 = 365 * 86_400;
/// The most retries.
const MOST_RETRIES: u32 = 100;

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

/// Reads a trigger and its function.
pub(crate) fn parse(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    item: Item<'_>,
    sink: &mut Sink,
) -> Option<Handler> {
    let Item::Function { below, vis, sig } = item else {
        sink.push(
            Diagnostic::at(codes::ITEM, item.span(), format!("`#[{}]` stands on a function", attribute.name()))
                .label("no function")
                .help(format!("put it on {}", built::shape(attribute))),
        );
        return None;
    };
    let (positional, known): (usize, &[&str]) = match attribute {
        Attribute::Http => (2, &["timeout", "body", "name"]),
        Attribute::Consumer => (1, &["batch", "window", "retries", "skew", "once", "timeout", "name"]),
        Attribute::Subscriber => (1, &["when", "retries", "skew", "once", "timeout", "name"]),
        Attribute::Schedule => (1, &["timezone", "overlap", "missed", "retries", "timeout", "name"]),
        Attribute::Object => (2, &["prefix", "suffix", "retries", "timeout", "name"]),
        Attribute::Routes => (1, &["timeout", "body", "name"]),
        Attribute::Layer => (1, &["order", "timeout", "name"]),
        Attribute::Shared => (0, &["timeout", "name"]),
        _ => (0, &["idempotent", "timeout", "type", "name"]),
    };
    let arguments = &mut Arguments::parse(attribute, at, arguments, positional, known, sink);
    let trigger = trigger(attribute, arguments, sig, sink);
    let pin = arguments.text("name", sink);
    if let Some(pin) = &pin {
        check_handler_pin(pin, sink);
    }
    let default = match attribute {
        Attribute::Http | Attribute::Routes | Attribute::Layer => defaults::HTTP_TIMEOUT_SECONDS,
        Attribute::Shared => defaults::SHARED_TIMEOUT_SECONDS,
        Attribute::Schedule => defaults::SCHEDULE_TIMEOUT_SECONDS,
        Attribute::Function => defaults::FUNCTION_TIMEOUT_SECONDS,
        _ => defaults::MESSAGE_TIMEOUT_SECONDS,
    };
    let timeout = arguments.seconds("timeout", LONGEST_TIMEOUT, sink).unwrap_or(default);
    let retries = match attribute {
        Attribute::Http | Attribute::Function | Attribute::Routes | Attribute::Layer | Attribute::Shared => 0,
        _ => arguments.number("retries", MOST_RETRIES, sink).unwrap_or(defaults::RETRIES),
    };
    let skew = match attribute {
        Attribute::Consumer | Attribute::Subscriber => {
            arguments.seconds("skew", LONGEST_SKEW, sink).unwrap_or(defaults::SKEW_SECONDS)
        }
        _ => 0,
    };
    let once_at = arguments.place("once");
    let once = match attribute {
        Attribute::Consumer | Attribute::Subscriber => {
            arguments.flag_or_seconds("once", defaults::ONCE_SECONDS, LONGEST_ONCE, sink)
        }
        _ => None,
    };
    if let (Some(at), Some(Trigger::Consumer { batch: Some(_), .. })) = (&once_at, &trigger) {
        sink.push(
            Diagnostic::new(codes::BATCH, at, "what is done once is taken one at a time")
                .label("beside a `Batch`")
                .help("take one message, or leave `once` away and let what each item does bear a second time"),
        );
    }
    let body = arguments.size("body", sink);
    other_triggers(attribute, pin.is_some(), below, sink);
    let before = sink.len();
    let written = match attribute {
        Attribute::Routes => signature::check_sync(sig, "a function with `#[routes]`", sink),
        Attribute::Layer => signature::check_sync(sig, "a function with `#[layer]`", sink),
        Attribute::Shared => signature::check(sig, "a function with `#[shared]`", sink),
        _ => signature::check(sig, "a handler", sink),
    };
    let parameters = roles(attribute, written, sig, sink);
    check_outcome(attribute, sig, sink);
    if sink.len() > before {
        return None;
    }
    Some(Handler {
        trigger: trigger?,
        name: sig.ident.clone(),
        pin,
        vis: vis.clone(),
        parameters,
        output: signature::output(sig),
        timeout,
        retries,
        skew,
        once,
        body,
    })
}

fn trigger(attribute: Attribute, arguments: &mut Arguments, sig: &syn::Signature, sink: &mut Sink) -> Option<Trigger> {
    let name = &sig.ident;
    Some(match attribute {
        Attribute::Routes | Attribute::Layer | Attribute::Shared => built::trigger(attribute, arguments, sig, sink)?,
        Attribute::Http => {
            let example = "http(get, \"/path\")";
            let method: Option<Ident> = arguments.next("a method", example, sink);
            let route: Option<LitStr> = method.as_ref().and_then(|_| arguments.next("a path", example, sink));
            let known = method.as_ref().and_then(|method| {
                let known = METHODS.into_iter().find(|known| method == known);
                if known.is_none() {
                    let lower = method.to_string().to_lowercase();
                    sink.push(
                        Diagnostic::new(codes::METHOD_NAME, method, format!("`{method}` is no method here"))
                            .label("no method")
                            .help(match crate::names::closest(&lower, METHODS) {
                                Some(meant) => format!("did you mean `{meant}`?"),
                                None => format!("it is {}", one_of(&METHODS)),
                            }),
                    );
                }
                known
            });
            let route = route.and_then(|route| route::parse(&route, sink));
            Trigger::Http { method: known?, route: route? }
        }
        Attribute::Consumer => {
            let queue = arguments.next("a queue", "consumer(Orders)", sink);
            let batch = batching(arguments, sig, sink);
            Trigger::Consumer { queue: queue?, batch }
        }
        Attribute::Subscriber => {
            let topic = arguments.next("a topic", "subscriber(Shipped)", sink);
            let when = arguments.list::<When>("when", "when(region = \"eu\")", sink);
            Trigger::Subscriber { topic: topic?, when: when.into_iter().map(|when| (when.0, when.1)).collect() }
        }
        Attribute::Schedule => {
            let cron = arguments.next("a cron expression", "schedule(\"0 3 * * *\")", sink);
            let cron = cron.and_then(|cron: LitStr| cron::parse(&cron, sink));
            let timezone = arguments.text("timezone", sink).map(|zone| zone::parse(&zone, sink));
            let overlap = arguments.flag("overlap", sink);
            let missed = arguments.choice("missed", &[("run", true), ("skip", false)], sink);
            Trigger::Schedule {
                cron: cron?,
                timezone: timezone.unwrap_or_else(|| Some("UTC".to_owned()))?,
                overlap,
                run_missed: missed.unwrap_or(false),
            }
        }
        Attribute::Object => {
            let example = "object(Uploads, created)";
            let bucket: Option<Path> = arguments.next("a bucket", example, sink);
            let event = bucket.as_ref().and_then(|_| arguments.next("an event", example, sink));
            let event = event.and_then(|event: Ident| event_named(&event, sink));
            let [prefix, suffix] = ["prefix", "suffix"].map(|name| arguments.text(name, sink));
            Trigger::Object { bucket: bucket?, event: event?, prefix, suffix }
        }
        _ => {
            let idempotent = arguments.flag("idempotent", sink);
            let type_name: Ident = arguments.value("type", "a name for the type", sink).unwrap_or_else(|| name.clone());
            if PRIMITIVES.iter().any(|primitive| type_name == primitive) {
                sink.push(
                    Diagnostic::new(
                        codes::TYPE_NAME,
                        &type_name,
                        format!("the type of this function would hide `{type_name}`"),
                    )
                    .label("a type of the language")
                    .help("give the type another name: `#[function(type = QuoteFn)]`"),
                );
            }
            Trigger::Function { idempotent, type_name }
        }
    })
}

/// The events of `#[object]`.
pub const OBJECT_EVENTS: [&str; 2] = ["created", "removed"];

fn event_named(event: &Ident, sink: &mut Sink) -> Option<&'static str> {
    let known = OBJECT_EVENTS.into_iter().find(|known| event == known);
    if known.is_none() {
        let lower = event.to_string().to_lowercase();
        let help = match crate::names::closest(&lower, OBJECT_EVENTS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it is {}", one_of(&OBJECT_EVENTS)),
        };
        sink.push(
            Diagnostic::new(codes::VALUE, event, format!("`{event}` is nothing that happens to an object"))
                .label("no event")
                .help(help),
        );
    }
    known
}

/// `batch = 100, window = "1s"`, for a first parameter that takes several messages.
fn batching(arguments: &mut Arguments, sig: &syn::Signature, sink: &mut Sink) -> Option<Batching> {
    let written = ["batch", "window"].map(|name| arguments.place(name));
    let [at, _] = &written;
    let most = arguments.number("batch", defaults::BATCH_MOST, sink);
    let window = arguments.seconds("window", defaults::BATCH_WINDOW_LONGEST_SECONDS, sink);
    let first = match sig.inputs.first() {
        Some(syn::FnArg::Typed(first)) => batch_of(&first.ty),
        _ => None,
    };
    if first.is_none() {
        if let Some(at) = written.iter().flatten().next() {
            sink.push(
                Diagnostic::new(codes::BATCH, at, "this consumer takes one message at a time")
                    .label("only for a `Batch<…>`")
                    .help("take several as the first parameter, `batch: Batch<Order>`, or leave the option away"),
            );
        }
        return None;
    }
    if most == Some(0) {
        sink.push(
            Diagnostic::at(codes::VALUE, at.as_ref().map_or(arguments.at, Ident::span), "`batch` can't be 0")
                .label("no message at all")
                .help(format!("it is a whole number from 1 to {}", defaults::BATCH_MOST)),
        );
    }
    let most = most.unwrap_or(defaults::BATCH);
    let default = if most > defaults::BATCH { defaults::BATCH_WINDOW_SECONDS } else { 0 };
    Some(Batching { most, window: window.unwrap_or(default) })
}

/// `T` of `Batch<T>`.
pub fn batch_of(ty: &Type) -> Option<&Type> {
    if !named(ty, "Batch") {
        return None;
    }
    inner_types(ty).next()
}

/// `region = "eu"`.
struct When(Ident, LitStr);

impl syn::parse::Parse for When {
    fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
        let name = input.parse()?;
        input.parse::<syn::Token![=]>()?;
        Ok(When(name, input.parse()?))
    }
}

/// A function has triggers of one kind; of several, each but one has a name of its own.
fn other_triggers(attribute: Attribute, pinned: bool, below: &[syn::Attribute], sink: &mut Sink) {
    let mut nameless = usize::from(!pinned);
    for other in below {
        let Some(segment) = other.path().segments.last() else { continue };
        let Some(found) = Attribute::from_name(&segment.ident.to_string()) else { continue };
        if found == Attribute::Extractor || found.is_trigger() && (found != attribute || found == Attribute::Function) {
            sink.push(
                Diagnostic::new(codes::TRIGGERS, &segment.ident, "a function has triggers of one kind")
                    .label(format!("beside `#[{}]`", attribute.name()))
                    .help("write a function for each, which call a third that does the work"),
            );
        } else if found == attribute {
            let named = other.meta.require_list().is_ok_and(|list| {
                crate::arguments::split(list.tokens.clone()).into_iter().any(|part| {
                    let mut tokens = part.into_iter();
                    tokens.next().is_some_and(|token| token.to_string() == "name") && tokens.next().is_some()
                })
            });
            nameless += usize::from(!named);
            if nameless > 1 {
                sink.push(
                    Diagnostic::new(
                        codes::TRIGGERS,
                        &segment.ident,
                        "of several triggers, each but one needs a `name`",
                    )
                    .label("the same id as the one above")
                    .help("give it an id of its own: `name = \"shop::orders::place_by_hand\"`"),
                );
            }
        }
    }
}

/// Types that are surely no `Result`; any other may be an alias of one, and rustc knows.
const NO_RESULTS: [&str; 8] = ["Box", "HashMap", "Json", "Option", "Response", "StatusCode", "String", "Vec"];

/// All but requests, whose answer says everything, end in a `Result`.
fn check_outcome(attribute: Attribute, sig: &syn::Signature, sink: &mut Sink) {
    let result = match attribute {
        Attribute::Http | Attribute::Routes | Attribute::Layer | Attribute::Shared => return,
        Attribute::Function => "Result<T>",
        _ => "Result<()>",
    };
    let diagnostic = |diagnostic: Diagnostic| {
        diagnostic
            .label("no `Result`")
            .help(format!("write `-> {result}`, with an error type of your own as the second if you like"))
    };
    let message = format!("a handler with `#[{}]` returns a `Result`", attribute.name());
    match &sig.output {
        ReturnType::Default => sink.push(diagnostic(Diagnostic::at(codes::OUTCOME, sig.ident.span(), message))),
        ReturnType::Type(_, ty) => {
            let surely = match &**ty {
                Type::Path(path) => path
                    .path
                    .segments
                    .last()
                    .is_some_and(|last| NO_RESULTS.iter().chain(&PRIMITIVES).any(|name| last.ident == name)),
                other => matches!(other, Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::ImplTrait(_)),
            };
            if surely {
                sink.push(diagnostic(Diagnostic::new(codes::OUTCOME, ty, message)));
            }
        }
    }
}

/// Tells parameters apart by trigger, place and name.
fn roles(attribute: Attribute, written: Vec<Argument>, sig: &syn::Signature, sink: &mut Sink) -> Vec<Parameter> {
    let count = written.len();
    if takes_message(attribute) {
        let help = match attribute {
            Attribute::Object => "it tells of the blob, and its type is `Object`".to_owned(),
            Attribute::Consumer => "its type is the one that the queue declares: `message = …`".to_owned(),
            _ => "its type is the one that the topic declares: `message = …`".to_owned(),
        };
        match written.first() {
            None if sig.inputs.is_empty() => sink.push(
                Diagnostic::at(codes::MESSAGE_FIRST, sig.ident.span(), "the message is the first parameter")
                    .label("takes no message")
                    .help(help),
            ),
            Some(first) if capability(&first.ty).is_some() || is_given(&first.ty) => sink.push(
                Diagnostic::new(codes::MESSAGE_FIRST, &first.ty, "the message is the first parameter")
                    .label("no message")
                    .help(help),
            ),
            _ => {}
        }
    }
    let batch = written.first().is_some_and(|first| batch_of(&first.ty).is_some());
    let mut parameters = Vec::new();
    for (at, Argument { name, ty }) in written.into_iter().enumerate() {
        let misplaced = match attribute {
            Attribute::Consumer if at > 0 && batch && named(&ty, "Delivery") => Some((
                "each message of a batch has a delivery of its own",
                "of which one?",
                "ask the item: `item.delivery()`",
            )),
            Attribute::Subscriber if at == 0 && batch => Some((
                "a subscriber takes one message at a time",
                "several",
                "take the message itself; a subscriber may send it to a queue, whose consumer takes a `Batch<…>`",
            )),
            _ => None,
        };
        if let Some((message, label, help)) = misplaced {
            sink.push(Diagnostic::new(codes::BATCH, &ty, message).label(label).help(help));
        }
        let role = match attribute {
            _ if at == 0 && takes_message(attribute) => Role::Message,
            Attribute::Function if capability(&ty).is_none() && !named(&ty, GROUP) => Role::Argument,
            _ => Role::Given,
        };
        if attribute == Attribute::Http && at + 1 < count && BODY_EXTRACTORS.iter().any(|body| named(&ty, body)) {
            let name = last_segment(&ty).map(|segment| segment.ident.to_string()).unwrap_or_default();
            sink.push(
                Diagnostic::new(codes::BODY_LAST, &ty, format!("`{name}` reads the request's body, so it comes last"))
                    .label("not the last parameter")
                    .help("move it to the end: the parameters after it have no body left to read"),
            );
        }
        if role == Role::Argument && name.is_none() {
            sink.push(
                Diagnostic::new(codes::ARGUMENT_NAME, &ty, "an argument of a function has a plain name")
                    .label("a pattern")
                    .help("callers send it by that name: take it apart in the body"),
            );
        }
        parameters.push(Parameter { name, ty, role });
    }
    parameters
}

/// Whether its handlers take what triggered them as their first parameter.
fn takes_message(attribute: Attribute) -> bool {
    matches!(attribute, Attribute::Consumer | Attribute::Subscriber | Attribute::Object)
}

fn named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// What is never a message.
fn is_given(ty: &Type) -> bool {
    [GROUP, "Delivery", "Tick"].iter().any(|name| named(ty, name))
}
