//! What a message's type looks like, as a hash: two programs that agree on it read each other's messages, and one that
//! doesn't know it has a newer version's message in hand.
//!
//! The hash is over the type's JSON Schema in one canonical form. Words (titles, descriptions, examples, defaults) and order
//! don't count, nor do names of types, except of those that hold themselves.

use crate::capability::{QueueResource, TopicResource};
use crate::engine::Message;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

/// What queues and topics may carry: it travels as JSON, and its schema is known.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a message",
    label = "it does not travel as JSON with a known schema",
    note = "put `#[updraft::data]` on it: that derives `Serialize`, `Deserialize` and `JsonSchema`"
)]
pub trait Data: Send + Sync + 'static {
    // No supertraits but those: rustc would report each that is missing, in words of its own.

    /// As it travels.
    ///
    /// # Errors
    /// What its `Serialize` says.
    #[doc(hidden)]
    fn to_json(&self) -> serde_json::Result<Vec<u8>>;

    /// As a value, to look into.
    ///
    /// # Errors
    /// What its `Serialize` says.
    #[doc(hidden)]
    fn to_value(&self) -> serde_json::Result<Value>;

    /// As it arrived.
    ///
    /// # Errors
    /// What its `Deserialize` says.
    #[doc(hidden)]
    fn from_json(body: &[u8]) -> serde_json::Result<Self>
    where
        Self: Sized;

    /// The schema's hash as `dataschema` carries it: `blake3:` and 32 hexadecimal digits.
    #[doc(hidden)]
    fn schema() -> String
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static> Data for T {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn from_json(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    fn schema() -> String {
        schema::<T>()
    }
}

/// An older form of the message `M`: any type that `M` has a `From` of.
#[diagnostic::on_unimplemented(
    message = "`{M}` can't be made of `{Self}`",
    label = "an older form that nothing turns into the new one",
    note = "`accepts = […]` names types that the message is made of: write `impl From<{Self}> for {M}`"
)]
pub trait Becomes<M> {
    /// The message that it was.
    #[doc(hidden)]
    fn become_new(self) -> M;
}

#[diagnostic::do_not_recommend]
impl<Older, M: From<Older>> Becomes<M> for Older {
    fn become_new(self) -> M {
        M::from(self)
    }
}

/// One form in which a message may come.
pub struct Form<M: 'static> {
    schema: fn() -> String,
    read: fn(&[u8]) -> serde_json::Result<M>,
}

/// An older form, of the type `Older`.
pub const fn accepted<M, Older: Data + Becomes<M>>() -> Form<M> {
    Form { schema: Older::schema, read: |body| Older::from_json(body).map(Older::become_new) }
}

/// All forms of a queue's or topic's messages: the one that is sent, and older ones that are read too.
pub struct Forms<M: 'static> {
    own: Form<M>,
    accepted: &'static [Form<M>],
    /// The schema of each, made when the first message is sent or read.
    schemas: OnceLock<Vec<String>>,
}

/// Why a message can't be read.
pub(crate) struct Unread {
    /// What the reader of the newest form that was tried says.
    pub(crate) error: serde_json::Error,
    /// Whether it has a schema and this program no such form: a newer version's, most likely.
    pub(crate) unknown: bool,
}

/// The forms of a queue's messages, older ones newest first. (Asked of the queue, so that a message that is none gives one
/// error, at its declaration.)
pub const fn queue_forms<Q: QueueResource>(accepted: &'static [Form<Q::Message>]) -> Forms<Q::Message> {
    Forms::new(accepted)
}

/// [`queue_forms`], for topics.
pub const fn topic_forms<T: TopicResource>(accepted: &'static [Form<T::Message>]) -> Forms<T::Message> {
    Forms::new(accepted)
}

impl<M: Data> Forms<M> {
    pub(crate) const fn new(accepted: &'static [Form<M>]) -> Self {
        Forms { own: Form { schema: M::schema, read: M::from_json }, accepted, schemas: OnceLock::new() }
    }
}

impl<M> Forms<M> {
    fn all(&self) -> impl Iterator<Item = &Form<M>> {
        std::iter::once(&self.own).chain(self.accepted)
    }

    fn schemas(&self) -> &[String] {
        self.schemas.get_or_init(|| self.all().map(|form| (form.schema)()).collect())
    }

    /// The schema of what is sent.
    pub fn schema(&self) -> &str {
        self.schemas().first().map_or("", String::as_str)
    }

