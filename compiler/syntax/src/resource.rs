//! Resources: unit types that an attribute declares. (A config is a struct with fields: its type is its value.)

use crate::Item;
use crate::arguments::Arguments;
use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::kinds::Access;
use crate::names::{Attribute, check_resource_pin, resource_id};
use crate::option::{OptionValue, canonical};
use proc_macro2::{Span, TokenStream};
use std::collections::BTreeSet;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, Fields, Ident, ItemStruct, LitStr, Meta, Path, Type, Visibility};
use updraft_wire::defaults::MIGRATIONS_FOLDER;

/// A declared resource.
#[cfg_attr(test, derive(Debug))]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// The type's name.
    pub name: Ident,
    /// `name = "…"`, which keeps its id.
    pub pin: Option<LitStr>,
    /// The type's visibility.
    pub vis: Visibility,
    /// Who outside the app uses it.
    pub external: Option<Access>,
}

/// What a resource is.
#[cfg_attr(test, derive(Debug))]
#[allow(clippy::large_enum_variant, reason = "there are few, each for a moment")]
pub enum ResourceKind {
    /// `#[queue(message = Order)]`
    Queue {
        /// The messages' type.
        message: Type,
        /// Older forms of it that are read too, newest first.
        accepts: Vec<Type>,
        /// Whether `send_after` may be used.
        delay: bool,
        /// The message's field whose equal values are delivered one at a time, in order.
        ordered: Option<Ident>,
        /// Seconds within which `send_as` knows an id again.
        dedup: Option<u32>,
    },
    /// `#[topic(message = Shipment, attributes(region))]`
    Topic {
        /// The messages' type.
        message: Type,
        /// Older forms of it that are read too, newest first.
        accepts: Vec<Type>,
        /// Fields of the message that subscribers filter on.
        attributes: Vec<Ident>,
    },
    /// `#[store(key = String, value = u32)]`
    Store {
        /// What is scanned together, in the order of keys.
        partition: Option<Type>,
        /// The keys' type.
        key: Type,
        /// The values' type.
        value: Type,
        /// Seconds until an entry is gone.
        ttl: Option<u32>,
    },
    /// `#[bucket]`
    Bucket {
        /// Whether URLs may be presigned.
        presign: bool,
    },
    /// `#[database(migrations = "migrations")]`
    Database {
        /// The folder of its migrations, relative to the package's Cargo.toml.
        migrations: String,
    },
    /// `#[secret]`
    Secret {
        /// Whether it may be absent.
        optional: bool,
    },
    /// `#[config]`
    Config {
        /// A function that checks the values.
        validate: Option<Path>,
        /// Fields with `#[default(…)]`.
        defaults: Vec<(Ident, Expr)>,
    },
    /// `#[external(hosts = ["api.example.com:443"])]`
    External {
        /// `host` or `host:port`.
        hosts: Vec<LitStr>,
    },
}

impl ResourceKind {
    /// `queue`, …, as in grants.
    pub fn kind(&self) -> &'static str {
        match self {
            ResourceKind::Queue { .. } => "queue",
            ResourceKind::Topic { .. } => "topic",
            ResourceKind::Store { .. } => "store",
            ResourceKind::Bucket { .. } => "bucket",
            ResourceKind::Database { .. } => "database",
            ResourceKind::Secret { .. } => "secret",
            ResourceKind::Config { .. } => "config",
            ResourceKind::External { .. } => "external",
        }
    }

    /// `resource:queue`, …, as in descriptors.
    pub fn descriptor_kind(&self) -> &'static str {
        match self {
            ResourceKind::Queue { .. } => "resource:queue",
            ResourceKind::Topic { .. } => "resource:topic",
            ResourceKind::Store { .. } => "resource:store",
            ResourceKind::Bucket { .. } => "resource:bucket",
            ResourceKind::Database { .. } => "resource:database",
            ResourceKind::Secret { .. } => "resource:secret",
            ResourceKind::Config { .. } => "resource:config",
            ResourceKind::External { .. } => "resource:external",
        }
    }
}

