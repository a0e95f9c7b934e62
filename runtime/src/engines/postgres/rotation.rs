//! A database's URL is a secret like any other: when it changes, connections follow.
//!
//! The secret is looked at once a second. A new value is adopted when a connection with it was made, so that neither of the two
//! ways to rotate (the role first, the secret first) cuts off what works. Then new connections use it, idle ones are closed at
//! once, those in use when they are given back, and the relay's listener within its next look. Of a connection that is made
//! meanwhile nobody can tell with which value it was begun: for as long as one may take to be made, each is used once.

use super::{CONNECT, Postgres, engine_error, options};
use crate::engine::{EngineError, EngineResult, SecretEngine};
use crate::engines::credentials;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use updraft_wire::defaults::DATABASE_ACQUIRE_SECONDS;

/// How often the secret is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The longest that a pool's connection takes from its beginning: whoever asked for it has given up by then.
const LONGEST_CONNECT: Duration = Duration::from_secs(DATABASE_ACQUIRE_SECONDS);

/// Which connections are of an older URL.
#[derive(Debug, Default)]
pub(super) struct Generation {
    count: AtomicU64,
    since: Mutex<Option<Instant>>,
}

impl Generation {
    /// Rises with each new URL.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn next(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Whether a connection of this age was surely made with the newest URL: its age counts from when it was there, and it may
    /// have been begun so long before.
    pub(super) fn is_current(&self, age: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_none_or(|since| age + LONGEST_CONNECT <= since.elapsed())
    }

    /// Has a pool close connections of an older URL, whether they come out of it or go back.
    pub(super) fn guard(self: &Arc<Self>, pool: PgPoolOptions) -> PgPoolOptions {
        let (out, back) = (self.clone(), self.clone());
        pool.before_acquire(move |_, connection| {
            let current = out.is_current(connection.age);
            Box::pin(async move { Ok(current) })
        })
        .after_release(move |_, connection| {
            let current = back.is_current(connection.age);
            Box::pin(async move { Ok(current) })
        })
    }
}

impl Postgres {
    /// Follows the secret that holds its URL, as long as the database is used. `url` is what it is known to be.
    pub(crate) fn follow(self: &Arc<Self>, secrets: Arc<dyn SecretEngine>, url_secret: &str, url: String) {
        let (database, url_secret, mut url) = (Arc::downgrade(self), url_secret.to_owned(), url);
        tokio::spawn(async move {
            let mut refused = None;
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(database) = database.upgrade() else { return };
                // One that can't be read now says nothing about what there was.
                let Ok(newest) = credentials(&*secrets, &url_secret).await else { continue };
                if newest == url {
                    refused = None;
                    continue;
                }
                match database.adopt(&newest).await {
                    Ok(()) => {
                        tracing::info!(database = database.id(), secret = url_secret, "connects with a new URL");
                        (url, refused) = (newest, None);
                    }
                    Err(error) if refused.as_ref() != Some(&newest) => {
                        let (database, error) = (database.id(), error.to_string());
                        tracing::warn!(database, secret = url_secret, error, "a new URL does not work, trying on");
                        refused = Some(newest);
                    }
                    Err(_) => {}
                }
            }
        });
    }

    /// Connects with another URL from now on.
    async fn adopt(&self, url: &str) -> EngineResult<()> {
        let options = super::named(&self.id, &options(url)?);
        let connection = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await;
        let timed_out = |_| EngineError::Unavailable("PostgreSQL does not answer".to_owned());
        let _ = connection.map_err(timed_out)?.map_err(engine_error)?.close().await;
        self.write.set_connect_options(options.clone());
        self.relay.set_connect_options(options.clone());
        self.read.set_connect_options(read_only(options));
        self.generation.next();
        for pool in [&self.write, &self.read, &self.relay] {
            close_idle(pool).await;
        }
        Ok(())
    }
}

/// Sessions that refuse to write unless they are told otherwise.
pub(super) fn read_only(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("default_transaction_read_only", "on")])
}

