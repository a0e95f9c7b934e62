//! The binding: which unit serves what and which engine implements each resource, for one deployment.
//!
//! A target writes it (into a ConfigMap, or beside the program), the runtime reads it at start. Values that differ between
//! places and secrets come from the environment or mounted files; the binding only names them.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The format's version.
pub const FORMAT: u32 = 1;

/// A binding file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// [`FORMAT`].
    pub format: u32,
    /// The app's name.
    pub app: String,
    /// Hex blake3 over the program's descriptors ([`crate::Descriptor::canonical`], sorted): a program refuses another's.
    pub graph: String,
    /// Unit id → what it serves.
    pub units: BTreeMap<String, Unit>,
    /// Kind (`store`) → resource id → its engine: two kinds may share an id. Queues and topics stand here too.
    pub resources: BTreeMap<String, BTreeMap<String, Engine>>,
    /// The broker's ingress, where queues and topics publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_url: Option<String>,
    /// Where dead letters are posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_url: Option<String>,
    /// Where the dead-letter unit keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Engine>,
    /// Where handlers with `once` record what they are done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Engine>,
    /// Limits of HTTP, where they are not the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<crate::limits::HttpLimits>,
    /// Config id → its JSON value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, serde_json::Value>,
}

/// A unit: the handlers deployed and scaled together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Handler ids.
    pub handlers: BTreeSet<String>,
    /// Where its events are taken, `http://orders-events.shop.svc.cluster.local`: dead letters are redriven there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_url: Option<String>,
    /// The generated unit that keeps dead letters, and no handlers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead_letters: bool,
    /// Whether its requests come through a function's URL, which streams what they are answered with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
}

/// What implements a resource. Credentials are named secrets, mounted as files like any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Engine {
    /// Knative's broker: publishing by HTTP to [`Binding::broker_url`], delivery by Triggers.
    Broker {},
    /// Redis. The secret holds a URL, `redis://user:password@host:port/db` or `rediss://…`.
    Redis {
        /// The id of the secret that holds the URL.
        url_secret: String,
        /// What every key starts with; the app's name and the resource's id by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
    },
    /// A bucket of an S3-compatible server.
    S3 {
        /// `https://…`; AWS's own if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The bucket's name.
        bucket: String,
        /// The region.
        region: String,
        /// The id of the secret that holds `{"access_key_id", "secret_access_key"}` as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_secret: Option<String>,
        /// What every object's key starts with; the resource's id and `/` by default, so that several share a bucket. Nothing
        /// at all, `""`, adopts a bucket that others use as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
    },
    /// A PostgreSQL database. The secret holds a URL, `postgres://user:password@host:port/database`.
    Postgres {
        /// The id of the secret that holds the URL.
        url_secret: String,
        /// Connections at most that handlers of one process have with one access
        /// ([`crate::defaults::DATABASE_CONNECTIONS`] by default).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_connections: Option<u32>,
    },
    /// A mounted file, or the environment: secrets.
    File {},
    /// A value inside the binding: configs.
    Value {},
    /// An address outside the app. `base_url` overrides where requests go.
    Hosts {
        /// Where requests go; `https://<first host>` by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_url: Option<String>,
    },
    /// A queue of SQS. This and the following are AWS's own: what names them, CloudFormation alone knows, and tells in
    /// [`crate::aws::RESOURCES_VARIABLE`].
    Sqs {},
    /// A topic of SNS.
    Sns {},
    /// A table of DynamoDB; [`crate::aws::table`] has its attributes.
    #[serde(rename = "dynamodb")]
    DynamoDb {},
    /// A bucket of S3, with the function's own credentials.
    AwsS3 {},
    /// A secret of Secrets Manager.
    SecretsManager {},
    /// A parameter of Systems Manager's Parameter Store: a secret.
    ParameterStore {},
}
