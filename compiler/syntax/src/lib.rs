//! The grammar of updraft's attributes: from tokens to spanned declarations.
//!
//! The macros and the compiler's source view both call [`parse`], so that they accept the same programs, refuse the others
//! in the same words, and state the same canonical options (`options()` of a declaration), which the descriptor carries.
//! What only a type checker can know is marked ([`OptionValue::Resource`]) and left to rustc and to name resolution.
//!
//! Everything wrong with one attribute is reported at once. A declaration that is given *beside* diagnostics says what was
//! most likely meant: the macros expand it, so that no other error follows.

mod arguments;
mod built;
pub mod codes;
pub mod cron;
pub mod diagnostic;
pub mod group;
pub mod handler;
pub mod kinds;
pub mod migrations;
pub mod names;
pub mod option;
pub mod resource;
pub mod route;
mod signature;
pub mod zone;

#[cfg(test)]
mod tests;

pub use cron::Cron;
pub use diagnostic::{Diagnostic, Sink};
pub use group::{Data, Extractor, Group};
pub use handler::{Handler, Parameter, Role, Trigger};
pub use names::Attribute;
pub use option::{OptionValue, canonical};
pub use resource::{Resource, ResourceKind};
pub use route::Route;

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;

/// What an attribute stands on.
#[derive(Clone, Copy)]
pub enum Item<'a> {
    /// A function, without its body: nobody looks into it.
    Function {
        /// The attributes *below* this one.
        below: &'a [syn::Attribute],
        /// The function's visibility.
        vis: &'a syn::Visibility,
        /// The signature.
        sig: &'a syn::Signature,
    },
    /// A struct.
    Struct(&'a syn::ItemStruct),
    /// An enum.
    Enum(&'a syn::ItemEnum),
    /// Anything else, and where it is.
    Other(Span),
}

impl<'a> Item<'a> {
    /// What an attribute on `item` stands on, where it is the item's attribute number `at`.
    pub fn of(item: &'a syn::Item, at: usize) -> Self {
        match item {
            syn::Item::Fn(function) => Item::Function {
                below: function.attrs.get(at + 1..).unwrap_or_default(),
                vis: &function.vis,
                sig: &function.sig,
            },
            syn::Item::Struct(item) => Item::Struct(item),
            syn::Item::Enum(item) => Item::Enum(item),
            other => Item::Other(other.span()),
        }
    }

    pub(crate) fn span(self) -> Span {
        match self {
            Item::Function { sig, .. } => sig.ident.span(),
            Item::Struct(item) => item.ident.span(),
            Item::Enum(item) => item.ident.span(),
            Item::Other(span) => span,
        }
    }
}

/// What one attribute declares.
#[cfg_attr(test, derive(Debug))]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, for a moment")]
pub enum Declaration {
    /// A trigger on a function.
    Handler(Handler),
    /// A resource.
    Resource(Resource),
    /// `#[extractor]`.
    Extractor(Extractor),
    /// `#[updraft::data]`.
    Data(Data),
}

/// Reads one attribute on one item: `arguments` is what stands in its parentheses, `at` the place of the attribute itself.
///
/// The declaration is absent where nothing sensible can be made of it, and then there is a diagnostic.
pub fn parse(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    item: Item<'_>,
) -> (Option<Declaration>, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    let declaration = match attribute {
        Attribute::Http
        | Attribute::Consumer
        | Attribute::Subscriber
        | Attribute::Schedule
        | Attribute::Object
        | Attribute::Function
        | Attribute::Routes
        | Attribute::Layer
        | Attribute::Shared => handler::parse(attribute, at, arguments, item, &mut sink).map(Declaration::Handler),
        Attribute::Queue
        | Attribute::Topic
        | Attribute::Store
        | Attribute::Bucket
        | Attribute::Database
        | Attribute::Secret
        | Attribute::Config
        | Attribute::External => resource::parse(attribute, at, arguments, item, &mut sink).map(Declaration::Resource),
        Attribute::Extractor => group::extractor(at, arguments, item, &mut sink).map(Declaration::Extractor),
        Attribute::Data => group::data(at, arguments, item, &mut sink).map(Declaration::Data),
    };
    (declaration, sink.into_vec())
}

/// Reads a struct with `#[derive(Capabilities)]`.
pub fn capabilities(item: Item<'_>) -> (Option<Group>, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    let group = group::capabilities(item, &mut sink);
    (group, sink.into_vec())
}

/// Reads the arguments of `updraft::main!(shop, audit)`, `run!` and `test::app!`: names of crates.
pub fn crates(arguments: TokenStream) -> (Vec<syn::Ident>, Vec<Diagnostic>) {
    let mut sink = Sink::default();
    let mut names = Vec::new();
    for entry in arguments::split(arguments) {
        match syn::parse2::<syn::Ident>(entry.clone()) {
            Ok(name) => names.push(name),
            Err(_) => sink.push(
                Diagnostic::new(codes::ARGUMENTS, &entry, "only names of crates can stand here")
                    .label("no name of a crate")
                    .help("write the names of the crates that hold handlers: `updraft::main!(shop, audit)`"),
            ),
        }
    }
    (names, sink.into_vec())
}
