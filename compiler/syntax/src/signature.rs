//! What every annotated function must be, whatever its trigger; and durations.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::kinds::{ACCESSES, Access, GROUP, capability, inner_types, kind, last_segment};
use crate::names::{closest, one_of};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{FnArg, Ident, LitStr, Pat, PathArguments, ReturnType, Signature, Type};

/// A parameter as it is written.
pub(crate) struct Argument {
    /// Its name, where the pattern is one.
    pub(crate) name: Option<Ident>,
    pub(crate) ty: Type,
}

/// Reports everything that is wrong with the signature of a function that makes something at the start and may not wait.
pub(crate) fn check_sync(sig: &Signature, what: &str, sink: &mut Sink) -> Vec<Argument> {
    if let Some(token) = sig.asyncness {
        sink.push(
            Diagnostic::new(codes::WAITS, token, format!("{what} is a plain `fn`: it makes something and does not wait"))
                .label("async")
                .help("leave `async` away; what has to be waited for is made by a `#[shared]` function and taken as `Shared<…>`"),
        );
    }
    rest(sig, what, sink)
}

/// Reports everything that is wrong with the signature. `what` is "a handler" or "an extractor".
pub(crate) fn check(sig: &Signature, what: &str, sink: &mut Sink) -> Vec<Argument> {
    if sig.asyncness.is_none() {
        sink.push(
            Diagnostic::new(codes::SYNC, sig.fn_token, format!("{what} is an `async fn`"))
                .label("not async")
                .help(format!("write `async fn {}`", sig.ident)),
        );
    }
    rest(sig, what, sink)
}

