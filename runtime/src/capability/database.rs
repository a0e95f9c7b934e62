//! `Database<Name, Access>`: a PostgreSQL database, with its migrations and an outbox.

use super::{AccessMode, ReadOnly, ReadWrite, Resource};

#[cfg(feature = "postgres")]
pub use with_postgres::{Database, Transaction};
#[cfg(not(feature = "postgres"))]
pub use without_postgres::Database;

/// Declared by `#[database]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no database", label = "needs a type declared by `#[database]`")]
pub trait DatabaseResource: Resource {
    /// What makes its tables.
    const MIGRATIONS: &'static Migrations;
}

/// A database's migrations, as they are built into the program.
#[derive(Debug)]
pub struct Migrations {
    /// The package that declares the database.
    pub package: &'static str,
    /// Their folder, relative to that package's Cargo.toml.
    pub folder: &'static str,
    /// In the order in which they run.
    pub files: &'static [Migration],
}

/// One migration.
#[derive(Debug)]
pub struct Migration {
    /// The number that its file's name starts with.
    pub version: i64,
    /// The file's name, `0001_accounts.sql`.
    pub name: &'static str,
    /// What it runs.
    pub sql: &'static str,
}

/// An access to a database: both, or reading alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no access of a database",
    label = "needs `ReadOnly`, or nothing",
    note = "write `Database<Name>` or `Database<Name, ReadOnly>`"
)]
pub trait DatabaseAccess: AccessMode {
    /// Whether sessions refuse to write.
    const READ_ONLY: bool;
}

impl DatabaseAccess for ReadOnly {
    const READ_ONLY: bool = true;
}

impl DatabaseAccess for ReadWrite {
    const READ_ONLY: bool = false;
}

#[cfg(not(feature = "postgres"))]
mod without_postgres {
    use super::{DatabaseAccess, DatabaseResource};
    use crate::capability::{ReadWrite, capability};
    use crate::ctx::Scope;
    use std::marker::PhantomData;

    /// The capability to reach a database. Without updraft's feature `postgres` it can be named and nothing else; each
    /// `#[database]` says so.
    pub struct Database<R, A = ReadWrite>(Scope, PhantomData<fn() -> (R, A)>);
    capability!([R: DatabaseResource, A: DatabaseAccess] Database<R, A>, "database", A::ACCESS);
}

#[cfg(feature = "postgres")]
mod with_postgres {
    use super::{DatabaseAccess, DatabaseResource};
    use crate::capability::{CanRead, CanWrite, Capability, ReadOnly, ReadWrite, ResourceError, Sealed, check};
    use crate::ctx::{Ctx, Scope};
    use crate::engine::{Channel, Message};
    use crate::engines::postgres::{Postgres, engine_error, is_unavailable, outbox};
    use crate::telemetry::{Span, TraceContext, spans};
    use sqlx::{PgConnection, PgPool};
    use std::fmt;
    use std::marker::PhantomData;
    use std::ops::{Deref, DerefMut};
    use std::sync::Arc;

    /// The capability to reach a database.
    ///
    /// `ReadOnly` sessions have a pool of their own whose transactions are read-only by default
    /// (`default_transaction_read_only = on`): the server refuses `INSERT`, `UPDATE`, `DELETE`, `MERGE`, DDL and whatever else
    /// writes to tables that are not temporary, with SQLSTATE 25006. That keeps mistakes out, not malice: SQL that sets the
    /// parameter back can write.
    pub struct Database<R, A = ReadWrite> {
        scope: Scope,
        engine: Arc<Postgres>,
        name: PhantomData<fn() -> (R, A)>,
    }

    impl<R: DatabaseResource, A: DatabaseAccess> Database<R, A> {
        /// The connections, as sqlx has them: `sqlx::query("…").fetch_all(ledger.pool())`.
        ///
        /// A server that is away makes a query fail after five seconds; `?` makes a 503 of that.
        pub fn pool(&self) -> &PgPool {
            self.engine.pool(A::READ_ONLY)
        }

