//! A handler's parameters: what each is, and where it may stand.

use super::{Parameter, Role};
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::kinds::{GROUP, capability, inner_types, last_segment};
use crate::names::Attribute;
use crate::signature::Argument;
use syn::Type;

/// Extractors that read the request's body, by name.
pub const BODY_EXTRACTORS: [&str; 7] = ["Json", "Form", "Multipart", "RawForm", "Bytes", "String", "Request"];

/// `T` of `Batch<T>`.
pub fn batch_of(ty: &Type) -> Option<&Type> {
    if !named(ty, "Batch") {
        return None;
    }
    inner_types(ty).next()
}

/// Tells parameters apart by trigger, place and name.
pub(super) fn roles(
    attribute: Attribute,
    written: Vec<Argument>,
    sig: &syn::Signature,
    sink: &mut Sink,
) -> Vec<Parameter> {
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
