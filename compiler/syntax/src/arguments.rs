//! What stands in an attribute's parentheses: `get, "/orders", timeout = "30s"`.
//!
//! It is cut at its commas first, so that a mistake in one part hides nothing in the others.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::names::{Attribute, closest, one_of};
use crate::signature::seconds;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Ident, LitInt, LitStr, Path, Token, Type};

/// The parts of an attribute, each taken once.
pub(crate) struct Arguments {
    pub(crate) attribute: Attribute,
    /// The attribute itself: where something is missing.
    pub(crate) at: Span,
    positional: std::vec::IntoIter<TokenStream>,
    options: Vec<(Ident, Value)>,
    /// Whether an option could not be made out: then a missing one is probably that, and one error is enough.
    unclear: bool,
}

enum Value {
    /// `delay`
    Flag,
    /// `= …`
    Assigned(TokenStream),
    /// `(…)`
    List(TokenStream),
}

impl Arguments {
    /// Cuts `tokens`: the first `positional` parts have no name, the others are options, of the names `known`.
    pub(crate) fn parse(
        attribute: Attribute,
        at: Span,
        tokens: TokenStream,
        positional: usize,
        known: &[&str],
        sink: &mut Sink,
    ) -> Self {
        let mut this =
            Arguments { attribute, at, positional: Vec::new().into_iter(), options: Vec::new(), unclear: false };
        let (mut first, mut unknown) = (Vec::new(), Vec::new());
        for (place, part) in split(tokens).into_iter().enumerate() {
            let option = option.parse2(part.clone());
            match option {
                Ok((_, Value::Flag | Value::List(_))) | Err(_) if place == first.len() && place < positional => {
                    first.push(part);
                }
                Ok((name, value)) => {
                    let text = name.unraw().to_string();
                    if this.options.iter().any(|(other, _)| other.unraw() == text) {
                        sink.push(
                            Diagnostic::new(codes::TWICE, &name, format!("`{text}` is given twice"))
                                .label("a second time")
                                .help("leave one of the two away"),
                        );
                    } else if known.contains(&text.as_str()) {
                        this.options.push((name, value));
                    } else {
                        unknown.push((name, value));
                    }
                }
                Err(_) => {
                    this.unclear = true;
                    sink.push(
                        Diagnostic::new(
                            codes::ARGUMENTS,
                            &part,
                            format!("this is no option of `#[{}]`", attribute.name()),
                        )
                        .label("no `name = value`")
                        .help(listed(known)),
                    );
                }
            }
        }
        for (name, value) in unknown {
            let text = name.unraw().to_string();
            let free = known.iter().copied().filter(|name| this.options.iter().all(|(other, _)| other.unraw() != name));
            let meant = closest(&text, free);
            let help = meant.map_or_else(|| listed(known), |meant| format!("did you mean `{meant}`?"));
            sink.push(
                Diagnostic::new(
                    codes::UNKNOWN_OPTION,
                    &name,
                    format!("`#[{}]` has no option `{text}`", attribute.name()),
                )
                .label("unknown")
                .help(help),
            );
            // Goes on with what was meant, so that the mistake gives no second error.
            match meant {
                Some(meant) => this.options.push((Ident::new(meant, name.span()), value)),
                None => this.unclear = true,
            }
        }
        this.positional = first.into_iter();
        this
    }

    /// The next part without a name.
    pub(crate) fn next<T: Parse>(&mut self, expected: &str, example: &str, sink: &mut Sink) -> Option<T> {
        let Some(part) = self.positional.next() else {
            self.missing(expected, example, sink);
            return None;
        };
        let value = syn::parse2(part.clone()).ok();
        if value.is_none() {
            let message = format!("`#[{}]` takes {expected} here", self.attribute.name());
            sink.push(
                Diagnostic::new(codes::VALUE, part, message)
                    .label("something else")
                    .help(format!("write `#[{example}]`")),
            );
        }
        value
    }

    fn take(&mut self, name: &str) -> Option<(Ident, Value)> {
        let at = self.options.iter().position(|(known, _)| known.unraw() == name)?;
        Some(self.options.remove(at))
    }