    /// Reads a message: in the form that its schema names, else in the newest that fits.
    pub(crate) fn read(&self, message: &Message) -> Result<M, Unread> {
        let known = message.schema.as_ref().map(|schema| self.schemas().iter().position(|known| known == schema));
        if let Some(Some(form)) = known.map(|at| at.and_then(|at| self.all().nth(at))) {
            return (form.read)(&message.body).map_err(|error| Unread { error, unknown: false });
        }
        let own = (self.own.read)(&message.body);
        own.or_else(|error| {
            let older = self.accepted.iter().find_map(|form| (form.read)(&message.body).ok());
            older.ok_or(Unread { error, unknown: known.is_some() })
        })
    }
}

/// The schema's hash of a type, `blake3:…`.
pub fn schema<T: JsonSchema>() -> String {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let hash = blake3::hash(canonical(schema.as_value()).as_bytes()).to_hex();
    format!("blake3:{}", &hash[..32])
}

/// The schema as one text, whatever its words and its order.
fn canonical(schema: &Value) -> String {
    let mut text = String::new();
    write(&plain(schema), &mut text);
    text
}

/// Keywords that say something to people alone, or what is filled in for what is absent.
const WORDS: [&str; 9] =
    ["$comment", "$id", "$schema", "default", "deprecated", "description", "examples", "title", "readOnly"];
/// Keywords whose members are named by the user and hold a schema each.
const NAMED: [&str; 4] = ["$defs", "dependentSchemas", "patternProperties", "properties"];
/// Keywords that hold schemas whose order says nothing.
const UNORDERED: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords that hold values whose order says nothing.
const SETS: [&str; 3] = ["enum", "required", "type"];
/// Keywords that hold values as they are.
const LITERAL: [&str; 1] = ["const"];

/// A schema without words, its sets in order.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut plainer = Map::new();
            for (name, value) in members.iter().filter(|(name, _)| !WORDS.contains(&name.as_str())) {
                let name = name.as_str();
                let value = match value {
                    Value::Object(named) if NAMED.contains(&name) => {
                        Value::Object(named.iter().map(|(name, schema)| (name.clone(), plain(schema))).collect())
                    }
                    Value::Array(all) if UNORDERED.contains(&name) => sorted(all.iter().map(plain)),
                    Value::Array(all) if SETS.contains(&name) => sorted(all.iter().cloned()),
                    value if LITERAL.contains(&name) => value.clone(),
                    value => plain(value),
                };
                plainer.insert(name.to_owned(), value);
            }
            Value::Object(joined(plainer))
        }
        Value::Array(all) => all.iter().map(plain).collect(),
        scalar => scalar.clone(),
    }
}

/// An enum's variants without data are one `enum`, or `const`s in a `oneOf` if some have a description: the same set.
fn joined(mut schema: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Array(variants)) = schema.get("oneOf") else { return schema };
    let (mut names, mut others) = (Vec::new(), Vec::new());
    for variant in variants {
        let texts = match variant {
            Value::Object(members) if members.len() == 2 && members.get("type") == Some(&Value::from("string")) => {
                members
                    .get("const")
                    .map(std::slice::from_ref)
                    .or(members.get("enum").and_then(Value::as_array).map(Vec::as_slice))
            }
            _ => None,
        };
        match texts {
            Some(texts) => names.extend(texts.iter().cloned()),
            None => others.push(variant.clone()),
        }
    }
    if names.is_empty() {
        return schema;
    }
    let names = Map::from_iter([("type".to_owned(), "string".into()), ("enum".to_owned(), sorted(names.into_iter()))]);
    if others.is_empty() && !schema.contains_key("type") && !schema.contains_key("enum") {
        schema.remove("oneOf");
        schema.extend(names);
    } else {
        others.push(names.into());
        schema.insert("oneOf".to_owned(), sorted(others.into_iter()));
    }
    schema
}

fn sorted(values: impl Iterator<Item = Value>) -> Value {
    let text = |value: Value| {
        let mut text = String::new();
        write(&value, &mut text);
        (text, value)
    };
    let sorted: BTreeMap<String, Value> = values.map(text).collect();
    sorted.into_values().collect()
}

