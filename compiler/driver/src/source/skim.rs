//! Before parsing: function bodies and initialisers become `{}` and `()`, since nobody reads them, and what must be known of
//! them is noted. That makes parsing fast, and safe: the deep recursion of expressions is never entered.

use super::path::PathRef;
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::ops::Range;
use updraft_syntax::Attribute;

/// How deep delimiters may nest, and how long a stretch without separators may be: what a parser's recursion can take.
const DEPTH: usize = 200;
const STRETCH: usize = 5_000;

/// A file's tokens without bodies, and what was seen in them.
pub(crate) struct Skimmed {
    pub(crate) tokens: TokenStream,
    pub(crate) seen: Seen,
}

/// What matters of the insides of functions and initialisers. Ranges are those of the token stream.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Attributes there that are spelled like one of ours.
    pub(crate) attributes: Vec<PathRef>,
    /// Macro calls there that are spelled like `run!` or `main!`, with their arguments.
    pub(crate) calls: Vec<(PathRef, Range<usize>)>,
    /// Paths through `__private`, anywhere.
    pub(crate) private: Vec<PathRef>,
    /// Names that some path starts with, anywhere.
    pub(crate) first_names: BTreeSet<String>,
}

/// Too deep to parse: where.
pub(crate) struct TooDeep(pub(crate) Range<usize>);

/// Leaves out what nobody reads.
pub(crate) fn skim(tokens: TokenStream) -> Result<Skimmed, TooDeep> {
    let mut seen = Seen::default();
    look(tokens.clone(), &mut seen)?;
    let tokens = items(tokens, &mut seen);
    measure(tokens.clone())?;
    Ok(Skimmed { tokens, seen })
}

/// Every token once, without recursion: depth, paths.
fn look(tokens: TokenStream, seen: &mut Seen) -> Result<(), TooDeep> {
    let mut open = vec![(tokens.into_iter(), PathWalk::default())];
    while let Some((tokens, walk)) = open.last_mut() {
        match tokens.next() {
            None => {
                walk.end(seen);
                open.pop();
            }
            Some(TokenTree::Group(group)) => {
                walk.end(seen);
                if open.len() >= DEPTH {
                    return Err(TooDeep(group.span_open().byte_range()));
                }
                open.push((group.stream().into_iter(), PathWalk::default()));
            }
            Some(token) => walk.step(&token, seen),
        }
    }
    Ok(())
}

/// No stretch of what will be parsed is too long. (A macro's tokens are not.)
fn measure(tokens: TokenStream) -> Result<(), TooDeep> {
    let mut open = vec![tokens];
    while let Some(tokens) = open.pop() {
        let (mut stretch, mut after_bang) = (0, false);
        for token in tokens {
            stretch += 1;
            if stretch > STRETCH {
                return Err(TooDeep(token.span().byte_range()));
            }
            match token {
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace {
                        stretch = 0;
                    }
                    if !after_bang {
                        open.push(group.stream());
                    }
                    after_bang = false;
                }
                TokenTree::Punct(punct) => {
                    if matches!(punct.as_char(), ',' | ';') {
                        stretch = 0;
                    }
                    after_bang = punct.as_char() == '!';
                }
                TokenTree::Ident(_) => {} // `macro_rules! name { … }`
                TokenTree::Literal(_) => after_bang = false,
            }
        }
    }
    Ok(())
}

/// Follows `a::b::c` through a token stream.
#[derive(Default)]
struct PathWalk {
    path: PathRef,
    colons: usize,
}

