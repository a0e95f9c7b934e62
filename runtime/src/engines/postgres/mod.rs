//! PostgreSQL: pools for handlers, migrations before anything else, an outbox and its relay.

#[cfg_attr(not(feature = "lambda"), allow(dead_code, reason = "nothing else stands still between events"))]
mod function;
mod migrate;
pub mod outbox;
pub mod relay;
mod rotation;

use super::Probe;
use crate::capability::Migrations;
use crate::engine::{BoxFuture, EngineError, EngineResult};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::defaults::{DATABASE_ACQUIRE_SECONDS, DATABASE_CONNECTIONS, DATABASE_RELAY_CONNECTIONS};

/// How long the first connection may take, migrations aside.
const CONNECT: Duration = Duration::from_secs(5);

/// A database of the application. Nothing is reached until it is used.
pub struct Postgres {
    id: String,
    migrations: &'static Migrations,
    /// For handlers that write.
    write: PgPool,
    /// For handlers that only read.
    read: PgPool,
    /// For the relay: one connection listens, one leads.
    relay: PgPool,
    generation: Arc<rotation::Generation>,
    /// What was put into the outbox here, where somebody asks for it.
    own: Option<function::Own>,
    /// Whatever must live as long as the database is used.
    _kept: Option<Box<dyn Any + Send + Sync>>,
}

impl Postgres {
    /// The database that these options lead to. `connections` is the most that handlers have with one access. Within a tokio
    /// runtime only.
    pub fn new(
        id: &str,
        options: &PgConnectOptions,
        migrations: &'static Migrations,
        connections: Option<u32>,
    ) -> Self {
        let options = named(id, options);
        let generation = Arc::new(rotation::Generation::default());
        let pool = |most: u32| {
            let pool = generation.guard(PgPoolOptions::new().max_connections(most.max(1)));
            pool.acquire_timeout(Duration::from_secs(DATABASE_ACQUIRE_SECONDS))
        };
        let most = connections.unwrap_or(DATABASE_CONNECTIONS);
        Postgres {
            id: id.to_owned(),
            migrations,
            read: pool(most).connect_lazy_with(rotation::read_only(options.clone())),
            relay: pool(DATABASE_RELAY_CONNECTIONS).connect_lazy_with(options.clone()),
            write: pool(most).connect_lazy_with(options),
            generation,
            own: None,
            _kept: None,
        }
    }

    /// The same, keeping something alive.
    #[must_use]
    pub fn holding(self, kept: impl Any + Send + Sync) -> Self {
        Postgres { _kept: Some(Box::new(kept)), ..self }
    }

    /// One that leads nowhere, for a capability that has none behind it: each use fails as if the server were away.
    pub(crate) fn nowhere(id: &str, migrations: &'static Migrations) -> Arc<Self> {
        let options = PgConnectOptions::new_without_pgpass().socket("/nowhere").username("nobody").database("nowhere");
        Arc::new(Postgres::new(id, &options, migrations, Some(1)))
    }

    /// The resource's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The connections for an access.
    pub fn pool(&self, read_only: bool) -> &PgPool {
        if read_only { &self.read } else { &self.write }
    }

    /// Runs the migrations that have not run, and makes the outbox: under a lock, so that of several processes one does it.
    /// Any number of times.
    ///
    /// # Errors
    /// If the server is away or refuses, or if a migration fails or was edited after it ran here.
    pub async fn prepare(&self) -> EngineResult<()> {
        // A connection of its own: closed, it lets go of the lock, whatever happened.
        let options = self.write.connect_options();
        let connection = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await;
        let timed_out = |_| EngineError::Unavailable("PostgreSQL does not answer".to_owned());
        let mut connection = connection.map_err(timed_out)?.map_err(engine_error)?;
        if self.own.is_some() {
            // Whoever waits for a function's start ends it without a word, and the process may stand still in the middle.
            let limited = tokio::time::timeout(CONNECT, function::limit_start(&mut connection)).await;
            limited.map_err(timed_out)?.map_err(engine_error)?;
        }
        let result = migrate::run(&mut connection, self.migrations).await;
        let _ = connection.close().await;
        result
    }

    /// Closes all connections.
    pub async fn close(&self) {
        tokio::join!(self.write.close(), self.read.close(), self.relay.close());
    }
}

impl Probe for Postgres {
    fn name(&self) -> String {
        let options = self.write.connect_options();
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        format!("postgres {place}/{}", options.get_database().unwrap_or_default())
    }

    fn probe(&self) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(self.prepare())
    }
}

/// These options, under a name that the server's administrator knows.
fn named(id: &str, options: &PgConnectOptions) -> PgConnectOptions {
    match options.get_application_name() {
        Some(_) => options.clone(),
        None => options.clone().application_name(&format!("updraft {id}")),
    }
}

/// Connection options of a URL, `postgres://user:password@host:port/database`. `SSL_CERT_FILE` counts as for other engines.
///
/// # Errors
/// If it is none. The URL is not repeated: it holds a password.
pub fn options(url: &str) -> EngineResult<PgConnectOptions> {
    let wrong = |reason: &str| EngineError::Misconfigured(format!("a database's URL {reason}"));
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("starts with `postgres://`"));
    }
    let options: PgConnectOptions = url.parse().map_err(|_| wrong("can't be read"))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(wrong("names the database: `postgres://user:password@host:port/database`"));
    }
    Ok(match std::env::var_os(super::tls::CERTIFICATES_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => options.ssl_root_cert(Path::new(&path)),
        None => options,
    })
}

/// What a failure of sqlx means for whoever uses the database.
pub fn engine_error(error: sqlx::Error) -> EngineError {
    if is_unavailable(&error) {
        return EngineError::Unavailable(format!("PostgreSQL: {error}"));
    }
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    match code.as_str() {
        // Wrong password, unknown role, not allowed to connect, no such database.
        "28P01" | "28000" | "42501" => EngineError::Refused(error.to_string()),
        "3D000" => EngineError::Misconfigured(error.to_string()),
        _ => EngineError::Other(Box::new(error)),
    }
}

/// Whether an error says that the server is away, starting, stopping or full, so that trying later may work.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions; out of connections, memory or disk; shutting down, crashed, can't connect now.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("53") || matches!(&*code, "57P01" | "57P02" | "57P03")
        }),
        _ => false,
    }
}
