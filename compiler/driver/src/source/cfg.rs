//! `cfg` and `cfg_attr`, under the features of one crate and what rustc says of the target.

use crate::world::{Crate, Program};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// What holds in one crate.
#[derive(Clone, Copy)]
pub(crate) struct Cfg<'a> {
    program: &'a Program,
    krate: &'a Crate,
}

impl<'a> Cfg<'a> {
    pub(crate) fn new(program: &'a Program, krate: &'a Crate) -> Self {
        Cfg { program, krate }
    }

    /// The attributes that an item is left with: `cfg_attr` opened up. `None` if a `cfg` is false.
    ///
    /// A predicate that can't be read counts as true: rustc refuses it, and until then more is checked, not less.
    pub(crate) fn apply(&self, attributes: Vec<Attribute>) -> Option<Vec<Attribute>> {
        let mut left = Vec::with_capacity(attributes.len());
        let mut open = attributes;
        open.reverse();
        while let Some(attribute) = open.pop() {
            if attribute.path().is_ident("cfg") {
                if let Ok(list) = attribute.meta.require_list()
                    && !self.holds(list.tokens.clone()).unwrap_or(true)
                {
                    return None;
                }
            } else if attribute.path().is_ident("cfg_attr") {
                let Ok(list) = attribute.meta.require_list() else { continue };
                let (predicate, rest) = split_first(list.tokens.clone());
                if !self.holds(predicate).unwrap_or(true) {
                    continue;
                }
                let Ok(metas) = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(rest) else { continue };
                let opened: Vec<Attribute> =
                    metas.into_iter().map(|meta| Attribute { meta, ..attribute.clone() }).collect();
                open.extend(opened.into_iter().rev());
            } else {
                left.push(attribute);
            }
        }
        Some(left)
    }

    /// `all(unix, not(feature = "x"))`. `None` if it can't be read.
    fn holds(&self, predicate: TokenStream) -> Option<bool> {
        let mut tokens = predicate.into_iter();
        let Some(TokenTree::Ident(name)) = tokens.next() else { return None };
        let name = name.to_string();
        match tokens.next() {
            None if name == "true" => Some(true),
            None if name == "false" => Some(false),
            None => Some(self.is_set(&name, None)),
            Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => {
                let literal: syn::LitStr = syn::parse2(tokens.collect()).ok()?;
                Some(self.is_set(&name, Some(&literal.value())))
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                let mut parts = split(group.stream()).into_iter().map(|part| self.holds(part));
                match name.as_str() {
                    "all" => parts.try_fold(true, |all, part| Some(all & part?)),
                    "any" => parts.try_fold(false, |any, part| Some(any | part?)),
                    "not" => parts.next()?.map(|part| !part),
                    _ => None,
                }
            }
            Some(_) => None,
        }
    }

    fn is_set(&self, name: &str, value: Option<&str>) -> bool {
        match (name, value) {
            ("feature", Some(feature)) => self.krate.features.contains(feature),
            ("test" | "doc" | "doctest" | "clippy" | "miri", None) => false,
            _ => self.program.cfg.contains(&(name.to_owned(), value.map(str::to_owned))),
        }
    }
}

/// At commas.
fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(TokenStream::new()),
            _ => parts.last_mut().into_iter().for_each(|part| part.extend([token.clone()])),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn split_first(tokens: TokenStream) -> (TokenStream, TokenStream) {
    let mut tokens = tokens.into_iter();
    let first = tokens
        .by_ref()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
        .collect();
    (first, tokens.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn left(item: &str) -> Option<Vec<String>> {
        let krate = Crate {
            name: "shop".into(),
            package: "shop".into(),
            dir: String::new(),
            root: String::new(),
            edition: 2024,
            features: BTreeSet::from(["mail".to_owned()]),
            externs: BTreeMap::new(),
        };
        let cfg = [("unix", None), ("target_os", Some("linux"))]
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        let program = Program { cfg: cfg.into(), ..Program::default() };
        let item: syn::ItemStruct = syn::parse_str(item).unwrap();
        let left = Cfg::new(&program, &krate).apply(item.attrs)?;
        Some(left.iter().map(|attribute| attribute.path().segments[0].ident.to_string()).collect())
    }

    #[test]
    fn predicates() {
        for (predicate, holds) in [
            ("unix", true),
            ("windows", false),
            ("feature = \"mail\"", true),
            ("not(feature = \"mail\")", false),
            ("all(unix, target_os = \"linux\",)", true),
            ("all()", true),
            ("any()", false),
            ("any(windows, not(test))", true),
            ("true", true),
            ("false", false),
            ("nonsense(1)", true),
        ] {
            assert_eq!(left(&format!("#[cfg({predicate})] struct A;")).is_some(), holds, "{predicate}");
        }
    }

    #[test]
    fn cfg_attr_opens_up() {
        assert_eq!(left("#[cfg_attr(unix, a, cfg_attr(unix, b(1)))] #[c] struct A;").unwrap(), ["a", "b", "c"]);
        assert_eq!(left("#[cfg_attr(windows, a)] #[c] struct A;").unwrap(), ["c"]);
        assert_eq!(left("#[cfg_attr(unix, cfg(windows))] struct A;"), None);
    }
}
