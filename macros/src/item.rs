//! What an attribute stands on, read no further than needed: a function's body stays tokens.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ItemEnum, ItemStruct, Signature, Token, Visibility};
use updraft_syntax::{Attribute as Known, Item, Resource, ResourceKind};

pub(crate) enum Annotated {
    Function(Function),
    Struct(ItemStruct),
    Enum(ItemEnum),
    Other(Span),
}

pub(crate) struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    body: TokenStream,
}

impl Parse for Annotated {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let ahead = input.fork();
        let attrs = ahead.call(Attribute::parse_outer)?;
        let vis: Visibility = ahead.parse()?;
        if ahead.peek(Token![struct]) {
            return input.parse().map(Annotated::Struct);
        }
        if ahead.peek(Token![enum]) {
            return input.parse().map(Annotated::Enum);
        }
        let span = ahead.span();
        let before = ahead.fork();
        let Ok(sig) = ahead.parse::<Signature>() else {
            let tokens: TokenStream = before.parse()?;
            input.parse::<TokenStream>()?;
            let is_function = tokens.into_iter().any(|token| token.to_string() == "fn");
            // A function that can't be read is rustc's to explain; anything else is no function.
            return if is_function { Err(syn::Error::new(span, "")) } else { Ok(Annotated::Other(span)) };
        };
        let body = ahead.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Annotated::Function(Function { attrs, vis, sig, body }))
    }
}

impl Annotated {
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        syn::parse2(tokens)
    }

    pub(crate) fn as_item(&self) -> Item<'_> {
        match self {
            Annotated::Function(Function { attrs, vis, sig, .. }) => Item::Function { below: attrs, vis, sig },
            Annotated::Struct(item) => Item::Struct(item),
            Annotated::Enum(item) => Item::Enum(item),
            Annotated::Other(span) => Item::Other(*span),
        }
    }

    fn attrs(&self) -> &[Attribute] {
        match self {
            Annotated::Function(function) => &function.attrs,
            Annotated::Struct(item) => &item.attrs,
            Annotated::Enum(item) => &item.attrs,
            Annotated::Other(_) => &[],
        }
    }

    /// The conditions that stand below the attribute: what it adds has them as well, or it would outlive the item.
    pub(crate) fn cfgs(&self) -> TokenStream {
        self.attrs()
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .map(ToTokens::to_token_stream)
            .collect()
    }

    /// The item when nothing can be made of its attribute: kept, and without what would complain only because of that,
    /// a warning that it is not used and other triggers on it.
    pub(crate) fn silenced(&self, item: TokenStream) -> TokenStream {
        match self {
            Annotated::Function(Function { attrs, vis, sig, body }) => {
                let attrs = attrs.iter().filter(|attribute| {
                    let last = attribute.path().segments.last();
                    !last.and_then(|last| Known::from_name(&last.ident.to_string())).is_some_and(Known::is_trigger)
                });
                quote!(#[allow(dead_code, unused)] #(#attrs)* #vis #sig #body)
            }
            Annotated::Struct(_) | Annotated::Enum(_) => quote!(#[allow(dead_code)] #item),
            Annotated::Other(_) => item,
        }
    }

    /// A config's struct as it is compiled: it can be read from its values, and its fields have their defaults.
    pub(crate) fn resource(&self, resource: &Resource) -> Option<TokenStream> {
        let (Annotated::Struct(item), ResourceKind::Config { defaults, .. }) = (self, &resource.kind) else {
            return None;
        };
        Some(crate::data::config(item, defaults))
    }
}
