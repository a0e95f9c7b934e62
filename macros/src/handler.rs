//! Handlers: descriptor, place in the registry, and the fn pointer that runs the function.
//!
//! What a trigger adds is one expression that calls the runtime, and no `async` block: rustc type checks and borrow checks
//! asynchronous code once, in the runtime. A parameter's bound stands in a function that is named at the parameter's own
//! tokens, so a mistake gives one error, there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;
use updraft_syntax::handler::{Batching, batch_of};
use updraft_syntax::kinds::last_segment;
use updraft_syntax::{Handler, OptionValue, Parameter, Role, Trigger};

/// Everything beside the function.
pub(crate) fn expand(handler: &Handler, cfgs: &TokenStream) -> TokenStream {
    match &handler.trigger {
        Trigger::Http { method, route } => http(handler, method, &route.literal, cfgs),
        Trigger::Consumer { queue, batch } => {
            let retries = handler.retries;
            let id = resource_id(queue);
            let dispatch = match batch {
                None => quote!(Consumer { queue: #id, retries: #retries, deliver: __deliver }),
                Some(Batching { most, window }) => {
                    let window_millis = u64::from(*window) * 1_000;
                    quote! {
                        Batch {
                            queue: #id,
                            retries: #retries,
                            most: #most,
                            window_millis: #window_millis,
                            deliver: __deliver,
                        }
                    }
                }
            };
            message(handler, "delivered", queue, &dispatch, cfgs)
        }
        Trigger::Subscriber { topic, when } => {
            let retries = handler.retries;
            let id = resource_id(topic);
            let when = when.iter().map(|(name, value)| {
                let name = name.to_string();
                quote!((#name, #value))
            });
            let dispatch =
                quote!(Subscriber { topic: #id, when: &[#(#when),*], retries: #retries, deliver: __deliver });
            message(handler, "published", topic, &dispatch, cfgs)
        }
        Trigger::Schedule { cron, timezone, overlap, run_missed } => {
            let (cron, retries) = (&cron.canonical, handler.retries);
            let dispatch = quote! {
                Schedule {
                    cron: #cron,
                    timezone: #timezone,
                    overlap: #overlap,
                    run_missed: #run_missed,
                    retries: #retries,
                    run: __run,
                }
            };
            schedule(handler, &dispatch, cfgs)
        }
        Trigger::Object { bucket, event, prefix, suffix } => {
            let retries = handler.retries;
            let id = resource_id(bucket);
            let [prefix, suffix] = [prefix, suffix].map(|text| match text {
                Some(text) => text.to_token_stream(),
                None => quote!(""),
            });
            let event = match *event {
                "created" => quote!(Created),
                _ => quote!(Removed),
            };
            let dispatch = quote! {
                Object {
                    bucket: #id,
                    event: ::updraft::__private::v1::ObjectEvent::#event,
                    prefix: #prefix,
                    suffix: #suffix,
                    retries: #retries,
                    deliver: __deliver,
                }
            };
            message(handler, "told", bucket, &dispatch, cfgs)
        }
        Trigger::Function { type_name, idempotent } => function(handler, type_name, *idempotent, cfgs),
        Trigger::Routes { prefix } => {
            let prefix = &prefix.literal;
            let router = quote!(::updraft::axum::Router);
            made(handler, &quote!(Routes { prefix: #prefix, make: __make }), &router, |made| quote!(#made), cfgs)
        }
        Trigger::Layer { path, order } => {
            let path = &path.literal;
            let layer = quote!(::std::sync::Arc<dyn ::updraft::__private::v1::Layer>);
            let dispatch = quote!(Layer { path: #path, order: #order, make: __make });
            made(handler, &dispatch, &layer, |made| quote!(::updraft::__private::v1::layered(#made)), cfgs)
        }
        Trigger::Shared { value } => shared(handler, value, cfgs),
    }
}

/// What is made at the start without waiting: a layer, a router. `into` turns what the function returned into `output`.
fn made(
    handler: &Handler,
    dispatch: &TokenStream,
    output: &TokenStream,
    into: impl Fn(&Ident) -> TokenStream,
    cfgs: &TokenStream,
) -> TokenStream {
    let name = &handler.name;
    let arguments = bound(&handler.parameters);
    let registration = register(handler, dispatch);
    // A wrong type is shown where it is written: at the function's return type.
    let variable = Ident::new("made", place_of(&handler.output));
    let into = into(&variable);
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            #registration

            #[allow(unused)]
            fn __make(scope: &::updraft::__private::v1::Scope) -> #output {
                let #variable = #name(#(#arguments),*);
                #into
            }
        };
    }
}

/// Parameters that are bound to `scope`.
fn bound(parameters: &[Parameter]) -> Vec<TokenStream> {
    let bind = |Parameter { ty, .. }: &Parameter| quote_spanned!(place_of(ty)=> ::updraft::__private::v1::argument::<#ty>(scope));
    parameters.iter().map(bind).collect()
}

fn shared(handler: &Handler, value: &Type, cfgs: &TokenStream) -> TokenStream {
    let (name, id) = (&handler.name, id(handler));
    let arguments = bound(&handler.parameters);
    let grants = grants(handler.parameters.iter().map(|parameter| &parameter.ty));
    let state = quote!(::updraft::__private::v1::Tag<::updraft::axum::extract::State<#value>>);
    let registration =
        register(handler, &quote!(Shared { value: ::core::any::TypeId::of::<#value>(), build: __build }));
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            impl ::updraft::__private::v1::SharedValue for #value {
                const ID: &'static str = #id;
                const GRANTS: ::updraft::__private::v1::Grants = #grants;
            }

            impl ::updraft::axum::extract::FromRef<#state> for #value
            where
                for<'a> #value: ::updraft::__private::v1::Cloned<'a>,
            {
                fn from_ref(state: &#state) -> Self {
                    ::updraft::__private::v1::Cloned::cloned(&*::updraft::__private::v1::state(state))
                }
            }

            #registration

            #[allow(unused)]
            fn __build(
                scope: ::updraft::__private::v1::Scope,
            ) -> ::updraft::__private::v1::BoxFuture<
                'static,
                ::core::result::Result<::updraft::__private::v1::AnyShared, ::updraft::__private::v1::Error>,
            > {
                ::updraft::__private::v1::build(scope, |scope| #name(#(#arguments),*))
            }
        };
    }
}

fn resource_id(path: &syn::Path) -> TokenStream {
    quote!(<#path as ::updraft::__private::v1::ResourceType>::ID)
}

fn http(handler: &Handler, method: &str, route: &syn::LitStr, cfgs: &TokenStream) -> TokenStream {
    let name = &handler.name;
    let variables: Vec<Ident> = variables(&handler.parameters);
    // How to extract the parameters, and the pattern of what comes of it: nested pairs, built from the last one outwards.
    let (mut extract, mut pattern) = (quote!(()), quote!(()));
    for (at, (Parameter { ty, .. }, variable)) in handler.parameters.iter().zip(&variables).enumerate().rev() {
        if at + 1 == variables.len() {
            extract = quote_spanned!(place_of(ty)=> ::updraft::__private::v1::Probe::<#ty>::last::<#ty>());
            pattern = quote!(#variable);
        } else {
            let part = quote_spanned!(place_of(ty)=> ::updraft::__private::v1::Probe::<#ty>::part::<#ty>());
            extract = quote!((#part, #extract));
            pattern = quote!((#variable, #pattern));
        }
    }
    let method = method.to_uppercase();
    let registration = register(handler, &quote!(Http { method: #method, route: #route, serve: __serve }));
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            #registration

            #[allow(unused)]
            fn __serve(
                scope: ::updraft::__private::v1::Scope,
                request: ::updraft::axum::extract::Request,
            ) -> ::updraft::__private::v1::BoxFuture<'static, ::updraft::axum::response::Response> {
                #[allow(unused_imports)]
                use ::updraft::__private::v1::{ExtractsLast as _, ExtractsPart as _};
                ::updraft::__private::v1::serve(scope, request, #extract, |#pattern| #name(#(#variables),*))
            }
        };
    }
}

/// A consumer, a subscriber or an object's handler. `read` names the function that ties a queue, topic or bucket to its
/// message.
fn message(
    handler: &Handler,
    read: &str,
    resource: &syn::Path,
    dispatch: &TokenStream,
    cfgs: &TokenStream,
) -> TokenStream {
    let name = &handler.name;
    let Some((first, others)) = handler.parameters.split_first() else { return TokenStream::new() };
    let batch =
        matches!(handler.trigger, Trigger::Consumer { batch: Some(_), .. }).then(|| batch_of(&first.ty)).flatten();
    let (message, read) = (batch.unwrap_or(&first.ty), Ident::new(read, Span::mixed_site()));
    let place = Span::mixed_site().located_at(syn::spanned::Spanned::span(resource));
    let (read, skew) =
        (quote_spanned!(place=> ::updraft::__private::v1::#read::<#resource, #message>()), u64::from(handler.skew));
    let arguments = others.iter().map(
        |Parameter { ty, .. }| quote_spanned!(place_of(ty)=> ::updraft::__private::v1::message_argument::<#ty>(given)),
    );
    let registration = register(handler, dispatch);
    if batch.is_some() {
        return quote_spanned! {Span::mixed_site()=>
            #cfgs
            const _: () = {
                #registration

                #[allow(unused)]
                fn __deliver(
                    scope: ::updraft::__private::v1::Scope,
                    incoming: ::std::vec::Vec<::updraft::__private::v1::Incoming>,
                    report: ::updraft::__private::v1::Report,
                ) -> ::updraft::__private::v1::BoxFuture<'static, ::core::result::Result<(), ::updraft::__private::v1::Error>> {
                    ::updraft::__private::v1::consume_batch(
                        scope,
                        incoming,
                        report,
                        #read.within(#skew),
                        |batch, given| #name(batch, #(#arguments),*),
                    )
                }
            };
        };
    }
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            #registration

            #[allow(unused)]
            fn __deliver(
                scope: ::updraft::__private::v1::Scope,
                incoming: ::updraft::__private::v1::Incoming,
            ) -> ::updraft::__private::v1::BoxFuture<'static, ::core::result::Result<(), ::updraft::__private::v1::Error>> {
                ::updraft::__private::v1::consume(
                    scope,
                    incoming,
                    #read.within(#skew),
                    |message, given| #name(message, #(#arguments),*),
                )
            }
        };
    }
}

fn schedule(handler: &Handler, dispatch: &TokenStream, cfgs: &TokenStream) -> TokenStream {
    let name = &handler.name;
    let arguments = handler.parameters.iter().map(|Parameter { ty, .. }| {
        if last_segment(ty).is_some_and(|segment| segment.ident == "Tick") {
            quote_spanned!(Span::mixed_site()=> ::core::clone::Clone::clone(&tick))
        } else {
            quote_spanned!(place_of(ty)=> ::updraft::__private::v1::argument::<#ty>(scope))
        }
    });
    let arguments: Vec<TokenStream> = arguments.collect();
    let registration = register(handler, dispatch);
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        const _: () = {
            #registration

            #[allow(unused)]
            fn __run(
                scope: ::updraft::__private::v1::Scope,
                tick: ::updraft::__private::v1::Tick,
            ) -> ::updraft::__private::v1::BoxFuture<'static, ::core::result::Result<(), ::updraft::__private::v1::Error>> {
                ::updraft::__private::v1::tick(scope, tick, |tick, scope| #name(#(#arguments),*))
            }
        };
    }
}

/// Functions and types have separate namespaces, so a struct of the function's own name can stand beside it:
/// `Function<quote>` names the struct, `quote(…)` the function. `use` imports both at once.
fn function(handler: &Handler, type_name: &Ident, idempotent: bool, cfgs: &TokenStream) -> TokenStream {
    let Handler { name, vis, output, .. } = handler;
    let id = id(handler);
    let (mut names, mut types, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for Parameter { name, ty, role } in &handler.parameters {
        match (role, name) {
            (Role::Argument, Some(name)) => {
                values.push(quote!(#name));
                names.push(name);
                types.push(ty);
            }
            _ => values.push(quote_spanned!(place_of(ty)=> ::updraft::__private::v1::argument::<#ty>(scope))),
        }
    }
    let wire_names = names.iter().map(|name| name.unraw().to_string());
    let (mut arguments, mut pattern, mut travellers) = (quote!(()), quote!(()), quote!(()));
    for ((name, ty), wire_name) in names.iter().zip(&types).zip(wire_names).rev() {
        arguments = quote!((#ty, #arguments));
        pattern = quote!((#name, #pattern));
        let travels = quote_spanned!(place_of(ty)=> ::updraft::__private::v1::travels::<#ty>(#wire_name));
        travellers = quote!((#travels, #travellers));
    }
    let about = format!("The function `{name}` as others take it: `Function<{type_name}>`.");
    let call = quote!(Function { call: ::updraft::__private::v1::call_with_json::<#type_name> });
    let registration = register(handler, &call);
    // Hygienic for what the expansion itself names; the user's argument names are the user's.
    quote_spanned! {Span::mixed_site()=>
        #cfgs
        #[doc = #about]
        #[allow(non_camel_case_types)]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #type_name {
            caller: ::updraft::__private::v1::Caller<#type_name>,
        }

        #cfgs
        const _: () = {
            type __Output = <#output as ::updraft::__private::v1::Fallible>::Output;
            type __Error = <#output as ::updraft::__private::v1::Fallible>::Error;

            impl #type_name {
                /// Calls the function, wherever it runs.
                #[allow(dead_code, clippy::too_many_arguments)]
                #vis fn call(
                    &self,
                    #(#names: #types),*
                ) -> impl ::core::future::Future<
                    Output = ::core::result::Result<__Output, ::updraft::CallError<__Error>>
                > + ::core::marker::Send + '_ {
                    self.caller.call(#pattern)
                }
            }

            impl ::updraft::__private::v1::ResourceType for #type_name {
                const ID: &'static str = #id;
            }

            impl ::updraft::__private::v1::FunctionResource for #type_name {
                type Arguments = #arguments;
                type Output = __Output;
                type Error = __Error;
                const IDEMPOTENT: bool = #idempotent;

                fn travellers() -> <Self::Arguments as ::updraft::__private::v1::Arguments>::Travellers {
                    #travellers
                }

                fn handler() -> &'static ::updraft::__private::v1::Handler {
                    &__HANDLER
                }

                #[allow(unused)]
                fn dispatch(
                    scope: ::updraft::__private::v1::Scope,
                    #pattern: Self::Arguments,
                ) -> ::updraft::__private::v1::BoxFuture<'static, ::updraft::__private::v1::Outcome<Self>> {
                    let scope = &scope;
                    ::std::boxed::Box::pin(#name(#(#values),*))
                }

                fn with(caller: ::updraft::__private::v1::Caller<Self>) -> Self {
                    #type_name { caller }
                }
            }

            #registration
        };
    }
}

/// The place of a parameter's type, with the macro's hygiene.
pub(crate) fn place_of(ty: &Type) -> Span {
    place(syn::spanned::Spanned::span(ty))
}

/// A place of the user's, with the macro's hygiene.
pub(crate) fn place(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// The expansion's variables for parameters.
pub(crate) fn variables(parameters: &[Parameter]) -> Vec<Ident> {
    (0..parameters.len()).map(|at| format_ident!("parameter_{at}", span = Span::mixed_site())).collect()
}

/// The handler's id, an expression.
fn id(handler: &Handler) -> TokenStream {
    match &handler.pin {
        Some(pin) => pin.to_token_stream(),
        None => {
            let name = handler.name.unraw().to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #name))
        }
    }
}

/// The grants of all parameters, an expression.
pub(crate) fn grants<'a>(types: impl Iterator<Item = &'a Type>) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use ::updraft::__private::v1::Undeclared as _;
        ::updraft::__private::v1::Grants::All(&[#(::updraft::__private::v1::Probe::<#types>::GRANTS),*])
    }}
}

/// Registration: the bytes that the compiler reads, and the fn pointer that the runtime calls.
fn register(handler: &Handler, dispatch: &TokenStream) -> TokenStream {
    let id = id(handler);
    let given = handler.parameters.iter().filter(|parameter| parameter.role == Role::Given);
    let grants = grants(given.map(|parameter| &parameter.ty));
    let record = record(&id, handler.trigger.kind(), handler.options(), &grants, handler.name.span());
    let timeout_millis = u64::from(handler.timeout) * 1_000;
    quote! {
        #record

        #[::updraft::__private::v1::linkme::distributed_slice(::updraft::__private::v1::HANDLERS)]
        #[linkme(crate = ::updraft::__private::v1::linkme)]
        static __HANDLER: ::updraft::__private::v1::Handler = ::updraft::__private::v1::Handler {
            id: __RECORD.id,
            descriptor: &__DESCRIPTOR,
            grants: __RECORD.grants,
            timeout_millis: #timeout_millis,
            dispatch: ::updraft::__private::v1::Dispatch::#dispatch,
        };
    }
}

/// `__RECORD`, and `__DESCRIPTOR`: its bytes in the link section.
///
/// Items of an expansion share the user's namespace (only local variables are hygienic), hence the underscores: the user's
/// function may well be called `serve`.
///
/// Every token around `unsafe(link_section)` has the macro's own span. Then rustc counts the attribute as foreign code and
/// `#![forbid(unsafe_code)]` in the user's crate does not see it.
pub(crate) fn record(
    id: &TokenStream,
    kind: &str,
    options: Vec<(String, OptionValue)>,
    grants: &TokenStream,
    place: Span,
) -> TokenStream {
    let line = quote_spanned!(place=> ::core::line!());
    let (elf, macho) = (updraft_wire::descriptor::ELF_SECTION, updraft_wire::descriptor::MACHO_SECTION);
    let options = options.into_iter().map(|(name, value)| {
        let value = match value {
            OptionValue::Text(text) => text.to_token_stream(),
            OptionValue::Resource(path) => resource_id(&path),
        };
        quote!((#name, #value))
    });
    quote! {
        const __RECORD: ::updraft::__private::v1::Record = ::updraft::__private::v1::Record {
            id: #id,
            kind: #kind,
            file: ::core::file!(),
            line: #line,
            options: &[#(#options),*],
            grants: #grants,
        };

        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = #macho))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = #elf))]
        static __DESCRIPTOR: [u8; __RECORD.encoded_len()] = __RECORD.encode();
    }
}