/// The longest time to live: ten years, in seconds.
const LONGEST_TTL: u32 = 3_650 * 86_400;
/// The longest that a queue knows an id again, in seconds: a day, so that what it has to remember stays bounded.
const LONGEST_DEDUP: u32 = 86_400;

impl Resource {
    /// Its id: its pin, else its name in kebab case.
    pub fn id(&self) -> String {
        resource_id(&self.name, self.pin.as_ref())
    }

    /// What the descriptor says beside id and kind.
    pub fn options(&self) -> Vec<(String, OptionValue)> {
        let mut options: Vec<(String, OptionValue)> = Vec::new();
        let mut add = |name: &str, value: String| options.push((name.to_owned(), OptionValue::Text(value)));
        match &self.kind {
            ResourceKind::Queue { message, accepts, delay, ordered, dedup } => {
                add("message", canonical(message));
                if let Some(accepts) = list(accepts) {
                    add("accepts", accepts);
                }
                if *delay {
                    add("delay", "true".into());
                }
                if let Some(field) = ordered {
                    add("ordered", field.unraw().to_string());
                }
                if let Some(seconds) = dedup {
                    add("dedup", seconds.to_string());
                }
            }
            ResourceKind::Topic { message, accepts, attributes } => {
                add("message", canonical(message));
                if let Some(accepts) = list(accepts) {
                    add("accepts", accepts);
                }
                if !attributes.is_empty() {
                    let names: Vec<String> = attributes.iter().map(Ident::to_string).collect();
                    add("attributes", names.join(","));
                }
            }
            ResourceKind::Store { partition, key, value, ttl } => {
                if let Some(partition) = partition {
                    add("partition", canonical(partition));
                }
                add("key", canonical(key));
                add("value", canonical(value));
                if let Some(ttl) = ttl {
                    add("ttl", ttl.to_string());
                }
            }
            ResourceKind::Bucket { presign: true } => add("presign", "true".into()),
            ResourceKind::Database { migrations } => add("migrations", migrations.clone()),
            ResourceKind::Secret { optional: true } => add("optional", "true".into()),
            ResourceKind::External { hosts } => {
                let hosts: Vec<String> = hosts.iter().map(LitStr::value).collect();
                add("hosts", hosts.join(","));
            }
            ResourceKind::Bucket { presign: false }
            | ResourceKind::Secret { optional: false }
            | ResourceKind::Config { .. } => {}
        }
        if let Some(external) = self.external {
            add("external", external.as_str().into());
        }
        options
    }
}

/// Types as one text; `None` if there are none.
fn list(types: &[Type]) -> Option<String> {
    let types: Vec<String> = types.iter().map(canonical).collect();
    (!types.is_empty()).then(|| types.join(", "))
}

/// Reads a resource.
pub(crate) fn parse(
    attribute: Attribute,
    at: Span,
    arguments: TokenStream,
    item: Item<'_>,
    sink: &mut Sink,
) -> Option<Resource> {
    let known: &[&str] = match attribute {
        Attribute::Queue => &["message", "accepts", "delay", "ordered", "dedup", "external", "name"],
        Attribute::Topic => &["message", "accepts", "attributes", "external", "name"],
        Attribute::Store => &["partition", "key", "value", "ttl", "external", "name"],
        Attribute::Bucket => &["presign", "external", "name"],
        Attribute::Database => &["migrations", "external", "name"],
        Attribute::Secret => &["optional", "name"],
        Attribute::Config => &["validate", "name"],
        _ => &["hosts", "name"],
    };
    let arguments = &mut Arguments::parse(attribute, at, arguments, 0, known, sink);
    let item = structure(attribute, item, sink);
    let kind = kind(attribute, arguments, item, sink);
    let pin = arguments.text("name", sink);
    if let Some(pin) = &pin {
        check_resource_pin(pin, sink);
    }
    let accesses = [Access::Read, Access::Write, Access::ReadWrite].map(|access| (access.as_str(), access));
    let external = arguments.choice("external", &accesses, sink);
    let item = item?;
    Some(Resource { kind: kind?, name: item.ident.clone(), pin, vis: item.vis.clone(), external })
}

