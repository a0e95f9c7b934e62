//! What is wrong with an attribute or its item, independent of who shows it: rustc (through the macros) or the compiler.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};

/// One finding, always an error.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// One of [`crate::codes`].
    pub code: &'static str,
    /// The first token it speaks of.
    pub start: Span,
    /// The last one. (Stable rustc can't join spans, so both are kept.)
    pub end: Span,
    /// One sentence.
    pub message: String,
    /// A few words for the place itself; may be empty.
    pub label: String,
    /// The way out.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding about `tokens`.
    pub fn new(code: &'static str, tokens: impl ToTokens, message: impl Into<String>) -> Self {
        let mut tokens = tokens.into_token_stream().into_iter();
        let start = tokens.next().map_or_else(Span::call_site, |token| token.span());
        let end = tokens.last().map_or(start, |token| token.span());
        Diagnostic { code, start, end, message: message.into(), label: String::new(), help: None }
    }

    /// A finding about one place.
    pub fn at(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { code, start: span, end: span, message: message.into(), label: String::new(), help: None }
    }

    /// Says what is at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where it is in its file, in bytes.
    #[cfg(any(test, feature = "locations"))]
    pub fn byte_range(&self) -> std::ops::Range<usize> {
        let start = self.start.byte_range();
        start.start..self.end.byte_range().end.max(start.end)
    }

    /// As one `compile_error!` item at the right tokens: rustc underlines from the first token's span to the last one's.
    pub fn to_compile_error(&self) -> TokenStream {
        let mut text = self.message.clone();
        if let Some(help) = &self.help {
            text.push_str("\n\nhelp: ");
            text.push_str(help);
        }
        text.push_str("\nnote: `cargo updraft explain ");
        text.push_str(self.code);
        text.push_str("` says more");
        let path = quote_spanned!(self.start=> ::core::compile_error!);
        let mut arguments: TokenTree =
            quote_spanned!(self.end=> { #text }).into_iter().next().unwrap_or_else(unreachable);
        arguments.set_span(self.end);
        quote::quote!(#path #arguments)
    }
}

/// `{ … }` is one token tree; this exists so that no panic has to be reasoned about in the caller.
fn unreachable() -> TokenTree {
    TokenTree::Group(proc_macro2::Group::new(proc_macro2::Delimiter::Brace, TokenStream::new()))
}

/// Collects findings: parsing goes on past the first.
#[derive(Debug, Default)]
pub struct Sink(Vec<Diagnostic>);

impl Sink {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// How many there are, to tell whether a part added some.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All findings, in the order they were found.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}
