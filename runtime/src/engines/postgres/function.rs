//! A database in a process that stands still between events, as a function of AWS Lambda does.
//!
//! There nothing goes on by itself, so that the process hands on what its own handlers committed before it answers, and
//! somebody asks it from time to time to look after the outbox. While it stands still it must hold nothing that others wait
//! for: it rests only when no connection is in use, and the server ends sessions that don't come back.

use super::{Postgres, named, outbox, relay, rotation};
use crate::capability::Migrations;
use crate::ctx::Ctx;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use updraft_wire::defaults::{DATABASE_ACQUIRE_SECONDS, DATABASE_FUNCTION_CONNECTIONS};

/// How soon it looks whether another process still leads; then half as often each time.
const LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(320);
/// How long it hands on at most before it answers: what is left then waits for the next look.
const HAND_ON: Duration = Duration::from_secs(5);
/// How long it waits for connections that are in use: a handler that was given up lets go of its own at once, by a roundtrip.
const LET_GO: Duration = Duration::from_secs(1);
/// So much of it even when the work's time is over: a fraction of what is kept for what follows the work.
const LET_GO_LAST: Duration = Duration::from_millis(80);
/// How long it takes at most to close those that are in use then.
const CLOSE: Duration = Duration::from_millis(20);
/// How long a start waits for a lock: Lambda ends one without a word after 10 s.
const LOCK: &str = "5s";
/// The server ends a transaction that does nothing for so long (its locks would be everybody's wait), a session (its process
/// may be gone without a word), and a statement whose connection was closed. A server that does not know a parameter has
/// older means; one that is not on Linux may refuse the last one.
const PATIENCE: &str = "
    SELECT set_config(name, value, false)
    FROM (VALUES ('idle_in_transaction_session_timeout', '60s'), ('idle_session_timeout', '10min'),
        ('client_connection_check_interval', '1s')) AS wanted (name, value)
    WHERE name IN (SELECT name FROM pg_settings)
        AND (name <> 'client_connection_check_interval' OR version() LIKE '%linux%')";

/// What one process of a function keeps in mind of its database.
#[derive(Default)]
pub(super) struct Own {
    /// The numbers of messages that it put into the outbox and has not seen leave it.
    numbers: Mutex<Vec<i64>>,
    /// Tells connections that are given back, and whose last statement the server still works on, that nobody waits longer.
    close: Arc<Notify>,
}

impl Own {
    fn numbers(&self) -> MutexGuard<'_, Vec<i64>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postgres {
    /// The same for a process that stands still between events. `connections` is the most that it has with one access, the
    /// outbox's among those that write.
    pub(crate) fn in_function(
        id: &str,
        options: &PgConnectOptions,
        migrations: &'static Migrations,
        connections: Option<u32>,
    ) -> Self {
        let options = named(id, options);
        let generation = Arc::new(rotation::Generation::default());
        let most = connections.unwrap_or(DATABASE_FUNCTION_CONNECTIONS).max(1);
        let own = Own::default();
        let pool = || {
            let pool = generation.guard(PgPoolOptions::new().max_connections(most));
            let pool = pool.acquire_timeout(Duration::from_secs(DATABASE_ACQUIRE_SECONDS));
            let (back, close) = (generation.clone(), own.close.clone());
            let pool = pool.after_release(move |connection, of| {
                let (current, close) = (back.is_current(of.age), close.clone());
                Box::pin(async move {
                    tokio::select! {
                        done = connection.ping() => done.map(|()| current),
                        // An error: then it is closed without a word to the server, which would be one more to wait for.
                        () = close.notified() => Err(sqlx::Error::WorkerCrashed),
                    }
                })
            });
            pool.after_connect(|connection, _| Box::pin(limit(connection)))
        };
        let write = pool().connect_lazy_with(options.clone());
        Postgres {
            id: id.to_owned(),
            migrations,
            read: pool().connect_lazy_with(rotation::read_only(options)),
            relay: write.clone(),
            write,
            generation,
            own: Some(own),
            _kept: None,
        }
    }

    /// The most that it has with one access.
    pub(crate) fn connections(&self) -> usize {
        self.write.options().get_max_connections() as usize
    }

    /// A message was put into the outbox, in a transaction that may yet be taken back.
    pub(crate) fn put(&self, number: i64) {
        if let Some(own) = &self.own {
            own.numbers().push(number);
        }
    }

