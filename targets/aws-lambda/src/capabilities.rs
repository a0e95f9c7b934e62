//! What AWS can do, as data. Numbers are AWS's documented quotas.

use updraft_model::settings::Granularity;
use updraft_model::{Capabilities, Guarantee, Kind, Limits};

/// The longest that a function may take, in seconds.
pub(crate) const LONGEST_FUNCTION_SECONDS: u32 = 900;
/// What a function has beyond its handlers' deadlines, so that it is theirs that end them, in seconds.
pub(crate) const MARGIN_SECONDS: u32 = 5;
/// The longest that an HTTP API waits for a function, in seconds.
pub(crate) const LONGEST_INTEGRATION_SECONDS: u32 = 30;
/// The most times that a queue hands out a message before it becomes a dead letter.
pub(crate) const MOST_RECEIVES: u32 = 1_000;
/// For so long a FIFO queue knows an id again, in seconds. It can't be set.
pub(crate) const DEDUP_SECONDS: u32 = 300;
/// The longest that a message is held back, in seconds.
pub(crate) const LONGEST_DELAY_SECONDS: u32 = 900;
/// Messages that a mapping takes from a FIFO queue at a time.
pub(crate) const FIFO_BATCH: u32 = 10;
/// Routes of an HTTP API, and as many integrations.
pub(crate) const MOST_ROUTES: usize = 300;
/// Resources of a template.
pub(crate) const MOST_RESOURCES: usize = 500;
/// As many, and the next few would be too many.
pub(crate) const MANY_RESOURCES: usize = 450;
/// A template's text, in bytes.
pub(crate) const TEMPLATE_BYTES: usize = 1_000_000;
/// Outputs of a template.
pub(crate) const MOST_OUTPUTS: usize = 200;
/// Resources that a stack may be held to.
pub(crate) const RESOURCES_PER_STACK: std::ops::RangeInclusive<u32> = 10..=500;
/// The policies that stand in a role together, in characters that are no white space.
pub(crate) const POLICY_CHARACTERS: usize = 10_240;
/// Attributes that a subscription's filter looks at.
pub(crate) const MOST_FILTERED: usize = 5;
/// Receivers that a bucket tells of its objects.
pub(crate) const MOST_NOTIFICATIONS: usize = 100;
/// A prefix or suffix of keys, in bytes.
pub(crate) const KEY_FILTER_BYTES: usize = 1_024;
/// A function's variables together, in bytes.
pub(crate) const ENVIRONMENT_BYTES: usize = 4_096;
/// The largest body that gets to a function: its event has 6 MB at most (6,291,556 bytes), and a body that is no text is
/// base64 there, which takes four bytes for three. The rest is for the request's head.
pub(crate) const LARGEST_BODY: u64 = 4 << 20;
/// A function's memory, in MB.
pub(crate) const MEMORY: std::ops::RangeInclusive<u32> = 128..=10_240;
/// Invocations at a time that a mapping may be held to.
pub(crate) const CONCURRENCY: std::ops::RangeInclusive<u32> = 2..=1_000;
/// Subnets that a function may be in, and security groups (AWS Lambda, `VpcConfig`).
pub(crate) const MOST_SUBNETS: usize = 16;
pub(crate) const MOST_SECURITY_GROUPS: usize = 5;
/// A repository's name in ECR, in characters.
pub(crate) const REPOSITORY_CHARACTERS: usize = 256;
/// For how many days CloudWatch keeps logs: it knows these numbers alone.
pub(crate) const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// AWS's own services for everything.
pub(crate) static CAPABILITIES: Capabilities = Capabilities {
    placement: Granularity::Handler,
    engines: &[
        (Kind::Queue, &["sqs"]),
        (Kind::Topic, &["sns"]),
        (Kind::Store, &["dynamodb"]),
        (Kind::Bucket, &["aws-s3"]),
        (Kind::Database, &["postgres"]),
        (Kind::Secret, &["secrets-manager", "parameter-store"]),
        (Kind::Config, &["value"]),
        (Kind::External, &["hosts"]),
    ],
    remote_calls: true,
    several_public_units: true,
    guarantees: &[
        ("sqs", &[Guarantee::Delay, Guarantee::Ordered, Guarantee::Dedup]),
        ("sns", &[Guarantee::Filter]),
        ("dynamodb", &[Guarantee::Ttl, Guarantee::Partition]),
        ("aws-s3", &[Guarantee::Presign, Guarantee::Objects]),
    ],
    limits: Limits {
        http_timeout_seconds: LONGEST_INTEGRATION_SECONDS,
        event_timeout_seconds: LONGEST_FUNCTION_SECONDS - MARGIN_SECONDS,
        retries: MOST_RECEIVES - 1,
        name_characters: 64,
    },
};
