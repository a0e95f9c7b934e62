//! `#[updraft::data]`, and the struct of a `#[config]`: derives through updraft's own re-exports, so that an application
//! needs no serde and no schemars of its own.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Ident, ItemStruct, Lit};
use updraft_syntax::Data;

const SERDE: &str = "::updraft::__private::v1::serde";
const SCHEMARS: &str = "::updraft::__private::v1::schemars";

/// The item with the derives it lacks.
pub(crate) fn expand(data: &Data, item: &TokenStream) -> TokenStream {
    let derives = data.derives.iter().map(|derive| match *derive {
        "Clone" => quote!(::core::clone::Clone),
        "Debug" => quote!(::core::fmt::Debug),
        "Serialize" => quote!(::updraft::__private::v1::serde::Serialize),
        "Deserialize" => quote!(::updraft::__private::v1::serde::Deserialize),
        _ => quote!(::updraft::__private::v1::schemars::JsonSchema),
    });
    // A helper attribute without its derive would be unknown.
    let derives_any = |names: &[&str]| names.iter().any(|name| data.derives.contains(name));
    let serde = derives_any(&["Serialize", "Deserialize"]).then(|| quote!(#[serde(crate = #SERDE)]));
    let schemars = derives_any(&["JsonSchema"]).then(|| quote!(#[schemars(crate = #SCHEMARS)]));
    quote!(#[derive(#(#derives),*)] #serde #schemars #item)
}

/// A config's struct: unknown keys are refused, and `#[default(…)]` becomes serde's.
pub(crate) fn config(item: &ItemStruct, defaults: &[(Ident, Expr)]) -> TokenStream {
    let mut item = item.clone();
    let name = &item.ident;
    let fields = fields(&item, defaults);
    let mut functions = TokenStream::new();
    for field in &mut item.fields {
        field.attrs.retain(|attribute| !attribute.path().is_ident("default"));
        let Some((field_name, value)) = defaults.iter().find(|(name, _)| Some(name) == field.ident.as_ref()) else {
            continue;
        };
        let function = format_ident!("__default_{}", field_name.unraw());
        let (ty, path) = (&field.ty, format!("{name}::{function}"));
        // A text stands for whatever is made of one, a `String` above all.
        let value = match value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => quote!(::core::convert::Into::into(#text)),
            value => quote!(#value),
        };
        functions.extend(quote! {
            #[doc(hidden)]
            fn #function() -> #ty { #value }
        });
        field.attrs.push(syn::parse_quote!(#[serde(default = #path)]));
    }
    quote! {
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::updraft::__private::v1::serde::Deserialize)]
        #[serde(crate = #SERDE, deny_unknown_fields)]
        #item

        impl #name {
            #functions
            #fields
        }
    }
}

/// Names, types and defaults of a config's fields. None where serde's attributes rename, flatten or read them otherwise.
fn fields(item: &ItemStruct, defaults: &[(Ident, Expr)]) -> TokenStream {
    let of_serde = |attributes: &[Attribute]| attributes.iter().any(|attribute| attribute.path().is_ident("serde"));
    let plain = !of_serde(&item.attrs) && !item.fields.iter().any(|field| of_serde(&field.attrs));
    let fields = item.fields.iter().filter(|_| plain).filter_map(|field| {
        let (name, ty) = (field.ident.as_ref()?, &field.ty);
        let (key, written) = (name.unraw().to_string(), updraft_syntax::canonical(ty));
        let has_default = defaults.iter().any(|(default, _)| default == name);
        Some(quote! {
            ::updraft::__private::v1::config::Field {
                key: #key,
                ty: #written,
                has_default: #has_default,
                fits: ::updraft::__private::v1::config::fits::<#ty>,
            }
        })
    });
    quote! {
        #[doc(hidden)]
        const __FIELDS: &'static [::updraft::__private::v1::config::Field] = &[#(#fields),*];
    }
}