impl PathWalk {
    fn step(&mut self, token: &TokenTree, seen: &mut Seen) {
        match token {
            // A word before a path, as in `use ::a`.
            TokenTree::Ident(ident)
                if ident == "use" || ident == "return" || ident == "as" || ident == "in" || ident == "dyn" =>
            {
                self.end(seen);
            }
            TokenTree::Ident(ident) => {
                if self.colons != 2 {
                    self.end(seen);
                }
                self.colons = 0;
                self.path.push(ident);
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && self.colons < 2 => {
                self.colons += 1;
                if self.colons == 1 && punct.spacing() != Spacing::Joint {
                    self.end(seen);
                } else if self.path.segments.is_empty() {
                    self.path.leading = self.colons == 2;
                }
            }
            _ => self.end(seen),
        }
    }

    fn end(&mut self, seen: &mut Seen) {
        if self.path.segments.len() > 1 || self.path.leading || self.colons == 2 {
            if let Some(first) = self.path.segments.first().filter(|first| !seen.first_names.contains(&first.name)) {
                seen.first_names.insert(first.name.clone());
            }
            if self.path.segments.iter().any(|segment| segment.name == "__private") {
                seen.private.push(std::mem::take(&mut self.path));
            }
        }
        self.path = PathRef::default();
        self.colons = 0;
    }
}

/// The items of a file, a module, an `impl` or a `trait`.
fn items(tokens: TokenStream, seen: &mut Seen) -> TokenStream {
    let mut left: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut item = Start::default();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && item.angles == 0 => {
                match item.keyword {
                    Keyword::Fn => {
                        inside(group.stream(), seen);
                        left.push(empty(group));
                        item = Start::default();
                    }
                    Keyword::Nest => {
                        left.push(replaced(group, items(group.stream(), seen)));
                        item = Start::default();
                    }
                    // The braces of a macro's call, of a struct, an enum, a `use`: the item ends here or at a `;` that follows.
                    Keyword::None | Keyword::Macro | Keyword::Other => {
                        left.push(token);
                        if item.keyword != Keyword::Other || !item.is_use {
                            item = Start::default();
                        }
                    }
                    Keyword::Value => left.push(token),
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                left.push(token);
                item = Start::default();
            }
            // `const A: T = …;`: what follows is for nobody.
            TokenTree::Punct(punct) if punct.as_char() == '=' && item.keyword == Keyword::Value && item.angles == 0 => {
                let span = punct.span();
                left.push(token);
                let mut any = false;
                while let Some(next) = tokens.peek() {
                    if matches!(next, TokenTree::Punct(punct) if punct.as_char() == ';') {
                        break;
                    }
                    if let Some(TokenTree::Group(group)) = tokens.next() {
                        inside(group.stream(), seen);
                    }
                    any = true;
                }
                if any {
                    let mut unit = Group::new(Delimiter::Parenthesis, TokenStream::new());
                    unit.set_span(span);
                    left.push(unit.into());
                }
            }
            _ => {
                item.step(&token, left.last());
                left.push(token);
            }
        }
    }
    left.into_iter().collect()
}

/// What an item turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keyword {
    #[default]
    None,
    Fn,
    /// `mod`, `impl`, `trait`: items in braces.
    Nest,
    /// `const` or `static`.
    Value,
    Macro,
    Other,
}

/// How far into an item.
#[derive(Default)]
struct Start {
    keyword: Keyword,
    is_use: bool,
    angles: usize,
}

impl Start {
    fn step(&mut self, token: &TokenTree, before: Option<&TokenTree>) {
        match token {
            TokenTree::Ident(ident) if matches!(self.keyword, Keyword::None | Keyword::Value) => {
                let keyword = match ident.to_string().as_str() {
                    "fn" => Keyword::Fn, // also of `const fn`
                    _ if self.keyword == Keyword::Value => return,
                    "mod" | "impl" | "trait" => Keyword::Nest,
                    "const" | "static" => Keyword::Value,
                    "struct" | "enum" | "type" => Keyword::Other,
                    "use" => {
                        self.is_use = true;
                        Keyword::Other
                    }
                    _ => return, // `pub`, `async`, `unsafe`, `extern`, `union`, a macro's path
                };
                // `const NAME: fn() = …` is no function.
                if keyword == Keyword::Fn
                    && self.keyword == Keyword::Value
                    && matches!(before, Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), ':' | '<' | ',' | '&' | '>'))
                {
                    return;
                }
                self.keyword = keyword;
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                '<' => self.angles += 1,
                '>' if !matches!(before, Some(TokenTree::Punct(before)) if matches!(before.as_char(), '-' | '=') && before.spacing() == Spacing::Joint) =>
                {
                    self.angles = self.angles.saturating_sub(1);
                }
                '!' if self.keyword == Keyword::None => self.keyword = Keyword::Macro,
                _ => {}
            },
            _ => {}
        }
    }
}

/// Attributes and macro calls of ours inside a body.
fn inside(tokens: TokenStream, seen: &mut Seen) {
    let mut open = vec![tokens];
    while let Some(tokens) = open.pop() {
        let mut path = PathRef::default();
        let mut after_pound = false;
        let mut after_bang = false;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if !path.open {
                        path = PathRef::default();
                    }
                    path.push(ident);
                    (after_pound, after_bang) = (false, false);
                }
                TokenTree::Punct(punct) => {
                    path.open = punct.as_char() == ':';
                    after_pound = punct.as_char() == '#';
                    after_bang = punct.as_char() == '!' && !path.segments.is_empty();
                    if !matches!(punct.as_char(), ':' | '!') {
                        path = PathRef::default();
                    }
                }
                TokenTree::Group(group) => {
                    if after_pound && group.delimiter() == Delimiter::Bracket {
                        let found = leading_path(group.stream());
                        if found.last().is_some_and(|last| Attribute::from_name(last).is_some()) {
                            seen.attributes.push(found);
                        }
                    } else {
                        if after_bang && path.last().is_some_and(|last| matches!(last, "run" | "main" | "app")) {
                            path.open = false;
                            seen.calls.push((std::mem::take(&mut path), group.span().byte_range()));
                        }
                        open.push(group.stream());
                    }
                    path = PathRef::default();
                    (after_pound, after_bang) = (false, false);
                }
                TokenTree::Literal(_) => path = PathRef::default(),
            }
        }
    }
}