/// The struct, if it has the right shape.
fn structure<'a>(attribute: Attribute, item: Item<'a>, sink: &mut Sink) -> Option<&'a ItemStruct> {
    let config = attribute == Attribute::Config;
    let example = if config { "struct Limits { most: u32 }" } else { "struct Orders;" };
    let wrong = |span, message: String, label: &str| {
        Diagnostic::at(codes::ITEM, span, message).label(label).help(format!("write `{example}`"))
    };
    let name = attribute.name();
    let Item::Struct(found) = item else {
        sink.push(wrong(item.span(), format!("`#[{name}]` stands on a struct"), "no struct"));
        return None;
    };
    if !found.generics.params.is_empty() {
        sink.push(wrong(found.generics.span(), format!("`#[{name}]` stands on a struct without generics"), "generic"));
        return None;
    }
    match (&found.fields, config) {
        (Fields::Unit, false) | (Fields::Named(_), true) => Some(found),
        (_, true) => {
            sink.push(wrong(found.ident.span(), "a config has named fields".into(), "no named fields"));
            None
        }
        (fields, false) => {
            sink.push(wrong(
                fields.span(),
                format!("`#[{name}]` stands on a unit struct: it is a name, no data"),
                "fields",
            ));
            None
        }
    }
}

fn kind(
    attribute: Attribute,
    arguments: &mut Arguments,
    item: Option<&ItemStruct>,
    sink: &mut Sink,
) -> Option<ResourceKind> {
    Some(match attribute {
        Attribute::Queue => {
            let message = arguments.required_type("message", "queue(message = Order)", sink);
            let accepts = accepts(arguments, message.as_ref(), sink);
            let delay = arguments.place("delay");
            let delay = arguments.flag("delay", sink).then_some(delay).flatten();
            let ordered = arguments.text("ordered", sink);
            if let (Some(delay), Some(_)) = (&delay, &ordered) {
                sink.push(
                    Diagnostic::new(codes::QUEUE_OPTIONS, delay, "an ordered queue can't hold single messages back")
                        .label("beside `ordered`")
                        .help(
                            "leave one of the two away: what is sent first is delivered first, or each in its own time",
                        ),
                );
            }
            let ordered = ordered.and_then(|field| key_field(&field, sink));
            let dedup = arguments.seconds("dedup", LONGEST_DEDUP, sink);
            ResourceKind::Queue { message: message?, accepts, delay: delay.is_some(), ordered, dedup }
        }
        Attribute::Topic => {
            let message = arguments.required_type("message", "topic(message = Shipment)", sink);
            let accepts = accepts(arguments, message.as_ref(), sink);
            let attributes = arguments.list::<Ident>("attributes", "attributes(region)", sink);
            check_attributes(&attributes, sink);
            ResourceKind::Topic { message: message?, accepts, attributes }
        }
        Attribute::Store => {
            let example = "store(key = String, value = u32)";
            let partition = arguments.value("partition", "a type", sink);
            let key = arguments.required_type("key", example, sink);
            let value = arguments.required_type("value", example, sink);
            let ttl = arguments.seconds("ttl", LONGEST_TTL, sink);
            ResourceKind::Store { partition, key: key?, value: value?, ttl }
        }
        Attribute::Bucket => ResourceKind::Bucket { presign: arguments.flag("presign", sink) },
        Attribute::Database => {
            let folder = arguments.text("migrations", sink);
            let checked = folder.map(|folder| crate::migrations::folder(&folder, sink));
            ResourceKind::Database { migrations: checked.unwrap_or_else(|| MIGRATIONS_FOLDER.to_owned()) }
        }
        Attribute::Secret => ResourceKind::Secret { optional: arguments.flag("optional", sink) },
        Attribute::Config => {
            ResourceKind::Config { validate: arguments.path("validate", sink), defaults: field_defaults(item?, sink) }
        }
        _ => ResourceKind::External { hosts: hosts(arguments, sink)? },
    })
}

/// `ordered = "customer"`: the field's name, at the text's place.
fn key_field(field: &LitStr, sink: &mut Sink) -> Option<Ident> {
    let name = field.parse::<Ident>().ok();
    if name.is_none() {
        sink.push(
            Diagnostic::new(codes::VALUE, field, "`ordered` takes the name of a field of the message")
                .label("no field's name")
                .help("write `ordered = \"customer\"`: messages with the same `customer` keep their order"),
        );
    }
    name
}

