//! What is made once for the whole application: `#[shared]` values, `#[layer]`s, and the routers of `#[routes]`.

use crate::arguments::Arguments;
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::handler::Trigger;
use crate::kinds::{inner_types, last_segment};
use crate::names::Attribute;
use crate::route::{self, Route, Segment};
use crate::signature;
use syn::{LitStr, ReturnType, Signature, Type};

/// The highest `order` of a layer.
const HIGHEST_ORDER: u32 = 1_000;

/// The function that an attribute stands on, for help.
pub(crate) fn shape(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Routes => "a `fn` that returns a `Router`",
        Attribute::Layer => "a `fn` that returns `impl Layer`",
        Attribute::Shared => "an `async fn` that returns a `Result`",
        _ => "an `async fn`",
    }
}

pub(crate) fn trigger(
    attribute: Attribute,
    arguments: &mut Arguments,
    sig: &Signature,
    sink: &mut Sink,
) -> Option<Trigger> {
    match attribute {
        Attribute::Routes => {
            let prefix = arguments.next("a path", "routes(\"/legacy\")", sink);
            let made = made(sig, "`#[routes]` makes an axum router", "write `-> Router`, axum's", sink);
            let prefix = prefix.and_then(|prefix: LitStr| plain_path(&prefix, sink));
            made.then_some(Trigger::Routes { prefix: prefix? })
        }
        Attribute::Layer => {
            let path = arguments.next("a path", "layer(\"/admin\")", sink);
            let order = arguments.number("order", HIGHEST_ORDER, sink).unwrap_or_default();
            let made = made(sig, "`#[layer]` makes a tower layer", "write `-> impl Layer`, or the layer's type", sink);
            let path = path.and_then(|path: LitStr| plain_path(&path, sink));
            made.then_some(Trigger::Layer { path: path?, order })
        }
        _ => Some(Trigger::Shared { value: Box::new(shared(sig, sink)?) }),
    }
}

/// `T` of the `Result<T, …>` that is written. By syntax: through an alias the orphan rule does not see that it is local.
fn shared(sig: &Signature, sink: &mut Sink) -> Option<Type> {
    let output = signature::output(sig);
    let value = inner_types(&output).next().filter(|_| last_segment(&output).is_some_and(|s| s.ident == "Result"));
    if value.is_none() {
        let message = "a function with `#[shared]` returns `Result<T>` or `Result<T, E>`";
        let diagnostic = match &sig.output {
            ReturnType::Default => Diagnostic::at(codes::MAKES, sig.ident.span(), message),
            written @ ReturnType::Type(..) => Diagnostic::new(codes::MAKES, written, message),
        };
        sink.push(diagnostic.label("no `Result` that says its type").help(
            "`T` is a type of your own, which handlers then take as `Shared<T>`; write it here, not an alias of the `Result`",
        ));
    }
    value.cloned()
}

/// Whether the function says what it returns.
fn made(sig: &Signature, message: &str, help: &str, sink: &mut Sink) -> bool {
    let says = matches!(sig.output, ReturnType::Type(..));
    if !says {
        sink.push(Diagnostic::at(codes::MAKES, sig.ident.span(), message).label("returns nothing").help(help));
    }
    says
}

/// A path of text alone.
fn plain_path(literal: &LitStr, sink: &mut Sink) -> Option<Route> {
    let route = route::parse(literal, sink)?;
    let odd = route.segments.iter().find_map(|segment| match segment {
        Segment::Parameter(_) | Segment::Rest(_) => Some("a parameter in it"),
        Segment::Text(text) if text.is_empty() => Some("a slash at its end"),
        Segment::Text(_) => None,
    });
    let Some(odd) = odd else { return Some(route) };
    sink.push(
        Diagnostic::new(codes::PREFIX, literal, format!("`{}` is no plain path: it has {odd}", literal.value()))
            .label("not plain")
            .help("write text alone: `/admin`, or `/` for the whole application"),
    );
    None
}
