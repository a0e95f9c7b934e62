//! AWS: what the target writes into a template and the runtime reads in a function. Names of variables, of what
//! [`RESOURCES_VARIABLE`] holds, of a table's attributes and of a message's; `events` has what a function is invoked with,
//! `actions` what it may do.

pub mod actions;
pub mod events;

pub use actions::{Action, Part, Use, actions};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The variable that names the binding's file.
pub const BINDING_VARIABLE: &str = "UPDRAFT_BINDING";
/// Its name in the zip or image, beside `bootstrap`: what the variable says, below [`CODE_VARIABLE`]'s folder.
pub const BINDING_FILE: &str = "binding.json";
/// The variable that says where the code is: Lambda sets it to `/var/task`, where it unpacked the zip; an image's own
/// configuration does; elsewhere it is where something else runs functions.
pub const CODE_VARIABLE: &str = "LAMBDA_TASK_ROOT";
/// The variable that names the unit.
pub const UNIT_VARIABLE: &str = "UPDRAFT_UNIT";
/// The variable with what CloudFormation alone knows: a JSON object, [`Known::key`] → text.
pub const RESOURCES_VARIABLE: &str = "UPDRAFT_RESOURCES";
/// The variable that Lambda sets.
pub const RUNTIME_API_VARIABLE: &str = "AWS_LAMBDA_RUNTIME_API";
/// The alias of a function that everything invokes.
pub const ALIAS: &str = "live";

/// What [`RESOURCES_VARIABLE`] tells of. A unit is told of what it is granted, and of nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Known {
    /// `queue/<id>`: the queue's URL.
    Queue,
    /// `topic/<id>`: the topic's ARN.
    Topic,
    /// `store/<id>`: the table's name.
    Store,
    /// `bucket/<id>`: the bucket's name.
    Bucket,
    /// `secret/<id>`: the secret's ARN, or the [`parameter`]'s name.
    Secret,
    /// `function/<handler id>`: the ARN of the alias that serves it.
    Function,
    /// `dead-letters/<handler id>`: the URL of the handler's dead-letter queue.
    DeadLetters,
    /// `consumes/<queue's ARN>`: the id of the handler that takes what the queue holds. (A queue of SQS has one handler.)
    /// What it holds depends on the handler: a consumer's or subscriber's messages, an [`events::S3Event`] for one of objects,
    /// and for a schedule an [`events::Direct`] without message attributes. A tick goes through a queue because Lambda tries
    /// an asynchronous invocation three times at most, and a schedule says itself how often; the queue of one that must not
    /// overlap is a FIFO queue with one group.
    Consumes,
    /// `once/<app>`: the name of the table in which handlers with `once` record what they are done with.
    Once,
    /// `database/<id>`: the ARN of the secret, or the name of the [`parameter`], that holds the database's URL. The binding
    /// calls that secret so, too.
    Database,
    /// `unsent/<app>`: the URL of the queue for what an outbox can't send and no handler would have got.
    Unsent,
}

impl Known {
    /// All of them.
    pub const ALL: [Known; 11] = [
        Known::Queue,
        Known::Topic,
        Known::Store,
        Known::Bucket,
        Known::Secret,
        Known::Function,
        Known::DeadLetters,
        Known::Consumes,
        Known::Once,
        Known::Database,
        Known::Unsent,
    ];

    /// What stands before the `/`.
    pub fn as_str(self) -> &'static str {
        match self {
            Known::Queue => "queue",
            Known::Topic => "topic",
            Known::Store => "store",
            Known::Bucket => "bucket",
            Known::Secret => "secret",
            Known::Function => "function",
            Known::DeadLetters => "dead-letters",
            Known::Consumes => "consumes",
            Known::Once => "once",
            Known::Database => "database",
            Known::Unsent => "unsent",
        }
    }

    /// `queue/orders`.
    pub fn key(self, id: &str) -> String {
        format!("{self}/{id}")
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What [`RESOURCES_VARIABLE`] holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(pub BTreeMap<String, String>);

impl Resources {
    /// What is known of one.
    pub fn get(&self, known: Known, id: &str) -> Option<&str> {
        self.0.get(&known.key(id)).map(String::as_str)
    }

    /// The ids of all that is known of a kind.
    pub fn ids(&self, known: Known) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(move |key| key.strip_prefix(known.as_str())?.strip_prefix('/'))
    }
}

/// What the names of all parameters begin with that hold secrets. (None may begin with `aws` or `ssm`, and a stack's may.)
pub const PARAMETERS: &str = "/updraft/";

/// The name of the parameter that holds a secret of a stack: CloudFormation makes none that is encrypted, so that the name is
/// ours. `logical` is what the template calls it.
pub fn parameter(stack: &str, logical: &str) -> String {
    format!("{PARAMETERS}{stack}/{logical}")
}

/// What the path of each role of a stack begins with, before the stack's name and a `/`.
pub const ROLE_PATH: &str = "/updraft/";

/// The group of all ticks in a FIFO queue: a schedule whose runs must not overlap.
pub const TICKS_GROUP: &str = "ticks";