/// `a::b` of `a::b(…)`.
fn leading_path(tokens: TokenStream) -> PathRef {
    let mut path = PathRef::default();
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) => path.push(ident),
            TokenTree::Punct(punct) if punct.as_char() == ':' => path.leading |= path.segments.is_empty(),
            _ => break,
        }
    }
    path
}

fn empty(group: &Group) -> TokenTree {
    replaced(group, TokenStream::new())
}

fn replaced(group: &Group, stream: TokenStream) -> TokenTree {
    let mut new = Group::new(group.delimiter(), stream);
    new.set_span(group.span());
    new.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skimmed(text: &str) -> (String, Seen) {
        let Ok(Skimmed { tokens, seen }) = skim(text.parse().unwrap()) else { panic!("too deep") };
        syn::parse2::<syn::File>(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"));
        (tokens.to_string(), seen)
    }

    #[test]
    fn bodies_go_and_signatures_stay() {
        for (text, left) in [
            ("fn a() { b(); }", "fn a () { }"),
            (
                "pub(crate) const unsafe extern \"C\" fn a<const N: usize>() -> A<{ N + 1 }> where B<{ 1 }>: C { d }",
                "pub (crate) const unsafe extern \"C\" fn a < const N : usize > () -> A < { N + 1 } > where B < { 1 } > : C { }",
            ),
            ("fn a() -> impl Fn() -> u8 { || 1 }", "fn a () -> impl Fn () -> u8 { }"),
            (
                "mod a { impl B { fn c(&self) { d } const E: u8 = { 1 }; } }",
                "mod a { impl B { fn c (& self) { } const E : u8 = () ; } }",
            ),
            ("trait A { fn b(); fn c() { d } }", "trait A { fn b () ; fn c () { } }"),
            ("static A: fn(u8) -> B<u8> = c; fn d() { e }", "static A : fn (u8) -> B < u8 > = () ; fn d () { }"),
            (
                "struct A { b: u8 } enum C { D = { 1 } } union U { a: u8 } type F = fn() -> u8; fn g() { h }",
                "struct A { b : u8 } enum C { D = { 1 } } union U { a : u8 } type F = fn () -> u8 ; fn g () { }",
            ),
            (
                "use a::{b, c}; m! { fn x() { y } } fn g() { h }",
                "use a :: { b , c } ; m ! { fn x () { y } } fn g () { }",
            ),
            ("macro_rules! m { () => {}; } fn g() { h }", "macro_rules ! m { () => { } ; } fn g () { }"),
            ("const _: () = { fn a() {} };", "const _ : () = () ;"),
            (
                "impl<T> A<T> for B where T: C<D = u8> { fn e() { f } }",
                "impl < T > A < T > for B where T : C < D = u8 > { fn e () { } }",
            ),
        ] {
            let dense = |text: &str| text.replace(' ', "");
            assert_eq!(dense(&skimmed(text).0), dense(left), "{text}");
        }
    }

    #[test]
    fn what_bodies_hold_is_noted() {
        let (_, seen) =
            skimmed("fn main() { if x { updraft::run!(shop, audit) } #[updraft::http(get, \"/\")] async fn a() {} }");
        assert_eq!(seen.calls.len(), 1);
        assert_eq!(seen.calls[0].0.to_string(), "updraft::run");
        assert_eq!(seen.attributes[0].to_string(), "updraft::http");
        let (_, seen) = skimmed("use ::audit as _; fn a() { shop::b(::serde::__private::Ok) }");
        assert_eq!(seen.first_names.iter().map(String::as_str).collect::<Vec<_>>(), ["audit", "serde", "shop"]);
        assert_eq!(seen.private[0].to_string(), "::serde::__private::Ok");
    }

    #[test]
    fn depth_is_refused() {
        assert!(skim(format!("{}{}", "{".repeat(5000), "}".repeat(5000)).parse().unwrap()).is_err());
        assert!(skim(format!("type A = {}u8;", "&".repeat(100_000)).parse().unwrap()).is_err());
    }
}
