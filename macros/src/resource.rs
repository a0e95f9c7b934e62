//! Resources: what stands beside the type.

use crate::handler::{place, place_of, record};
use crate::migrations::Migrations;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use updraft_syntax::{OptionValue, Resource, ResourceKind};

/// The type's traits, its descriptor and its place in the registry.
pub(crate) fn expand(resource: &Resource, migrations: &Migrations, cfgs: &TokenStream) -> TokenStream {
    let (name, id, kind) = (&resource.name, resource.id(), resource.kind.kind());
    let traits = traits(resource, migrations);
    let mut options = resource.options();
    options.extend(migrations.fingerprint().map(|print| ("files".to_owned(), OptionValue::Text(print))));
    let record = record(
        &quote!(#id),
        resource.kind.descriptor_kind(),
        options,
        &quote!(::updraft::__private::v1::Grants::None),
        name.span(),
    );
    let validate = match resource.kind {
        ResourceKind::Config { .. } => {
            quote!(::core::option::Option::Some(::updraft::__private::v1::config::validate::<#name>))
        }
        _ => quote!(::core::option::Option::None),
    };
    let partition = match &resource.kind {
        ResourceKind::Store { partition: Some(partition), .. } => {
            quote!(::core::option::Option::Some(::updraft::__private::v1::partition::<#partition>))
        }
        _ => quote!(::core::option::Option::None),
    };
    let migrations = match resource.kind {
        ResourceKind::Database { .. } => {
            let of = quote!(<#name as ::updraft::__private::v1::DatabaseResource>::MIGRATIONS);
            quote!(::core::option::Option::Some(#of))
        }
        _ => quote!(::core::option::Option::None),
    };
    // Else rustc calls a private one that only attributes name "never constructed"; our own check says it better.
    let constructed = match resource.kind {
        ResourceKind::Config { .. } => quote!(),
        _ => quote!(const _: #name = #name;),
    };
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            impl ::updraft::__private::v1::ResourceType for #name {
                const ID: &'static str = #id;
            }
            #traits
            #constructed
            #record

            #[::updraft::__private::v1::linkme::distributed_slice(::updraft::__private::v1::RESOURCES)]
            #[linkme(crate = ::updraft::__private::v1::linkme)]
            static __RESOURCE: ::updraft::__private::v1::Resource = ::updraft::__private::v1::Resource {
                id: #id,
                kind: #kind,
                descriptor: &__DESCRIPTOR,
                validate: #validate,
                partition: #partition,
                migrations: #migrations,
            };
        };
    }
}

/// What makes the type a resource of its kind.
fn traits(resource: &Resource, migrations: &Migrations) -> TokenStream {
    let name = &resource.name;
    match &resource.kind {
        ResourceKind::Queue { message, accepts, delay, ordered, dedup } => {
            let forms = forms(name, message, accepts, "queue_forms");
            let delayed = delay.then(|| quote!(impl ::updraft::__private::v1::Delayed for #name {}));
            let deduplicated = dedup.map(|_| quote!(impl ::updraft::__private::v1::Deduplicated for #name {}));
            // rustc says so where it is no field of the message.
            let key = ordered.as_ref().map(|field| {
                let given = Ident::new("message", Span::mixed_site());
                let key_of = quote_spanned!(place(field.span())=> ::updraft::__private::v1::key_of);
                quote! {
                    fn key(
                        #given: &#message,
                    ) -> ::core::result::Result<
                        ::core::option::Option<::std::string::String>,
                        ::updraft::__private::v1::serde_json::Error,
                    > {
                        #key_of(&#given.#field)
                    }
                }
            });
            quote! {
                impl ::updraft::__private::v1::QueueResource for #name {
                    type Message = #message;
                    #key
                    #forms
                }
                impl ::updraft::__private::v1::Delivers<#message> for #name {}
                #delayed
                #deduplicated
            }
        }
        ResourceKind::Topic { message, accepts, attributes } => {
            let forms = forms(name, message, accepts, "topic_forms");
            let names = attributes.iter().map(ToString::to_string);
            // Each is a field of the message: rustc says so where one is not.
            let fields = (!attributes.is_empty()).then(|| {
                quote! {
                    const _: fn(&#message) = |message| { #(let _ = &message.#attributes;)* };
                }
            });
            quote! {
                impl ::updraft::__private::v1::TopicResource for #name {
                    type Message = #message;
                    #forms
                    const ATTRIBUTES: &'static [&'static str] = &[#(#names),*];
                }
                impl ::updraft::__private::v1::Publishes<#message> for #name {}
                #fields
            }
        }
        ResourceKind::Store { partition, key, value, ttl } => {
            let expiring = ttl.map(|_| quote!(impl ::updraft::__private::v1::Expiring for #name {}));
            let partitioned = partition.as_ref().map(|partition| {
                quote! {
                    impl ::updraft::__private::v1::Partitioned for #name {
                        type Partition = #partition;
                        type Sort = #key;
                    }
                }
            });
            let key = match partition {
                Some(partition) => quote!((#partition, #key)),
                None => quote!(#key),
            };
            let ttl = match ttl {
                Some(seconds) => {
                    let seconds = u64::from(*seconds);
                    quote!(::core::option::Option::Some(::core::time::Duration::from_secs(#seconds)))
                }
                None => quote!(::core::option::Option::None),
            };
            quote! {
                impl ::updraft::__private::v1::StoreResource for #name {
                    type Key = #key;
                    type Value = #value;
                    const TTL: ::core::option::Option<::core::time::Duration> = #ttl;
                }
                #expiring
                #partitioned
            }
        }
        ResourceKind::Bucket { presign } => {
            let presigned = presign.then(|| quote!(impl ::updraft::__private::v1::Presigned for #name {}));
            quote! {
                impl ::updraft::__private::v1::BucketResource for #name {}
                #presigned
            }
        }
        ResourceKind::Database { .. } => {
            let value = migrations.value();
            quote! {
                ::updraft::__private::v1::needs_postgres!();
                impl ::updraft::__private::v1::DatabaseResource for #name {
                    const MIGRATIONS: &'static ::updraft::__private::v1::Migrations = &#value;
                }
            }
        }
        ResourceKind::Secret { optional } => {
            let value = match optional {
                true => quote!(::core::option::Option<::updraft::__private::v1::SecretString>),
                false => quote!(::updraft::__private::v1::SecretString),
            };
            quote!(impl ::updraft::__private::v1::SecretResource for #name { type Value = #value; })
        }
        ResourceKind::Config { validate, .. } => {
            let check = match validate {
                Some(path) => quote!(#path(self).map_err(::updraft::__private::v1::Error::new)),
                None => quote!(::core::result::Result::Ok(())),
            };
            quote! {
                impl ::updraft::__private::v1::ConfigResource for #name {
                    const FIELDS: &'static [::updraft::__private::v1::config::Field] = #name::__FIELDS;

                    fn check(&self) -> ::core::result::Result<(), ::updraft::__private::v1::Error> { #check }
                }
            }
        }
        ResourceKind::External { hosts } => quote! {
            impl ::updraft::__private::v1::ExternalResource for #name {
                const HOSTS: &'static [&'static str] = &[#(#hosts),*];
            }
        },
    }
}

/// How messages are read: the form that is sent, and the older ones that are accepted. A mistake in one of those is at its
/// own tokens.
fn forms(name: &Ident, message: &Type, accepts: &[Type], make: &str) -> TokenStream {
    let make = Ident::new(make, Span::mixed_site());
    let accepted = accepts
        .iter()
        .map(|older| quote_spanned!(place_of(older)=> ::updraft::__private::v1::accepted::<#message, #older>()));
    quote! {
        fn forms() -> &'static ::updraft::__private::v1::Forms<#message> {
            static FORMS: ::updraft::__private::v1::Forms<#message> =
                ::updraft::__private::v1::#make::<#name>(&[#(#accepted),*]);
            &FORMS
        }
    }
}