    /// `name = <T>`.
    pub(crate) fn value<T: Parse>(&mut self, name: &str, expected: &str, sink: &mut Sink) -> Option<T> {
        let (name, value) = self.take(name)?;
        let value = match value {
            Value::Assigned(tokens) if !tokens.is_empty() => match syn::parse2(tokens.clone()) {
                Ok(value) => return Some(value),
                Err(_) => tokens,
            },
            Value::Flag | Value::Assigned(_) | Value::List(_) => name.to_token_stream(),
        };
        sink.push(
            Diagnostic::new(codes::VALUE, value, format!("`{name}` takes {expected}"))
                .label("something else")
                .help(format!("write `{name} = …` with {expected}")),
        );
        None
    }

    /// `name = "…"`.
    pub(crate) fn text(&mut self, name: &str, sink: &mut Sink) -> Option<LitStr> {
        self.value(name, "a text in quotes", sink)
    }

    /// `name = "…"`, one of `choices`, each with what it stands for.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], sink: &mut Sink) -> Option<T> {
        let text = self.text(name, sink)?;
        let found = choices.iter().find(|(choice, _)| *choice == text.value());
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            sink.push(
                Diagnostic::new(codes::VALUE, &text, format!("`{name}` can't be `{}`", text.value()))
                    .label("not one of the choices")
                    .help(format!("it is {}", one_of(&names))),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// `name = Type`, which has to be there.
    pub(crate) fn required_type(&mut self, name: &str, example: &str, sink: &mut Sink) -> Option<Type> {
        if self.options.iter().any(|(known, _)| known.unraw() == name) {
            return self.value(name, "a type", sink);
        }
        self.missing(&format!("`{name} = …`"), example, sink);
        None
    }

    /// Says that something has to be there.
    pub(crate) fn missing(&self, expected: &str, example: &str, sink: &mut Sink) {
        if self.unclear {
            return;
        }
        sink.push(
            Diagnostic::at(codes::MISSING, self.at, format!("`#[{}]` needs {expected}", self.attribute.name()))
                .label("missing here")
                .help(format!("write `#[{example}]`")),
        );
    }

    /// `name = Path`.
    pub(crate) fn path(&mut self, name: &str, sink: &mut Sink) -> Option<Path> {
        self.value(name, "a path", sink)
    }

    /// `name = 5`, up to `most`.
    pub(crate) fn number(&mut self, name: &str, most: u32, sink: &mut Sink) -> Option<u32> {
        let literal: LitInt = self.value(name, "a number", sink)?;
        match literal.base10_parse() {
            Ok(number) if number <= most && literal.suffix().is_empty() => Some(number),
            _ => {
                sink.push(
                    Diagnostic::new(codes::VALUE, &literal, format!("`{name}` can't be {literal}"))
                        .label("out of range")
                        .help(format!("it is a whole number from 0 to {most}")),
                );
                None
            }
        }
    }

    /// `name = "30s"`, in seconds.
    pub(crate) fn seconds(&mut self, name: &str, most: u32, sink: &mut Sink) -> Option<u32> {
        let literal = self.text(name, sink)?;
        seconds(&literal, name, most, sink)
    }

    /// Where an option stands, as long as it is not taken.
    pub(crate) fn place(&self, name: &str) -> Option<Ident> {
        self.options.iter().map(|(known, _)| known).find(|known| known.unraw() == name).cloned()
    }

    /// `name`, which stands for `default`, or `name = "7d"`; in seconds.
    pub(crate) fn flag_or_seconds(&mut self, name: &str, default: u32, most: u32, sink: &mut Sink) -> Option<u32> {
        let at = self.options.iter().position(|(known, _)| known.unraw() == name)?;
        match self.options[at].1 {
            Value::Flag => {
                self.options.remove(at);
                Some(default)
            }
            Value::Assigned(_) | Value::List(_) => self.seconds(name, most, sink),
        }
    }

    /// `name = "2MiB"`, in bytes.
    pub(crate) fn size(&mut self, name: &str, sink: &mut Sink) -> Option<u64> {
        let literal = self.text(name, sink)?;
        let text = literal.value();
        let size = updraft_wire::limits::size(&text);
        if size.is_none() {
            sink.push(
                Diagnostic::new(codes::SIZE, &literal, format!("`{text}` is no size"))
                    .label("no size")
                    .help("a whole number and a unit, B, KiB, MiB or GiB: `512KiB`, `2MiB`; at most `1024GiB`"),
            );
        }
        size
    }

    /// `name`.
    pub(crate) fn flag(&mut self, name: &str, sink: &mut Sink) -> bool {
        match self.take(name) {
            None => false,
            Some((_, Value::Flag)) => true,
            Some((name, Value::Assigned(value) | Value::List(value))) => {
                let at = if value.is_empty() { name.to_token_stream() } else { value };
                sink.push(
                    Diagnostic::new(codes::VALUE, at, format!("`{name}` takes no value"))
                        .label("a value")
                        .help(format!("write `{name}` alone, or leave it away")),
                );
                true
            }
        }
    }

    /// `name(…)`: its parts.
    pub(crate) fn list<T: Parse>(&mut self, name: &str, example: &str, sink: &mut Sink) -> Vec<T> {
        let Some((name, value)) = self.take(name) else { return Vec::new() };
        let wrong = |tokens: TokenStream| {
            Diagnostic::new(codes::VALUE, tokens, format!("`{name}` takes a list in parentheses"))
                .label("something else")
                .help(format!("write `{example}`"))
        };
        let Value::List(tokens) = value else {
            sink.push(wrong(name.to_token_stream()));
            return Vec::new();
        };
        if tokens.is_empty() {
            sink.push(wrong(name.to_token_stream()));
        }
        let parts = split(tokens).into_iter();
        parts.filter_map(|part| syn::parse2(part.clone()).map_err(|_| sink.push(wrong(part))).ok()).collect()
    }

    /// `name = [Type, Type]`.
    pub(crate) fn types(&mut self, name: &str, sink: &mut Sink) -> Vec<Type> {
        struct Types(Vec<Type>);
        impl Parse for Types {
            fn parse(input: ParseStream) -> syn::Result<Self> {
                let content;
                syn::bracketed!(content in input);
                let types = content.parse_terminated(Type::parse, Token![,])?;
                if types.is_empty() { Err(content.error("")) } else { Ok(Types(types.into_iter().collect())) }
            }
        }
        self.value::<Types>(name, "a list of types, `[…, …]`", sink).map_or_else(Vec::new, |types| types.0)
    }

    /// `name = ["…", "…"]`.
    pub(crate) fn texts(&mut self, name: &str, sink: &mut Sink) -> Option<Vec<LitStr>> {
        struct Texts(Vec<LitStr>);
        impl Parse for Texts {
            fn parse(input: ParseStream) -> syn::Result<Self> {
                let content;
                syn::bracketed!(content in input);
                Ok(Texts(content.parse_terminated(<LitStr as Parse>::parse, Token![,])?.into_iter().collect()))
            }
        }
        self.value::<Texts>(name, "a list of texts, `[\"…\", \"…\"]`", sink).map(|texts| texts.0)
    }
}

fn listed(known: &[&str]) -> String {
    match known {
        [] => "it has no options".to_owned(),
        known => format!("the options here are {}", one_of(known).replace(" or ", " and ")),
    }
}

/// `name`, `name = …` or `name(…)`.
fn option(input: ParseStream) -> syn::Result<(Ident, Value)> {
    let name = input.call(Ident::parse_any)?;
    if input.is_empty() {
        return Ok((name, Value::Flag));
    }
    if input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in input);
        let list = content.parse()?;
        return if input.is_empty() { Ok((name, Value::List(list))) } else { Err(input.error("")) };
    }
    input.parse::<Token![=]>()?;
    Ok((name, Value::Assigned(input.parse()?)))
}

/// Cuts tokens at the commas that stand outside of brackets and of a type's `<…>`. Empty parts are left out.
pub(crate) fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    let mut depth = 0_usize;
    let mut before = None;
    for token in tokens {
        let punct = if let TokenTree::Punct(punct) = &token { Some(punct.as_char()) } else { None };
        match punct {
            Some(',') if depth == 0 => {
                parts.push(TokenStream::new());
                before = None;
                continue;
            }
            Some('<') => depth += 1,
            Some('>') if before != Some('-') && before != Some('=') => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = punct;
        if let Some(last) = parts.last_mut() {
            last.extend([token]);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