/// `accepts = [OrderV1]`: forms that differ from the message's own and from each other.
fn accepts(arguments: &mut Arguments, message: Option<&Type>, sink: &mut Sink) -> Vec<Type> {
    let accepts = arguments.types("accepts", sink);
    let mut seen: BTreeSet<String> = message.map(canonical).into_iter().collect();
    for older in &accepts {
        let text = canonical(older);
        if !seen.insert(text.clone()) {
            let message = format!("`{text}` is read anyway: it stands here before");
            sink.push(
                Diagnostic::new(codes::VALUE, older, message)
                    .label("a second time")
                    .help("`accepts` lists older forms of the message, newest first, each once"),
            );
        }
    }
    accepts
}

/// Attributes travel as CloudEvents extensions, whose names are short and plain.
fn check_attributes(attributes: &[Ident], sink: &mut Sink) {
    const TAKEN: [&str; 14] = [
        "data",
        "datacontenttype",
        "dataschema",
        updraft_wire::envelope::DEDUP_ID,
        "handler",
        "id",
        updraft_wire::envelope::PARTITION_KEY,
        "skewuntil",
        "source",
        "specversion",
        "subject",
        "time",
        "traceparent",
        "type",
    ];
    let mut seen = BTreeSet::new();
    for attribute in attributes {
        let name = attribute.to_string();
        let plain = name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let (message, label) = if TAKEN.contains(&name.as_str()) || name.starts_with("knative") {
            (format!("`{name}` is taken: every message has something of that name"), "taken")
        } else if !plain {
            (format!("`{name}` can't name an attribute of messages"), "not plain")
        } else if !seen.insert(name.clone()) {
            (format!("`{name}` stands here twice"), "a second time")
        } else {
            continue;
        };
        sink.push(
            Diagnostic::new(codes::TOPIC_ATTRIBUTE, attribute, message)
                .label(label)
                .help("it is a field of the message whose name has lower-case letters and digits only, 20 at most"),
        );
    }
}

/// `#[default(…)]` on a config's fields.
fn field_defaults(item: &ItemStruct, sink: &mut Sink) -> Vec<(Ident, Expr)> {
    let mut defaults = Vec::new();
    for field in &item.fields {
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("default")) {
            let value = match &attribute.meta {
                Meta::List(list) => list.parse_args::<Expr>().ok(),
                Meta::NameValue(pair) => Some(pair.value.clone()),
                Meta::Path(_) => None,
            };
            match (value, &field.ident) {
                (Some(value), Some(name)) => defaults.push((name.clone(), value)),
                _ => sink.push(
                    Diagnostic::new(codes::VALUE, attribute, "`#[default(…)]` takes a value")
                        .label("no value")
                        .help("write `#[default(100)]` or `#[default(Duration::from_secs(3))]`"),
                ),
            }
        }
    }
    defaults
}

/// `hosts = ["api.example.com:443"]`.
fn hosts(arguments: &mut Arguments, sink: &mut Sink) -> Option<Vec<LitStr>> {
    let before = sink.len();
    let hosts = arguments.texts("hosts", sink);
    if hosts.is_none() && sink.len() > before {
        return None;
    }
    let hosts = hosts.unwrap_or_default();
    if hosts.is_empty() {
        arguments.missing("`hosts = […]`", "external(hosts = [\"api.example.com:443\"])", sink);
        return None;
    }
    for host in &hosts {
        let text = host.value();
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse::<u16>().ok().filter(|port| *port > 0)),
            None => (text.as_str(), Some(443)),
        };
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if port.is_none() || name.len() > 253 || !name.split('.').all(label) {
            let help = match text.split_once("://") {
                Some((_, rest)) => format!("without scheme and path: `{}`", rest.split('/').next().unwrap_or(rest)),
                None => "a name and a port: `api.example.com:443`".to_owned(),
            };
            sink.push(Diagnostic::new(codes::HOST, host, format!("`{text}` is no host")).label("no host").help(help));
        }
    }
    Some(hosts)
}