/// A table's attributes. Keys and values are binary: the bytes that every engine is handed.
pub mod table {
    /// The partition key. Of a store without partitions [`MARK`] and the whole key, of one with them [`MARK`] and the key's
    /// partition.
    pub const PARTITION: &str = "p";
    /// The sort key, of stores with partitions alone: [`MARK`] and what follows the partition in the key.
    pub const SORT: &str = "s";
    /// The value: JSON.
    pub const VALUE: &str = "v";
    /// The version, a number.
    pub const VERSION: &str = "n";
    /// When the entry's time is over, in seconds since 1970, rounded up: the table's TTL. DynamoDB deletes within days, so
    /// that whoever reads compares [`UNTIL`].
    pub const EXPIRES: &str = "t";
    /// The same in milliseconds.
    pub const UNTIL: &str = "u";
    /// What a key's bytes begin with: DynamoDB takes no empty key, stores do. One byte, so that the order stays.
    pub const MARK: u8 = b'k';
    /// The longest partition key, in bytes.
    pub const PARTITION_LIMIT_BYTES: usize = 2048;
    /// The longest sort key, in bytes.
    pub const SORT_LIMIT_BYTES: usize = 1024;
}

/// The attribute of a message of SQS or SNS with its metadata: a [`Metadata`] as compact JSON, of the type `String`.
pub const METADATA_ATTRIBUTE: &str = "updraft";
/// The attributes that a message may have: SQS's limit.
pub const MESSAGE_ATTRIBUTES_MOST: usize = 10;
/// Those that a topic may declare: [`METADATA_ATTRIBUTE`] is one.
pub const DECLARED_ATTRIBUTES_MOST: usize = MESSAGE_ATTRIBUTES_MOST - 1;

/// The name of a declared attribute on the wire: its own, since filter policies name it, unless it is ours.
pub fn attribute_name(declared: &str) -> Cow<'_, str> {
    if declared == METADATA_ATTRIBUTE { Cow::Owned(format!("x-{declared}")) } else { Cow::Borrowed(declared) }
}

/// The declared attribute of this name on the wire; `None` for [`METADATA_ATTRIBUTE`].
pub fn declared_attribute(name: &str) -> Option<&str> {
    match name.strip_prefix("x-") {
        Some(METADATA_ATTRIBUTE) => Some(METADATA_ATTRIBUTE),
        _ => (name != METADATA_ATTRIBUTE).then_some(name),
    }
}

/// A message's metadata, all but what is declared. The message's body is SQS's: bare JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// UUIDv7, kept by retries.
    pub id: String,
    /// `//<app>/<sender's handler id>`.
    pub source: String,
    /// When it was sent, RFC 3339.
    pub time: String,
    /// The hash of its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What tracing systems keep beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// The runtime's own of a message's attributes: `partitionkey`, `dedupid`, `skewuntil`, `handler`; and declared ones
    /// without text, which neither SQS nor SNS takes as an attribute, or of a message from outside that has too many. All are
    /// attributes again where the message is read, but for [`REASON`] and [`TRIED`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<String, String>,
}

/// What is kept of a message that the runtime itself gave up, beside the message in the
/// dead-letter queue. What SQS moves there by itself has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    /// What the last attempt said.
    pub reason: String,
    /// `error`, `permanent`, `panic`, `timeout` or `skew`.
    pub kind: String,
    /// How often it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When it was first tried, RFC 3339.
    pub first: String,
    /// When it was given up, RFC 3339.
    pub last: String,
}

/// The key of [`Metadata::own`] with a [`GivenUp`] as compact JSON: an attribute of its own would be one too many.
pub const REASON: &str = "givenup";
/// The key of [`Metadata::own`] with how often a message was tried before the runtime put it back, so that SQS counts its
/// receives anew: a number.
pub const TRIED: &str = "tried";

/// JSON with nothing but ASCII in it, which says the same. CloudFormation gives a template back with a `?` for every other
/// character: it could not be compared, and a step that is made of it would write question marks
/// (aws-cloudformation/cloudformation-coverage-roadmap, issues 814 and 1220).
pub fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            // They stand in texts alone, where JSON reads UTF-16.
            let units =
                character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            text.push_str(&units);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_comes_back_under_its_own_name() {
        for declared in ["region", "updraft", "id", "x"] {
            assert_eq!(declared_attribute(&attribute_name(declared)), Some(declared));
        }
        assert_eq!(declared_attribute(METADATA_ATTRIBUTE), None);
    }

    #[test]
    fn keys_of_what_is_known_are_distinct() {
        let mut keys: Vec<_> = Known::ALL.iter().map(|known| known.key("a")).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), Known::ALL.len());
        let resources = Resources(BTreeMap::from([("queue/orders".to_owned(), "https://…".to_owned())]));
        assert_eq!(resources.get(Known::Queue, "orders"), Some("https://…"));
        assert_eq!(resources.get(Known::Topic, "orders"), None);
        assert_eq!(resources.ids(Known::Queue).collect::<Vec<_>>(), ["orders"]);
    }
}
