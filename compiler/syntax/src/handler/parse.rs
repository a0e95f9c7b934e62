//! Reads a handler: its attribute's options, and the rules that hold whatever triggers it.

use super::parameters::roles;
use super::triggers::trigger;
use super::{Handler, PRIMITIVES, Trigger};
use crate::arguments::Arguments;
use crate::diagnostic::{Diagnostic, Sink};
use crate::names::{Attribute, check_handler_pin};
use crate::{Item, built, codes, signature};
use proc_macro2::{Span, TokenStream};
use syn::{ReturnType, Type};
use updraft_wire::defaults;

/// The longest timeout, in seconds.
const LONGEST_TIMEOUT: u32 = 24 * 3_600;
/// The longest that a newer version's message is returned: a week, in seconds.
const LONGEST_SKEW: u32 = 7 * 86_400;
/// The longest that a handler remembers what it is done with: a year, in seconds.
const LONGEST_ONCE: u32 = 365 * 86_400;
/// The most retries.
const MOST_RETRIES: u32 = 100;

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
