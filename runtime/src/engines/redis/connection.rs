//! One pipelined connection to a Redis server, shared by all that use the same secret; made when it is first needed and
//! made anew, with the secret read again, when it is lost.
//!
//! Nothing here waits long: a connection is tried once, within [`CONNECT_TIMEOUT`], and for [`PAUSE`] after a failure
//! callers get that failure at once. (The client's own manager tries for seconds, and never again after a server that
//! refused it or was still loading.)

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
use crate::engines::{Probe, credentials, tls};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisError, ServerErrorKind, TlsCertificates,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// After so long without a command the server may have closed the connection; what writes finds out beforehand, since it
/// can't be repeated.
const IDLE: Duration = Duration::from_secs(1);

/// The connection.
pub struct Connection {
    secrets: Arc<dyn SecretEngine>,
    url_secret: String,
    current: Mutex<Current>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    /// Rises with each connection, so that only the one that failed is thrown away.
    generation: u64,
    connection: Option<MultiplexedConnection>,
    used: Option<Instant>,
    failed: Option<(Instant, String, bool)>,
}

impl Connection {
    /// A connection to the server whose URL the secret `url_secret` holds. Nothing is reached yet.
    pub fn new(secrets: Arc<dyn SecretEngine>, url_secret: impl Into<String>) -> Self {
        let url_secret = url_secret.into();
        Connection { secrets, url_secret, current: Mutex::default(), connecting: tokio::sync::Mutex::new(()) }
    }

    /// Sends a command that only reads; again, once, if the connection turns out to be lost.
    ///
    /// # Errors
    /// Told apart: unreachable or overloaded, refused, anything else.
    pub async fn read<T: FromRedisValue>(&self, command: &Cmd) -> EngineResult<T> {
        let (generation, mut connection) = self.get().await?;
        let error = match command.query_async(&mut connection).await {
            Ok(answer) => return Ok(answer),
            Err(error) => self.lost(generation, error),
        };
        match error {
            EngineError::Unavailable(_) => {
                let (generation, mut connection) = self.get().await?;
                command.query_async(&mut connection).await.map_err(|error| self.lost(generation, error))
            }
            error => Err(error),
        }
    }

    /// Sends several commands that only read, at once.
    ///
    /// # Errors
    /// As [`Connection::read`].
    pub async fn read_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> EngineResult<T> {
        let (generation, mut connection) = self.get().await?;
        pipeline.query_async(&mut connection).await.map_err(|error| self.lost(generation, error))
    }

    /// Runs a script that the server may not know yet.
    ///
    /// # Errors
    /// As [`Connection::read`].
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &redis::Script,
        code: &str,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> EngineResult<T> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        let (generation, mut connection) = self.lively().await?;
        let answer = command("EVALSHA", script.get_hash()).query_async(&mut connection).await;
        let answer = match answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", code).query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(|error| self.lost(generation, error))
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there: a connection, or a failure so fresh that trying again is pointless.
    fn at_hand(&self) -> Option<EngineResult<(u64, MultiplexedConnection)>> {
        let mut current = self.current();
        if let Some(connection) = current.connection.clone() {
            current.used = Some(Instant::now());
            return Some(Ok((current.generation, connection)));
        }
        match &current.failed {
            Some((when, reason, true)) if when.elapsed() < PAUSE => Some(Err(EngineError::Refused(reason.clone()))),
            Some((when, reason, false)) if when.elapsed() < PAUSE => {
                Some(Err(EngineError::Unavailable(reason.clone())))
            }
            _ => None,
        }
    }

    async fn get(&self) -> EngineResult<(u64, MultiplexedConnection)> {
        if let Some(at_hand) = self.at_hand() {
            return at_hand;
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(at_hand) = self.at_hand() {
            return at_hand;
        }
        let made = self.connect().await;
        let mut current = self.current();
        match made {
            Ok(connection) => {
                current.generation += 1;
                current.used = Some(Instant::now());
                current.failed = None;
                current.connection = Some(connection.clone());
                Ok((current.generation, connection))
            }
            Err(error) => {
                current.failed = match &error {
                    EngineError::Unavailable(reason) => Some((Instant::now(), reason.clone(), false)),
                    EngineError::Refused(reason) => Some((Instant::now(), reason.clone(), true)),
                    _ => None,
                };
                Err(error)
            }
        }
    }

    /// A connection that was not idle, for what can't be repeated.
    async fn lively(&self) -> EngineResult<(u64, MultiplexedConnection)> {
        let idle = self.current().used.is_some_and(|used| used.elapsed() > IDLE);
        if idle {
            let _: redis::Value = self.read(&redis::cmd("PING")).await?;
        }
        self.get().await
    }

    async fn connect(&self) -> EngineResult<MultiplexedConnection> {
        let url = credentials(&*self.secrets, &self.url_secret).await?;
        tls::install_provider();
        let unusable = || {
            let id = &self.url_secret;
            EngineError::Misconfigured(format!("the secret `{id}` holds no URL as `redis://user:password@host:6379/0`"))
        };
        let info = url.as_str().into_connection_info().map_err(|_| unusable())?;
        let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = match tls::own_certificates()? {
            root_cert @ Some(_) if encrypted => {
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            _ => Client::open(info),
        };
        let client = client.map_err(|_| unusable())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| explain(&error).0)
    }

    /// Turns the client's error into ours and throws the connection away if it is of no more use.
    fn lost(&self, generation: u64, error: RedisError) -> EngineError {
        let (error, throw_away) = explain(&error);
        if throw_away {
            let mut current = self.current();
            if current.generation == generation {
                current.connection = None;
            }
        }
        error
    }
}

/// Our error, and whether the connection is of no more use.
fn explain(error: &RedisError) -> (EngineError, bool) {
    let text = match error.detail() {
        Some(detail) => format!("Redis: {}: {detail}", error.category()),
        None => format!("Redis: {error}"),
    };
    let refused = |text| (EngineError::Refused(text), true);
    match error.kind() {
        ErrorKind::AuthenticationFailed => refused(text),
        ErrorKind::Server(ServerErrorKind::NoPerm) => (EngineError::Refused(text), false),
        ErrorKind::Extension if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => refused(text),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        ) => (EngineError::Unavailable(text), false),
        // A primary that became a replica: the name may lead to the new primary.
        ErrorKind::Server(ServerErrorKind::ReadOnly) => (EngineError::Unavailable(text), true),
        ErrorKind::Extension if matches!(error.code(), Some("OOM" | "BUSY" | "MISCONF" | "NOREPLICAS")) => {
            (EngineError::Unavailable(text), false)
        }
        ErrorKind::Io => (EngineError::Unavailable(text), true),
        _ if error.is_unrecoverable_error() => (EngineError::Unavailable(text), true),
        _ => (EngineError::Other(text.into()), false),
    }
}

impl Probe for Connection {
    fn name(&self) -> String {
        format!("the Redis server of the secret `{}`", self.url_secret)
    }

    fn probe(&self) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async { self.read(&redis::cmd("PING")).await })
    }
}
