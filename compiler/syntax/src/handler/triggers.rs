//! What runs a handler, read from its attribute.

use super::parameters::batch_of;
use super::{Batching, METHODS, PRIMITIVES, Trigger};
use crate::arguments::Arguments;
use crate::diagnostic::{Diagnostic, Sink};
use crate::names::{Attribute, one_of};
use crate::{built, codes, cron, route, zone};
use syn::{Ident, LitStr, Path};
use updraft_wire::defaults;

/// The trigger that an attribute says.
pub(super) fn trigger(
    attribute: Attribute,
    arguments: &mut Arguments,
    sig: &syn::Signature,
    sink: &mut Sink,
) -> Option<Trigger> {
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

/// `region = "eu"`.
struct When(Ident, LitStr);

impl syn::parse::Parse for When {
    fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
        let name = input.parse()?;
        input.parse::<syn::Token![=]>()?;
        Ok(When(name, input.parse()?))
    }
}
