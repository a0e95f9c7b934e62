//! Parameters that bundle others (`#[extractor]`, `#[derive(Capabilities)]`), and `#[updraft::data]`.

use crate::arguments::Arguments;
use crate::diagnostic::{Diagnostic, Sink};
use crate::handler::{Parameter, Role};
use crate::kinds::{inner_types, last_segment};
use crate::names::Attribute;
use crate::signature::{self, Argument};
use crate::{Item, codes};
use proc_macro2::{Span, TokenStream};
use syn::{Fields, Ident, Type};

/// A function that makes a parameter of `#[http]` handlers.
#[cfg_attr(test, derive(Debug))]
pub struct Extractor {
    /// The function's name.
    pub name: Ident,
    /// In order; each is a [`Role::Given`].
    pub parameters: Vec<Parameter>,
    /// What it returns.
    pub output: Type,
    /// `T` of the `Result<T, …>` that it returns: the parameter's type, which declares what the extractor takes.
    pub extracted: Type,
}

/// A struct of capabilities.
#[cfg_attr(test, derive(Debug))]
pub struct Group {
    /// The struct's name.
    pub name: Ident,
    /// Its fields, in order.
    pub members: Vec<(Ident, Type)>,
}

/// A type that travels: a message, a value, an argument.
#[cfg_attr(test, derive(Debug))]
pub struct Data {
    /// The type's name.
    pub name: Ident,
    /// The derives of [`DERIVES`] that the type does not have yet.
    pub derives: Vec<&'static str>,
}

/// What `#[updraft::data]` derives.
pub const DERIVES: [&str; 5] = ["Clone", "Debug", "Serialize", "Deserialize", "JsonSchema"];

/// Reads an `#[extractor]`.
pub(crate) fn extractor(at: Span, arguments: TokenStream, item: Item<'_>, sink: &mut Sink) -> Option<Extractor> {
    Arguments::parse(Attribute::Extractor, at, arguments, 0, &[], sink);
    let Item::Function { below, sig, .. } = item else {
        sink.push(
            Diagnostic::at(codes::ITEM, item.span(), "`#[extractor]` stands on a function")
                .label("no function")
                .help("put it on an `async fn` that returns a `Result`"),
        );
        return None;
    };
    for other in below {
        let Some(segment) = other.path().segments.last() else { continue };
        if Attribute::from_name(&segment.ident.to_string()).is_some_and(Attribute::is_trigger) {
            sink.push(
                Diagnostic::new(codes::TRIGGERS, &segment.ident, "an extractor is no handler")
                    .label("beside `#[extractor]`")
                    .help("write a handler that takes what the extractor makes"),
            );
        }
    }
    let before = sink.len();
    let written = signature::check(sig, "an extractor", sink);
    let output = signature::output(sig);
    // By syntax: through an associated type the orphan rule does not see that the type is local.
    let extracted = inner_types(&output).next().filter(|_| last_segment(&output).is_some_and(|s| s.ident == "Result"));
    let Some(extracted) = extracted.cloned() else {
        sink.push(
            Diagnostic::new(codes::EXTRACTOR, &sig.output, "an extractor returns `Result<T>` or `Result<T, E>`")
                .label("no `Result` that says its type")
                .help(
                    "`T` is a type of your own, which handlers then take as a parameter; write it here, not an alias",
                ),
        );
        return None;
    };
    if sink.len() > before {
        return None;
    }
    let parameters =
        written.into_iter().map(|Argument { name, ty }| Parameter { name, ty, role: Role::Given }).collect();
    Some(Extractor { name: sig.ident.clone(), parameters, output, extracted })
}

/// Reads a `#[derive(Capabilities)]`.
pub(crate) fn capabilities(item: Item<'_>, sink: &mut Sink) -> Option<Group> {
    let wrong = |span, message: &str, label: &str| {
        Diagnostic::at(codes::GROUP, span, message)
            .label(label)
            .help("write `struct Deps { stock: Store<Stock>, orders: Queue<Orders> }`")
    };
    let Item::Struct(found) = item else {
        sink.push(wrong(item.span(), "a group of capabilities is a struct", "no struct"));
        return None;
    };
    if !found.generics.params.is_empty() {
        sink.push(wrong(found.ident.span(), "a group of capabilities has no generics", "generic"));
        return None;
    }
    let Fields::Named(fields) = &found.fields else {
        sink.push(wrong(found.ident.span(), "a group of capabilities has named fields", "no named fields"));
        return None;
    };
    let members = fields.named.iter().filter_map(|field| Some((field.ident.clone()?, field.ty.clone()))).collect();
    Some(Group { name: found.ident.clone(), members })
}

/// Reads an `#[updraft::data]`.
pub(crate) fn data(at: Span, arguments: TokenStream, item: Item<'_>, sink: &mut Sink) -> Option<Data> {
    Arguments::parse(Attribute::Data, at, arguments, 0, &[], sink);
    let (name, attributes) = match item {
        Item::Struct(item) => (&item.ident, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.attrs),
        Item::Function { .. } | Item::Other(_) => {
            sink.push(
                Diagnostic::at(codes::ITEM, item.span(), "`#[updraft::data]` stands on a struct or an enum")
                    .label("neither")
                    .help("it makes a type travel: as a message, a value of a store, an argument"),
            );
            return None;
        }
    };
    let mut derives = DERIVES.to_vec();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        // What is no list of paths is rustc's to refuse.
        let _ = attribute.parse_nested_meta(|meta| {
            if let Some(last) = meta.path.segments.last() {
                derives.retain(|derive| last.ident != derive);
            }
            Ok(())
        });
    }
    Some(Data { name: name.clone(), derives })
}