/// All but whether it is async.
fn rest(sig: &Signature, what: &str, sink: &mut Sink) -> Vec<Argument> {
    if let Some(token) = sig.constness.map(|token| token.span).or(unsafe_token(sig)) {
        sink.push(plain(token, what));
    }
    if let Some(abi) = &sig.abi {
        sink.push(plain(abi.extern_token.span, what));
    }
    if !sig.generics.params.is_empty() {
        sink.push(
            Diagnostic::new(codes::GENERIC, &sig.generics, format!("{what} has no generics: nobody would choose them"))
                .label("generic")
                .help("write the types themselves; a generic helper can be called from the body"),
        );
    } else if let Some(clause) = &sig.generics.where_clause {
        sink.push(
            Diagnostic::new(codes::GENERIC, clause, format!("{what} has no generics, so nothing to bound"))
                .label("a bound")
                .help("leave the `where` clause away"),
        );
    }
    if let Some(variadic) = &sig.variadic {
        sink.push(plain(variadic.dots.span(), what));
    }
    let mut arguments = Vec::new();
    for input in &sig.inputs {
        match input {
            FnArg::Receiver(receiver) => sink.push(
                Diagnostic::new(codes::METHOD, receiver, format!("{what} is a free function"))
                    .label("a method")
                    .help("move it out of the `impl`, and take what it needs as parameters"),
            ),
            FnArg::Typed(typed) => {
                if let Some(attribute) = typed
                    .attrs
                    .iter()
                    .find(|attribute| attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr"))
                {
                    sink.push(
                        Diagnostic::new(codes::PLAIN, attribute, format!("parameters of {what} are not conditional"))
                            .label("conditional")
                            .help("write two functions, each under its own `#[cfg(…)]`"),
                    );
                }
                refuse(&typed.ty, what, sink);
                let name = match &*typed.pat {
                    Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.by_ref.is_none() => {
                        Some(pattern.ident.clone())
                    }
                    _ => None,
                };
                arguments.push(Argument { name, ty: (*typed.ty).clone() });
            }
        }
    }
    arguments
}

fn plain(span: proc_macro2::Span, what: &str) -> Diagnostic {
    Diagnostic::at(codes::PLAIN, span, format!("{what} is a plain function"))
        .label("not plain")
        .help("it is called by updraft, which knows no more than its parameters: leave this away")
}

fn unsafe_token(sig: &Signature) -> Option<proc_macro2::Span> {
    let safety = sig.safety.to_token_stream();
    (!safety.is_empty()).then(|| safety.span())
}

/// The type that a function returns.
pub(crate) fn output(sig: &Signature) -> Type {
    match &sig.output {
        ReturnType::Type(_, ty) => (**ty).clone(),
        ReturnType::Default => Type::Tuple(syn::TypeTuple {
            attrs: Vec::new(),
            paren_token: syn::token::Paren::default(),
            elems: syn::punctuated::Punctuated::new(),
        }),
    }
}

/// What no parameter's type may be.
fn refuse(ty: &Type, what: &str, sink: &mut Sink) {
    match ty {
        Type::ImplTrait(_) => {
            return sink.push(
                Diagnostic::new(codes::GENERIC, ty, format!("{what} has no generics: nobody would choose the type"))
                    .label("generic")
                    .help("write a type instead of `impl …`"),
            );
        }
        Type::Reference(_) => {
            return sink.push(
                Diagnostic::new(
                    codes::BORROWED,
                    ty,
                    format!("{what} owns its parameters: there is nobody to borrow from"),
                )
                .label("borrowed")
                .help("take the type itself: capabilities are cheap to clone, and a message is yours"),
            );
        }
        _ => {}
    }
    if let Some(found) = capability(ty) {
        return check_capability(&found.segment.ident, &found.arguments, sink);
    }
    // `Store` without its name is only then a capability when nothing else of that name is plausible: rustc tells.
    let Some(segment) = last_segment(ty) else { return wrapped(ty, sink) };
    if segment.ident != GROUP {
        wrapped(ty, sink);
    } else if let Some(inner) = inner_types(ty).find(|inner| capability(inner).is_some()) {
        sink.push(
            Diagnostic::new(codes::WRAPPED, inner, "`With` is for a struct with `#[derive(Capabilities)]`")
                .label("a capability of its own")
                .help(format!("take `{}` as a parameter", crate::option::canonical(inner))),
        );
    }
}

/// A capability somewhere inside another type.
fn wrapped(ty: &Type, sink: &mut Sink) {
    let inner: Vec<&Type> = match ty {
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Array(array) => vec![&array.elem],
        Type::Group(group) => vec![&group.elem],
        Type::Paren(paren) => vec![&paren.elem],
        _ => inner_types(ty).collect(),
    };
    for inner in inner {
        let Some(found) = capability(inner) else {
            wrapped(inner, sink);
            continue;
        };
        let help = match found.kind.name {
            "Secret" => "a secret that may be absent is declared so: `#[secret(optional)]`".to_owned(),
            name => format!("take `{name}<…>` as a parameter of its own"),
        };
        sink.push(
            Diagnostic::new(
                codes::WRAPPED,
                ty,
                format!("a capability stands by itself, not inside another type: `{}`", found.kind.name),
            )
            .label(format!("a type round `{}<…>`", found.kind.name))
            .help(help),
        );
    }
}

/// `Kind<Name>` or `Kind<Name, Access>`.
fn check_capability(name: &Ident, arguments: &[&Type], sink: &mut Sink) {
    let text = name.to_string();
    let Some(kind) = kind(&text) else { return };
    let most = if kind.narrows { 2 } else { 1 };
    if let Some(extra) = arguments.get(most) {
        let help = match arguments
            .get(1)
            .and_then(|ty| last_segment(ty))
            .and_then(|s| Access::from_name(&s.ident.to_string()))
        {
            Some(_) if most == 1 => {
                format!("a {} has one access, `{}`: write `{text}<Name>`", kind.kind, kind.access.as_str())
            }
            _ if most == 1 => format!("write `{text}<Name>`"),
            _ => format!("write `{text}<Name>` or `{text}<Name, ReadOnly>`"),
        };
        return sink.push(
            Diagnostic::new(
                codes::CAPABILITY,
                extra,
                format!("`{text}` takes {} here", if most == 1 { "one name" } else { "a name and an access" }),
            )
            .label("too many")
            .help(help),
        );
    }
    // A name close to an access's is a typing mistake; any other may be an alias, and rustc knows.
    let Some(access) = arguments.get(1).and_then(|ty| last_segment(ty)) else { return };
    let given = access.ident.to_string();
    if kind.kind == "database" && given == "WriteOnly" {
        return sink.push(
            Diagnostic::new(codes::CAPABILITY, access, "a database can't be written without reading it")
                .label("no access of a database")
                .help("write `Database<Name>` or `Database<Name, ReadOnly>`"),
        );
    }
    if Access::from_name(&given).is_some() || !matches!(access.arguments, PathArguments::None) {
        return;
    }
    let names = ACCESSES.map(|(name, _)| name);
    let meant = match given.as_str() {
        "Read" => Some("ReadOnly"),
        "Write" => Some("WriteOnly"),
        other => closest(other, names),
    };
    if let Some(meant) = meant {
        sink.push(
            Diagnostic::new(codes::CAPABILITY, access, format!("`{given}` is no access"))
                .label("no access")
                .help(format!("did you mean `{meant}`? There are {}", one_of(&names).replace(" or ", " and "))),
        );
    }
}

/// A duration such as `30s`, `5m`, `1h` or `2d`, in seconds, from 1 to `most`.
pub(crate) fn seconds(literal: &LitStr, option: &str, most: u32, sink: &mut Sink) -> Option<u32> {
    let text = literal.value();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let whole = factor.zip(number.parse::<u64>().ok()).and_then(|(factor, number)| number.checked_mul(factor));
    let problem = match whole {
        None => Diagnostic::new(codes::DURATION, literal, format!("`{text}` is no duration"))
            .label("no duration")
            .help("a whole number and a unit, s, m, h or d: `30s`, `5m`, `1h`"),
        Some(0) => Diagnostic::new(codes::DURATION, literal, format!("`{option}` can't be zero"))
            .label("zero")
            .help("the shortest is `1s`"),
        Some(seconds) if seconds > u64::from(most) => {
            Diagnostic::new(codes::DURATION, literal, format!("`{option}` can't be as long as {text}"))
                .label("too long")
                .help(format!("the longest is `{}`", spoken(most)))
        }
        Some(seconds) => return u32::try_from(seconds).ok(),
    };
    sink.push(problem);
    None
}

/// Seconds in the largest unit that is whole.
fn spoken(seconds: u32) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