        /// Begins a transaction, which [`Topic::publish_in`](crate::capability::Topic::publish_in) and
        /// [`Queue::send_in`](crate::capability::Queue::send_in) take, too. It is rolled back when it is dropped.
        ///
        /// # Errors
        /// If the server can't be reached or has no free connection for five seconds.
        pub async fn begin(&self) -> Result<Transaction<R, A>, ResourceError> {
            let access = if A::READ_ONLY { "read" } else { "write" };
            check::<Self>(&self.scope, access, "begin").map_err(ResourceError::engine::<Self>("begin"))?;
            let ctx = self.scope.ctx();
            let (trace, mut span) = spans::transaction(&self.scope, R::ID);
            let mut acquire = spans::acquire(ctx, trace.as_ref(), R::ID);
            let begun = self.pool().begin().await.map_err(engine_error);
            let begun = begun.inspect_err(|error| {
                spans::refused(&mut acquire, error);
                spans::refused(&mut span, error);
            });
            drop(acquire);
            let inner = begun.map_err(ResourceError::engine::<Self>("begin"))?;
            let engine = self.engine.clone();
            Ok(Transaction { inner, engine, ctx: ctx.clone(), trace, span, name: PhantomData })
        }

        /// Narrows, for helpers that only read.
        #[must_use]
        pub fn read_only(&self) -> Database<R, ReadOnly>
        where
            A: CanRead,
        {
            Database { scope: self.scope.clone(), engine: self.engine.clone(), name: PhantomData }
        }
    }

    impl<R, A> Clone for Database<R, A> {
        fn clone(&self) -> Self {
            Database { scope: self.scope.clone(), engine: self.engine.clone(), name: PhantomData }
        }
    }

    impl<R: DatabaseResource, A> fmt::Debug for Database<R, A> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Database({})", R::ID)
        }
    }

    impl<R: DatabaseResource, A: DatabaseAccess> Sealed for Database<R, A> {}

    impl<R: DatabaseResource, A: DatabaseAccess> Capability for Database<R, A> {
        const KIND: &'static str = "database";
        const RESOURCE: &'static str = R::ID;
        const ACCESS: &'static str = A::ACCESS;

        fn bind(scope: &Scope) -> Self {
            let databases = &scope.ctx().engines().databases;
            let engine = databases.get(R::ID).cloned().unwrap_or_else(|| Postgres::nowhere(R::ID, R::MIGRATIONS));
            Database { scope: scope.clone(), engine, name: PhantomData }
        }
    }

    /// A transaction of a database, from [`Database::begin`]. Statements take it as `&mut *transaction`, which is sqlx's
    /// `&mut PgConnection`.
    pub struct Transaction<R, A = ReadWrite> {
        inner: sqlx::Transaction<'static, sqlx::Postgres>,
        engine: Arc<Postgres>,
        ctx: Ctx,
        /// The context of its span.
        trace: Option<TraceContext>,
        /// Ends with it.
        span: Span,
        name: PhantomData<fn() -> (R, A)>,
    }

    impl<R, A> Transaction<R, A> {
        /// Commits. After `Ok` all that was written is durable, and every message of `publish_in` and `send_in` will be
        /// handed on. An error means that it is not known whether it was committed.
        ///
        /// # Errors
        /// What the server says, or that it can't be reached.
        pub async fn commit(mut self) -> Result<(), sqlx::Error> {
            self.span.set("updraft.outcome", || "commit");
            self.inner.commit().await.inspect_err(|error| fail(&mut self.span, error))
        }

        /// Takes everything back, messages included.
        ///
        /// # Errors
        /// If the server can't be reached, in which case it rolls back by itself.
        pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
            self.span.set("updraft.outcome", || "rollback");
            self.inner.rollback().await.inspect_err(|error| fail(&mut self.span, error))
        }
    }

    /// A transaction did not end as it was told to.
    fn fail(span: &mut Span, error: &sqlx::Error) {
        let kind = if is_unavailable(error) { "unavailable" } else { "other" };
        span.fail(kind, || error.to_string());
    }

    impl<R: DatabaseResource, A: DatabaseAccess> Transaction<R, A> {
        /// Puts a message of the capability `C` into the outbox.
        pub(crate) async fn hold<C: Capability>(
            &mut self,
            channel: Channel,
            message: &Message,
            method: &'static str,
        ) -> Result<(), ResourceError>
        where
            A: CanWrite,
        {
            let mut message = message.clone();
            spans::create(&self.ctx, self.trace.as_ref(), channel, &mut message);
            let held = outbox::hold(&mut self.inner, channel, &message).await.map_err(engine_error);
            self.engine.put(held.map_err(ResourceError::engine::<C>(method))?);
            Ok(())
        }
    }

    impl<R, A> Deref for Transaction<R, A> {
        type Target = PgConnection;

        fn deref(&self) -> &PgConnection {
            &self.inner
        }
    }

    impl<R, A> DerefMut for Transaction<R, A> {
        fn deref_mut(&mut self) -> &mut PgConnection {
            &mut self.inner
        }
    }

    impl<R: DatabaseResource, A> fmt::Debug for Transaction<R, A> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Transaction({})", R::ID)
        }
    }
}
