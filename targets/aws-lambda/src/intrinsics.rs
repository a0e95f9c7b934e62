//! Texts that CloudFormation completes: `Ref`, `Fn::GetAtt` and `Fn::Sub`.
//!
//! A reference is made from an [`Id`](crate::template::Id) or a parameter, which only a template hands out, for what is in it
//! already. So nothing can be named that does not exist, and no two things can name each other in a circle, which
//! CloudFormation refuses.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt::Write;

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    /// `Ref`: of a resource, a parameter or a pseudo parameter.
    Ref(String),
    /// `Fn::GetAtt`.
    Attribute(String, &'static str),
    /// The host in a `Fn::GetAtt` that is a URL.
    Host(String, &'static str),
    /// Twelve hex digits that no other stack has: the end of the UUID in its id.
    Stack,
}

/// What [`Piece::Stack`] is called in a `Fn::Sub`.
const STACK: &str = "Stack";
/// The same of a [`Piece::Host`], of which a text has one at most.
const HOST: &str = "Host";

impl Text {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Text(vec![Piece::Plain(text.into())])
    }

    /// Of a name that exists: templates alone call this.
    pub(crate) fn reference(name: &str) -> Self {
        Text(vec![Piece::Ref(name.to_owned())])
    }

    /// Of a name that exists: templates alone call this.
    pub(crate) fn attribute(name: &str, attribute: &'static str) -> Self {
        Text(vec![Piece::Attribute(name.to_owned(), attribute)])
    }

    /// The host of an attribute that is a URL: templates alone call this.
    pub(crate) fn host(name: &str, attribute: &'static str) -> Self {
        Text(vec![Piece::Host(name.to_owned(), attribute)])
    }

    /// `aws`, `aws-cn`, …
    pub(crate) fn partition() -> Self {
        Text::reference("AWS::Partition")
    }

    /// `eu-central-1`.
    pub(crate) fn region() -> Self {
        Text::reference("AWS::Region")
    }

    /// Twelve digits.
    pub(crate) fn account() -> Self {
        Text::reference("AWS::AccountId")
    }

    /// The stack's name: of the whole, wherever it stands.
    pub(crate) fn stack_name() -> Self {
        Text::reference("AWS::StackName")
    }

    /// Twelve hex digits that no other stack has.
    pub(crate) fn stack() -> Self {
        Text(vec![Piece::Stack])
    }

    /// One after another.
    pub(crate) fn of(parts: impl IntoIterator<Item = Text>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in parts.into_iter().flat_map(|part| part.0) {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Plain(before)), Piece::Plain(text)) => before.push_str(&text),
                (_, piece) => pieces.push(piece),
            }
        }
        Text(pieces)
    }

    /// The same with this at its end.
    pub(crate) fn then(self, end: impl Into<Text>) -> Self {
        Text::of([self, end.into()])
    }

    /// How many bytes it has at most, if a hole of a name is filled by so many.
    pub(crate) fn longest(&self, hole: impl Fn(&str) -> usize) -> usize {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Ref(name) | Piece::Attribute(name, _) | Piece::Host(name, _) => hole(name),
            Piece::Stack => 12,
        };
        self.0.iter().map(piece).sum()
    }

    /// What `Fn::Sub` takes.
    fn template(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            let _ = match piece {
                Piece::Plain(text) => write!(out, "{}", text.replace("${", "${!")),
                Piece::Ref(name) => write!(out, "${{{name}}}"),
                Piece::Attribute(name, attribute) => write!(out, "${{{name}.{attribute}}}"),
                Piece::Host(..) => write!(out, "${{{HOST}}}"),
                Piece::Stack => write!(out, "${{{STACK}}}"),
            };
        }
        out
    }

    /// As it stands in a template.
    pub(crate) fn value(&self) -> Value {
        match &self.0[..] {
            [] => Value::from(""),
            [Piece::Plain(text)] => Value::from(text.as_str()),
            [Piece::Ref(name)] => json!({ "Ref": name }),
            [Piece::Attribute(name, attribute)] => json!({ "Fn::GetAtt": [name, attribute] }),
            pieces => match pieces.iter().filter_map(Piece::computed).collect::<serde_json::Map<_, _>>() {
                computed if computed.is_empty() => json!({ "Fn::Sub": self.template() }),
                computed => json!({ "Fn::Sub": [self.template(), computed] }),
            },
        }
    }
}

impl Piece {
    /// What `Fn::Sub` can't find out by itself, with the name that it has there.
    fn computed(&self) -> Option<(String, Value)> {
        let part =
            |number: &str, split: &str, of: Value| json!({ "Fn::Select": [number, { "Fn::Split": [split, of] }] });
        match self {
            Piece::Plain(_) | Piece::Ref(_) | Piece::Attribute(..) => None,
            Piece::Host(name, attribute) => {
                Some((HOST.to_owned(), part("2", "/", json!({ "Fn::GetAtt": [name, attribute] }))))
            }
            Piece::Stack => {
                let uuid = part("2", "/", json!({ "Ref": "AWS::StackId" }));
                Some((STACK.to_owned(), part("4", "-", uuid)))
            }
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &Text) -> String {
        serde_json::to_string(text).unwrap()
    }

    #[test]
    fn the_simplest_form_that_says_it() {
        let queue = Text::attribute("OrdersQueue", "Arn");
        assert_eq!(written(&Text::plain("a").then("b")), r#""ab""#);
        assert_eq!(written(&Text::of([])), r#""""#);
        assert_eq!(written(&Text::region()), r#"{"Ref":"AWS::Region"}"#);
        assert_eq!(written(&queue), r#"{"Fn::GetAtt":["OrdersQueue","Arn"]}"#);
        let both = queue.then("/").then(Text::reference("Orders"));
        assert_eq!(written(&both), r#"{"Fn::Sub":"${OrdersQueue.Arn}/${Orders}"}"#);
        assert_eq!(both.longest(|_| 10), 21);
    }

    #[test]
    fn what_looks_like_a_hole_is_none() {
        assert_eq!(written(&Text::plain("${x}")), r#""${x}""#, "no Fn::Sub, no holes");
        assert_eq!(written(&Text::plain("${x}").then(Text::region())), r#"{"Fn::Sub":"${!x}${AWS::Region}"}"#);
    }

    #[test]
    fn a_stack_has_a_name_of_its_own() {
        let text = written(&Text::plain("shop-").then(Text::stack()));
        assert!(text.starts_with(r#"{"Fn::Sub":["shop-${Stack}",{"Stack":{"Fn::Select":["4","#), "{text}");
    }

    #[test]
    fn a_host_is_taken_out_of_a_url() {
        let text = written(&Text::plain("https://").then(Text::host("Shop", "Url")));
        let host = r#"{"Host":{"Fn::Select":["2",{"Fn::Split":["/",{"Fn::GetAtt":["Shop","Url"]}]}]}}"#;
        assert_eq!(text, format!(r#"{{"Fn::Sub":["https://${{Host}}",{host}]}}"#));
    }
}