/// JSON with members in the order of their names: how `serde_json` orders them is a feature that any crate may turn on.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<&String, &Value> = members.iter().collect();
            text.push('{');
            for (name, value) in ordered {
                let _ = write!(text, "{}:", Value::from(name.as_str()));
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(all) => {
            text.push('[');
            for value in all {
                write(value, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jiff::Timestamp;

    mod first {
        use schemars::JsonSchema;

        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Order {
            pub(super) id: String,
            pub(super) items: Vec<Item>,
            pub(super) ship: Ship,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Item {
            pub(super) sku: String,
            pub(super) title: Option<u32>,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) enum Ship {
            Air,
            Sea,
            Road { lorry: u8 },
        }
    }

    mod second {
        use schemars::JsonSchema;

        /// Words, another order, other names of types.
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Purchase {
            /// How.
            pub(super) ship: Way,
            /// What.
            pub(super) items: Vec<Piece>,
            pub(super) id: String,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) struct Piece {
            pub(super) title: Option<u32>,
            pub(super) sku: String,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        pub(super) enum Way {
            Road {
                lorry: u8,
            },
            /// Slow.
            Sea,
            Air,
        }
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Tree {
        left: Option<Box<Tree>>,
    }

    #[test]
    fn words_order_and_names_of_types_do_not_count() {
        assert_eq!(schema::<first::Order>(), schema::<second::Purchase>());
        assert_eq!(schema::<first::Order>(), schema::<first::Order>());
        assert_ne!(schema::<first::Item>(), schema::<first::Order>());
        assert_ne!(schema::<u32>(), schema::<u64>());
        assert_ne!(schema::<first::Ship>(), schema::<String>());
        assert_ne!(schema::<Tree>(), schema::<first::Item>());
        let hash = schema::<first::Order>();
        assert!(hash.len() == 39 && hash.starts_with("blake3:"), "{hash}");
    }

    /// What is in messages that wait: if this changes, every message under way is of an unknown version.
    #[test]
    fn the_form_is_the_one_it_always_was() {
        let text = canonical(
            &serde_json::from_str(
                r##"{"$schema": "x", "title": "T", "type": ["object", "null"], "required": ["b", "a"],
                "properties": {"title": {"type": "string", "description": "d"}, "a": {"enum": ["y", "x"], "type": "string"}},
                "oneOf": [{"type": "string", "const": "N"}, {"type": "object"}, {"type": "string", "enum": ["M"]}]}"##,
            )
            .unwrap(),
        );
        assert_eq!(
            text,
            r##"{"oneOf":[{"enum":["M","N",],"type":"string",},{"type":"object",},],"properties":{"a":{"enum":["x","y",],"type":"string",},"title":{"type":"string",},},"required":["a","b",],"type":["null","object",],}"##
        );
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
    struct New {
        cents: u32,
    }
    #[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
    struct Old {
        euros: u32,
    }
    impl From<Old> for New {
        fn from(old: Old) -> Self {
            New { cents: old.euros * 100 }
        }
    }

    #[test]
    fn forms_are_told_by_schema_then_by_what_fits() {
        static FORMS: Forms<New> = Forms::new(&[accepted::<New, Old>()]);
        let read = |schema: Option<String>, body: &'static str| {
            let message = Message {
                id: "1".into(),
                source: String::new(),
                time: Timestamp::UNIX_EPOCH,
                schema,
                trace: None,
                attributes: BTreeMap::new(),
                body: Bytes::from_static(body.as_bytes()),
            };
            FORMS.read(&message).map(|new| new.cents).map_err(|unread| unread.unknown)
        };
        let (new, old) = (Some(schema::<New>()), Some(schema::<Old>()));
        assert_eq!(FORMS.schema(), schema::<New>());
        assert_eq!(read(new.clone(), r#"{"cents": 1, "euros": 2}"#), Ok(1));
        assert_eq!(read(old.clone(), r#"{"cents": 1, "euros": 2}"#), Ok(200), "its schema says which it is");
        assert_eq!(read(None, r#"{"euros": 2}"#), Ok(200));
        let later = Some("blake3:0".to_owned());
        assert_eq!(read(later.clone(), r#"{"cents": 1, "added": true}"#), Ok(1), "additive evolution");
        assert_eq!(read(later.clone(), r#"{"euros": 3}"#), Ok(300));
        assert_eq!(read(later, r#"{"pounds": 3}"#), Err(true), "a newer version's");
        assert_eq!(read(new, r#"{"pounds": 3}"#), Err(false));
        assert_eq!(read(old, r#"{"cents": 3}"#), Err(false));
        assert_eq!(read(None, "no JSON"), Err(false), "nobody says that it is newer");
    }
}
