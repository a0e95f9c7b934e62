//! Defaults of handlers: one table for the attributes' grammar, the runtime and the targets.

/// Seconds until an `#[http]` handler must have given its response head.
pub const HTTP_TIMEOUT_SECONDS: u32 = 30;
/// Seconds that a `#[function]` may take.
pub const FUNCTION_TIMEOUT_SECONDS: u32 = 10;
/// Seconds that a consumer or subscriber may take for one message.
pub const MESSAGE_TIMEOUT_SECONDS: u32 = 60;
/// Seconds that a schedule's run may take.
pub const SCHEDULE_TIMEOUT_SECONDS: u32 = 300;
/// Seconds that a `#[shared]` value may take until it is built.
pub const SHARED_TIMEOUT_SECONDS: u32 = 30;
/// Attempts after the first, for consumers, subscribers and schedules.
pub const RETRIES: u32 = 5;
/// Seconds for which a message of a version that can't be read yet is returned without spending an attempt.
pub const SKEW_SECONDS: u32 = 15 * 60;
/// Seconds for which a handler with `once` remembers the messages it is done with: 7 days.
pub const ONCE_SECONDS: u32 = 7 * 86_400;
/// The first pause between attempts, in milliseconds; each further one doubles, with full jitter.
pub const BACKOFF_FIRST_MILLIS: u64 = 1_000;
/// The longest pause between attempts, in milliseconds.
pub const BACKOFF_LONGEST_MILLIS: u64 = 300_000;
/// A message's body and metadata together, in bytes: SNS's default limit (256 KiB), the smallest of all targets.
pub const MESSAGE_LIMIT_BYTES: usize = 256 * 1024;
/// Where a container finds its binding unless `UPDRAFT_BINDING` says otherwise.
pub const BINDING_PATH: &str = "/etc/updraft/binding.json";
/// Where secrets are mounted: `<dir>/<id>/value`.
pub const SECRETS_DIR: &str = "/var/run/updraft/secrets";
/// A store's key and value together, in bytes: DynamoDB's limit for an item (400 KB), less 1 KiB for its attributes' names.
pub const STORE_ENTRY_LIMIT_BYTES: usize = 399 * 1024;
/// Entries that a scan asks for at a time.
pub const STORE_PAGE: usize = 100;
/// Entries that an engine reads in one request: DynamoDB's limit for `BatchGetItem`.
pub const STORE_GETS_AT_ONCE: usize = 100;
/// Entries that an engine writes in one request: DynamoDB's limit for `BatchWriteItem`.
pub const STORE_PUTS_AT_ONCE: usize = 25;
/// How often an update is tried while others keep writing the key.
pub const STORE_UPDATE_TRIES: usize = 100;
/// A bucket's key, in bytes of UTF-8: S3's limit.
pub const BUCKET_KEY_LIMIT_BYTES: usize = 1024;
/// Keys that a listing gives at a time.
pub const BUCKET_PAGE: usize = 1000;
/// The longest that a presigned URL is good for, in seconds: 7 days, the most that S3's signatures allow.
pub const PRESIGNED_LONGEST_SECONDS: u64 = 7 * 86_400;
/// A key of an ordered queue or an id that a queue knows again, in bytes: SQS's limit for both.
pub const MESSAGE_KEY_LIMIT_BYTES: usize = 128;
/// Messages that a batch's consumer gets at most, unless it says otherwise: what SQS hands out at once.
pub const BATCH: u32 = 10;
/// The most that it may say. (SQS's mapping takes 10,000; of 256 KiB each, a thousand are memory enough.)
pub const BATCH_MOST: u32 = 1_000;
/// The longest that a batch waits to be filled, in seconds: the limit of SQS's mapping.
pub const BATCH_WINDOW_LONGEST_SECONDS: u32 = 300;
/// How long one of more than [`BATCH`] waits unless it says otherwise, in seconds: SQS's mapping asks for one at least.
pub const BATCH_WINDOW_SECONDS: u32 = 1;
/// Connections at most that handlers of one process have to a database with one access; the outbox's relay has up to two
/// more. Few, since processes add up: PostgreSQL allows [`POSTGRES_CONNECTIONS`], which are 16 pods of six.
pub const DATABASE_CONNECTIONS: u32 = 4;
/// Connections that PostgreSQL allows unless it is set up otherwise (`max_connections`).
pub const POSTGRES_CONNECTIONS: u32 = 100;
/// Those of them that only superusers get (`superuser_reserved_connections`).
pub const POSTGRES_RESERVED_CONNECTIONS: u32 = 3;
/// Connections of a process to a database for its outbox: one listens, one leads.
pub const DATABASE_RELAY_CONNECTIONS: u32 = 2;
/// The same of a process that is a function of AWS Lambda, handlers and outbox together: it works on one event at a time, and
/// there may be hundreds.
pub const DATABASE_FUNCTION_CONNECTIONS: u32 = 1;
/// Seconds that a handler waits for a free connection to a database, or for a server that is away: less than any handler's
/// default deadline, so that the answer is a 503 and no timeout.
pub const DATABASE_ACQUIRE_SECONDS: u64 = 5;
/// The folder of a database's migrations, beside the package's Cargo.toml.
pub const MIGRATIONS_FOLDER: &str = "migrations";
