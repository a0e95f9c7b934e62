//! Canonical options: what an attribute says, defaults included, as the texts that descriptor and source view must agree
//! on.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Path;

/// An option's value.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub enum OptionValue {
    /// Known by syntax alone.
    Text(String),
    /// The id of the resource that this path names: rustc and name resolution find it.
    Resource(Path),
}

impl OptionValue {
    pub(crate) fn text(value: impl ToString) -> Self {
        OptionValue::Text(value.to_string())
    }
}

/// Tokens as one text, the same from rustc's tokens and from proc-macro2's own, whose spacing differs: nothing between
/// tokens but one space where two words meet or a comma or arrow was.
pub fn canonical(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    write(tokens.into_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        let word = |text: &mut String, word: &str| {
            if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                text.push(' ');
            }
            text.push_str(word);
        };
        match token {
            TokenTree::Ident(ident) => word(text, &ident.to_string()),
            TokenTree::Literal(literal) => word(text, &literal.to_string()),
            TokenTree::Punct(punct) => {
                text.push(punct.as_char());
                if punct.as_char() == ',' || text.ends_with("->") {
                    text.push(' ');
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn one_text_however_it_is_spaced() {
        let spaced: TokenStream = "Box < dyn  Fn ( & str ,u8 )->Vec<[ u8;4]> + Send >".parse().unwrap();
        assert_eq!(canonical(spaced), "Box<dyn Fn(&str, u8)-> Vec<[u8;4]>+Send>");
        assert_eq!(canonical(quote!(crate::orders::Order)), "crate::orders::Order");
    }
}