async fn close_idle(pool: &PgPool) {
    for _ in 0..pool.num_idle() {
        let Some(connection) = pool.try_acquire() else { return };
        let _ = connection.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Migrations;
    use crate::engine::BoxFuture;
    use crate::local::postgres::server::Server;

    static NONE: Migrations = Migrations { package: "updraft", folder: "migrations", files: &[] };

    struct Rotating(Mutex<String>);

    impl SecretEngine for Rotating {
        fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
            let value = self.0.lock().unwrap().clone();
            Box::pin(async { Ok(Some(value)) })
        }
        fn how_to_provide(&self, _: &str) -> String {
            String::new()
        }
    }

    /// A server that asks the role `clerk` for its password.
    async fn server(folder: &std::path::Path) -> Option<(Server, PgConnection, PgConnectOptions)> {
        let made = folder.to_owned();
        let mut server = match tokio::task::spawn_blocking(move || Server::start(&made)).await.unwrap() {
            Ok(server) => server,
            Err(reason) => {
                crate::test::postgres::skipped(&reason);
                return None;
            }
        };
        server.ready().await.expect("the server");
        let options = server.database("ledger").await.expect("a database");
        let mut admin = PgConnection::connect_with(&options).await.expect("an administrator");
        std::fs::write(folder.join("data/pg_hba.conf"), "local all clerk scram-sha-256\nlocal all all trust\n")
            .unwrap();
        let role = "CREATE ROLE clerk LOGIN SUPERUSER PASSWORD 'first'; SELECT pg_reload_conf()";
        sqlx::raw_sql(role).execute(&mut admin).await.expect("a role");
        Some((server, admin, options))
    }

    async fn process(pool: &PgPool) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(pool).await
    }

    async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..600 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}");
    }

    #[test]
    fn what_may_have_been_begun_with_an_older_url_is_not_of_the_newest() {
        let adopted = |ago| Generation { count: AtomicU64::new(1), since: Mutex::new(Instant::now().checked_sub(ago)) };
        let second = Duration::from_secs(1);
        assert!(Generation::default().is_current(second * 1000), "there was no other");
        let of = adopted(LONGEST_CONNECT + second * 10);
        assert!(!of.is_current(LONGEST_CONNECT + second * 11), "made before");
        assert!(!of.is_current(second * 11), "made after, and perhaps begun before");
        assert!(of.is_current(second * 9), "begun after");
        assert!(!adopted(second).is_current(Duration::ZERO), "as new as can be, and perhaps begun before");
    }

    #[tokio::test]
    async fn a_rotated_password_needs_no_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let Some((_server, mut admin, place)) = server(folder.path()).await else { return };
        let socket = place.get_socket().expect("a socket").display().to_string();
        let url = |password: &str| format!("postgres://clerk:{password}@localhost/ledger?host={socket}");
        // The reload comes at its own time: a wrong password is refused then.
        let wrong = options(&url("wrong")).expect("options");
        until("passwords are asked for", async || PgConnection::connect_with(&wrong).await.is_err()).await;

        let secrets = Arc::new(Rotating(Mutex::new(url("first"))));
        let first = options(&url("first")).expect("options");
        let database = Arc::new(Postgres::new("ledger", &first, &NONE, Some(2)));
        database.prepare().await.expect("the tables");
        database.follow(secrets.clone(), "postgres-url", url("first"));
        let (idle, reader) =
            (process(database.pool(false)).await.unwrap(), process(database.pool(true)).await.unwrap());
        let mut used = database.pool(false).begin().await.expect("a transaction");
        let in_use: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *used).await.unwrap();
        assert_eq!(idle, in_use);

        // The role first: what there is goes on.
        sqlx::raw_sql("ALTER ROLE clerk PASSWORD 'second'").execute(&mut admin).await.expect("altered");
        assert_eq!(process(database.pool(true)).await.expect("still connected"), reader);
        // Neither does a value that does not work cut anything off.
        *secrets.0.lock().unwrap() = url("wrong");
        tokio::time::sleep(EVERY * 2).await;
        assert_eq!(process(database.pool(true)).await.expect("still connected"), reader);

        *secrets.0.lock().unwrap() = url("second");
        until("a new URL is adopted", async || database.generation.count() == 1).await;
        let again = process(database.pool(false)).await.expect("a connection with the new password");
        assert_ne!(again, in_use, "another, beside the one that is in use");
        assert_ne!(process(database.pool(true)).await.expect("a new one"), reader, "idle ones were closed");
        sqlx::query("SELECT 1").execute(&mut *used).await.expect("what is under way goes on");
        used.commit().await.expect("to its end");
        until("the connection that was in use is closed", async || {
            let there = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";
            let there: i64 =
                sqlx::query_scalar(there).bind(vec![idle, reader]).fetch_one(&mut admin).await.expect("a count");
            there == 0
        })
        .await;
        let refused = sqlx::query("CREATE TABLE t ()").execute(database.pool(true)).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("25006"), "readers still only read");
    }
}
