//! Parameters that bundle others: `#[extractor]` (http only) and `#[derive(Capabilities)]`.

use crate::handler::{grants, place_of, variables};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use updraft_syntax::{Extractor, Group};

/// Makes the extractor's type a parameter, which declares what the extractor takes.
pub(crate) fn extractor(extractor: &Extractor, cfgs: &TokenStream) -> TokenStream {
    let Extractor { name, parameters, extracted, .. } = extractor;
    let types: Vec<_> = parameters.iter().map(|parameter| &parameter.ty).collect();
    let grants = grants(types.iter().copied());
    let variables = variables(parameters);
    let extract = types.iter().zip(&variables).map(|(ty, variable)| {
        let part = quote_spanned!(place_of(ty)=> ::updraft::__private::v1::part::<#ty>());
        quote_spanned!(Span::mixed_site()=> let #variable = #part.extract(parts, scope).await?;)
    });
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            impl ::updraft::__private::v1::Declares for #extracted {
                const GRANTS: ::updraft::__private::v1::Grants = #grants;
            }

            impl<S: ::updraft::__private::v1::Opens<Self>> ::updraft::axum::extract::FromRequestParts<S> for #extracted {
                type Rejection = ::updraft::axum::response::Response;

                #[allow(unused)]
                async fn from_request_parts(
                    parts: &mut ::updraft::axum::http::request::Parts,
                    state: &S,
                ) -> ::core::result::Result<Self, Self::Rejection> {
                    let scope = ::updraft::__private::v1::scope_within::<Self, S>(state);
                    #(#extract)*
                    #name(#(#variables),*).await.map_err(::updraft::axum::response::IntoResponse::into_response)
                }
            }

            impl<S: ::updraft::__private::v1::Opens<Self>> ::updraft::axum::extract::OptionalFromRequestParts<S>
                for #extracted
            {
                type Rejection = ::core::convert::Infallible;

                async fn from_request_parts(
                    parts: &mut ::updraft::axum::http::request::Parts,
                    state: &S,
                ) -> ::core::result::Result<::core::option::Option<Self>, Self::Rejection> {
                    let whole = <Self as ::updraft::axum::extract::FromRequestParts<S>>::from_request_parts(parts, state);
                    ::core::result::Result::Ok(whole.await.ok())
                }
            }
        };
    }
}

/// States the members' types and how to put them together; what they grant is computed in the runtime.
pub(crate) fn capabilities(group: &Group) -> TokenStream {
    let name = &group.name;
    let (mut members, mut pattern) = (quote!(()), quote!(()));
    for (field, ty) in group.members.iter().rev() {
        members = quote!((#ty, #members));
        pattern = quote!((#field, #pattern));
    }
    let names = group.members.iter().map(|(field, _)| field);
    quote! {
        impl ::updraft::__private::v1::Group for #name {
            type Members = #members;

            fn assemble(#pattern: Self::Members) -> Self {
                Self { #(#names),* }
            }
        }
    }
}
