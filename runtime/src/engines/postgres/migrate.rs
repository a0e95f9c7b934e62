//! Migrations, run by sqlx's own migrator: a table `_sqlx_migrations` with checksums, an advisory lock, each file in a
//! transaction of its own (unless it begins with `-- no-transaction`).

use super::{engine_error, outbox};
use crate::capability::Migrations;
use crate::engine::{EngineError, EngineResult};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr};

/// What a file begins with that can't run in a transaction (`CREATE INDEX CONCURRENTLY`).
const NO_TRANSACTION: &str = "-- no-transaction";

/// Of a lock that was not there in the time that the session waits for one.
const LOCKED: &str = "55P03";

/// Runs what has not run, then makes what the outbox needs.
pub(super) async fn run(connection: &mut PgConnection, migrations: &'static Migrations) -> EngineResult<()> {
    let failed = |error| failure(error, migrations);
    // Held until the connection is closed. (The migrator takes it a second time.)
    connection.lock().await.map_err(failed)?;
    migrator(migrations).run_direct(None, connection, false).await.map_err(failed)?;
    outbox::create(connection).await.map_err(|error| failed(MigrateError::Execute(error)))
}

fn migrator(migrations: &'static Migrations) -> Migrator {
    let files = migrations.files.iter().map(|file| {
        let description = file.name.trim_end_matches(".sql").split_once('_').map_or("", |(_, name)| name);
        let no_transaction = file.sql.starts_with(NO_TRANSACTION);
        let sql = file.sql.into_sql_str();
        Migration::new(file.version, description.into(), MigrationType::Simple, sql, no_transaction)
    });
    let mut migrator = Migrator::with_migrations(files.collect());
    // While a new version is rolled out, processes of the old one start, too: its migrations are not theirs to know.
    migrator.set_ignore_missing(true);
    migrator
}

fn failure(error: MigrateError, migrations: &Migrations) -> EngineError {
    let file = |version: i64| {
        let found = migrations.files.iter().find(|file| file.version == version);
        found.map_or_else(|| version.to_string(), |file| format!("{}/{}", migrations.folder, file.name))
    };
    let locked =
        |error: &sqlx::Error| error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(LOCKED));
    match error {
        MigrateError::Execute(error) if locked(&error) => EngineError::Unavailable(
            "the migrations wait for another session's lock: another process runs them, or a transaction is open on a table \
             that they change"
                .to_owned(),
        ),
        MigrateError::Execute(error) => engine_error(error),
        MigrateError::ExecuteMigration(error, version) if locked(&error) => EngineError::Unavailable(format!(
            "the migration `{}` waits for another session's lock: a transaction is open on a table that it changes",
            file(version)
        )),
        MigrateError::ExecuteMigration(error, version) => match engine_error(error) {
            EngineError::Unavailable(reason) => EngineError::Unavailable(reason),
            other => EngineError::Misconfigured(format!("the migration `{}` fails: {other}", file(version))),
        },
        MigrateError::VersionMismatch(version) => EngineError::Misconfigured(format!(
            "the migration `{}` was edited after this database had run it: take the edit back, and say what is to change in a \
             new migration",
            file(version)
        )),
        other => EngineError::Misconfigured(format!("the migrations can't be run: {other}")),
    }
}
