//! What Knative can do, as data.

use updraft_model::settings::Granularity;
use updraft_model::{Capabilities, Guarantee, Kind, Limits};

/// The longest that Serving lets a request take (`max-revision-timeout-seconds`), in seconds.
pub(crate) const LONGEST_REQUEST_SECONDS: u32 = 600;
/// What a broker and a revision wait beyond a handler's own deadline, so that its answer still arrives, in seconds.
pub(crate) const MARGIN_SECONDS: u32 = 5;
/// A revision adds nine characters to its Service's name, and both are labels.
pub(crate) const LONGEST_SERVICE_NAME: usize = 63 - 9;
/// Eventing doubles the pause without bound: after twelve attempts it is over an hour.
pub(crate) const MOST_RETRIES: u32 = 12;

/// Knative with Redis and S3 beside it.
pub(crate) static CAPABILITIES: Capabilities = Capabilities {
    placement: Granularity::Module,
    engines: &[
        (Kind::Queue, &["broker"]),
        (Kind::Topic, &["broker"]),
        (Kind::Store, &["redis"]),
        (Kind::Bucket, &["s3"]),
        (Kind::Database, &["postgres"]),
        (Kind::Secret, &["file"]),
        (Kind::Config, &["value"]),
        (Kind::External, &["hosts"]),
    ],
    remote_calls: false,
    several_public_units: false,
    guarantees: &[
        ("broker", &[Guarantee::Filter]),
        ("redis", &[Guarantee::Ttl, Guarantee::Partition]),
        ("s3", &[Guarantee::Presign]),
    ],
    limits: Limits {
        http_timeout_seconds: LONGEST_REQUEST_SECONDS - MARGIN_SECONDS,
        event_timeout_seconds: LONGEST_REQUEST_SECONDS - MARGIN_SECONDS,
        retries: MOST_RETRIES,
        name_characters: LONGEST_SERVICE_NAME,
    },
};