    /// Before the process stands still, where so much is left of the time for work and of all time: hands on what its handlers
    /// have committed, and lets go of all connections. What the broker does not take now, or what another process has not got to, stays for
    /// whoever looks next.
    pub(crate) async fn rest(&self, ctx: &Ctx, (left, all): (Duration, Duration)) {
        let begun = Instant::now();
        let Some(this) = &self.own else { return };
        let own = std::mem::take(&mut *this.numbers());
        if !own.is_empty() {
            // Turns end by themselves before that: only a server that does not answer has one dropped.
            let longest = HAND_ON.min(left);
            let handed_on = tokio::time::timeout(longest, self.hand_on_these(ctx, &own, begun + longest)).await;
            let problem = match handed_on {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("PostgreSQL does not answer".to_owned()),
            };
            if let Some(problem) = problem {
                tracing::warn!(database = self.id(), problem, "messages stay in the outbox for now");
            }
        }
        let last = LET_GO_LAST.min(all.saturating_sub(begun.elapsed() + CLOSE));
        let let_go = LET_GO.min(left.saturating_sub(begun.elapsed()).max(last));
        if !self.is_unused(let_go).await {
            tracing::warn!(database = self.id(), "a connection is closed whose last statement is not done");
            this.close.notify_waiters();
            if !self.is_unused(CLOSE).await {
                tracing::warn!(database = self.id(), "a connection is in use between two events");
            }
        }
    }

    /// Waits until no connection is in use, for so long at most.
    async fn is_unused(&self, longest: Duration) -> bool {
        let since = Instant::now();
        let used = || [&self.write, &self.read].into_iter().any(|pool| pool.num_idle() < pool.size() as usize);
        while used() {
            if since.elapsed() > longest {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }

    /// Leads, or waits for who does, until none of these messages is left that could be handed on now, or the time is over.
    async fn hand_on_these(&self, ctx: &Ctx, numbers: &[i64], by: Instant) -> Result<(), sqlx::Error> {
        let mut pause = LOOK;
        while relay::is_time(by) {
            let turn = self.turn_by(ctx, by).await?;
            if turn == relay::Turn::Newer {
                return Err(relay::newer());
            }
            if turn == relay::Turn::Empty || !outbox::any_of(&mut *self.relay.acquire().await?, numbers).await? {
                return Ok(());
            }
            match turn {
                relay::Turn::Stuck(_) => return Ok(()),
                relay::Turn::Following => {
                    tokio::time::sleep(pause).await;
                    pause = LONGEST_LOOK.min(pause * 2);
                }
                relay::Turn::Moved(_) | relay::Turn::Empty | relay::Turn::Newer => {}
            }
        }
        tracing::info!(database = self.id(), "messages stay in the outbox for now: there is no more time");
        Ok(())
    }
}

/// Has the server end what this session might leave behind.
async fn limit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(PATIENCE).execute(connection).await.map(drop)
}

/// The same for the session of a start, which runs the migrations: it says what it waits for before Lambda ends it.
pub(super) async fn limit_start(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    limit(connection).await?;
    sqlx::query("SELECT set_config('lock_timeout', $1, false)").bind(LOCK).execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineError;
    use crate::local::postgres::server::Server;

    static NONE: Migrations = Migrations { package: "updraft", folder: "migrations", files: &[] };

    #[tokio::test]
    async fn a_start_does_not_wait_for_a_lock_until_it_is_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = folder.path().to_owned();
        let mut server = match tokio::task::spawn_blocking(move || Server::start(&made)).await.unwrap() {
            Ok(server) => server,
            Err(reason) => return crate::test::postgres::skipped(&reason),
        };
        server.ready().await.expect("the server");
        let options = server.database("ledger").await.expect("a database");
        let database = Postgres::in_function("ledger", &options, &NONE, None);
        database.prepare().await.expect("the tables");
        let mut other = PgConnection::connect_with(&options).await.expect("another session");
        sqlx::raw_sql("BEGIN; LOCK TABLE _sqlx_migrations").execute(&mut other).await.expect("a lock");
        match database.prepare().await {
            Err(EngineError::Unavailable(reason)) => assert!(reason.contains("another session's lock"), "{reason}"),
            other => panic!("{other:?}"),
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("let go");
        database.prepare().await.expect("the tables");
    }
}
