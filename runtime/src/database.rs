//! Databases of one application, whether or not the feature `postgres` is on: which there are, and why one can't be used.

use crate::capability::Migrations;
use crate::ctx::Ctx;
use crate::registry::{Handler, RESOURCES};
use std::collections::BTreeMap;
use std::time::Duration;
#[cfg(feature = "postgres")]
use std::time::Instant;
use tokio::task::AbortHandle;
use updraft_wire::Grants;

#[cfg(feature = "postgres")]
use crate::engines::postgres::Postgres;
#[cfg(feature = "postgres")]
use std::sync::Arc;

/// How long an outbox is looked after at once: the longest that a function of AWS Lambda runs.
#[cfg(all(feature = "postgres", feature = "lambda"))]
const LONGEST_LOOK: Duration = Duration::from_secs(15 * 60);

/// The databases of one application.
#[derive(Clone, Default)]
pub struct Databases {
    #[cfg(feature = "postgres")]
    by_id: BTreeMap<String, Arc<Postgres>>,
    /// Those that can't be used here, and why.
    absent: BTreeMap<String, String>,
}

impl Databases {
    /// Says why a database can't be used here. What takes it answers 503 with this.
    pub fn without(&mut self, id: &str, reason: impl Into<String>) {
        self.absent.insert(id.to_owned(), reason.into());
    }

    /// Those that can't be used here, and why.
    pub fn absent(&self) -> impl Iterator<Item = (&str, &str)> {
        self.absent.iter().map(|(id, reason)| (id.as_str(), reason.as_str()))
    }

    /// Why a handler can't run here: one of the databases that it takes is absent.
    pub fn reason(&self, handler: &Handler) -> Option<&str> {
        if self.absent.is_empty() {
            return None;
        }
        fn find<'a>(grants: &Grants, absent: &'a BTreeMap<String, String>) -> Option<&'a str> {
            match grants {
                Grants::One { kind: "database", resource, .. } => absent.get(*resource).map(String::as_str),
                Grants::None | Grants::One { .. } => None,
                Grants::All(all) => all.iter().find_map(|grants| find(grants, absent)),
            }
        }
        find(&handler.grants, &self.absent)
    }
}

#[cfg(feature = "postgres")]
impl Databases {
    /// Adds one.
    pub fn add(&mut self, database: Arc<Postgres>) {
        self.by_id.insert(database.id().to_owned(), database);
    }

    /// The database of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Postgres>> {
        self.by_id.get(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Postgres>> {
        self.by_id.values()
    }
}

#[cfg(feature = "postgres")]
impl Databases {
    /// Starts to hand on what each outbox holds, until the tasks are aborted.
    pub fn relay(&self, ctx: &Ctx) -> Vec<AbortHandle> {
        self.all().map(|one| tokio::spawn(one.clone().relay(ctx.clone())).abort_handle()).collect()
    }

    /// Hands on what each outbox holds now; how many messages those were. One whose server is away is passed over.
    pub async fn flush(&self, ctx: &Ctx) -> usize {
        let mut all = 0;
        for one in self.all() {
            all += one.flush(ctx).await.unwrap_or_default();
        }
        all
    }

    /// Hands on what each outbox holds until there is nothing left, for a process that ends; for `limit` at most.
    pub async fn empty(&self, ctx: &Ctx, limit: Duration) {
        let by = Instant::now() + limit;
        let all = self.all().map(|one| tokio::time::timeout(limit, one.empty(ctx, by)));
        let _ = futures_util::future::join_all(all).await;
    }

    /// Has each database's tables made: of a process whose engines are not probed.
    ///
    /// # Errors
    /// Why one can't be used.
    #[cfg(feature = "lambda")]
    pub(crate) async fn prepare(&self) -> Result<(), String> {
        let all = self
            .all()
            .map(|one| async { one.prepare().await.map_err(|error| format!("database `{}`: {error}", one.id())) });
        futures_util::future::try_join_all(all).await.map(drop)
    }

    /// Before the process stands still, where so much is left of the time for work and of all time: hands on what its handlers
    /// have committed, and lets go of whatever others might wait for.
    #[cfg(feature = "lambda")]
    pub(crate) async fn rest(&self, ctx: &Ctx, left: (Duration, Duration)) {
        futures_util::future::join_all(self.all().map(|one| one.rest(ctx, left))).await;
    }

    /// How many of a handler's attempts have a connection at once; `None` if it takes no database.
    #[cfg(feature = "lambda")]
    pub(crate) fn connections(&self, grants: &Grants) -> Option<usize> {
        match grants {
            Grants::One { kind: "database", resource, .. } => self.get(resource).map(|one| one.connections()),
            Grants::None | Grants::One { .. } => None,
            Grants::All(all) => all.iter().filter_map(|grants| self.connections(grants)).min(),
        }
    }

    /// Hands on what an outbox holds, for `limit` at most; how many messages those were. What is left then is the next look's.
    ///
    /// # Errors
    /// If there is no such database, its server is away, or a newer version hands on.
    #[cfg(feature = "lambda")]
    pub(crate) async fn look_after(&self, id: &str, ctx: &Ctx, limit: Duration) -> Result<usize, String> {
        let one = self.get(id).ok_or_else(|| format!("the unit has no database `{id}`"))?;
        // An event that has no end asks for no more than others do.
        let limit = limit.min(LONGEST_LOOK);
        match tokio::time::timeout(limit, one.flush_by(ctx, Some(Instant::now() + limit))).await {
            Ok(handed_on) => handed_on.map_err(|error| format!("the outbox of `{id}` can't be read: {error}")),
            Err(_) => Err(format!("the outbox of `{id}` can't be read: PostgreSQL does not answer")),
        }
    }

    /// How many messages the outboxes hold, as far as their servers can be asked.
    pub async fn waiting(&self) -> u64 {
        let mut all = 0;
        for one in self.all() {
            all += one.waiting().await.unwrap_or_default();
        }
        all
    }
}

#[cfg(not(feature = "postgres"))]
impl Databases {
    /// Whether there is none: so it is.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Nothing: there are none.
    pub fn relay(&self, _: &Ctx) -> Vec<AbortHandle> {
        Vec::new()
    }

    /// Nothing: there are none.
    pub async fn flush(&self, _: &Ctx) -> usize {
        0
    }

    /// Nothing: there are none.
    pub async fn empty(&self, _: &Ctx, _: Duration) {}

    /// Nothing: there are none.
    #[cfg(feature = "lambda")]
    pub(crate) async fn prepare(&self) -> Result<(), String> {
        Ok(())
    }

    /// Nothing: there are none.
    #[cfg(feature = "lambda")]
    pub(crate) async fn rest(&self, _: &Ctx, _: (Duration, Duration)) {}

    /// No limit: there are none.
    #[cfg(feature = "lambda")]
    pub(crate) fn connections(&self, _: &Grants) -> Option<usize> {
        None
    }

    /// An error: there are none.
    #[cfg(feature = "lambda")]
    pub(crate) async fn look_after(&self, id: &str, _: &Ctx, _: Duration) -> Result<usize, String> {
        Err(format!("the unit has no database `{id}`"))
    }

    /// Nothing: there are none.
    pub async fn waiting(&self) -> u64 {
        0
    }
}

/// Id and migrations of each database that is linked into this program, sorted.
pub fn declared() -> BTreeMap<&'static str, &'static Migrations> {
    RESOURCES.iter().filter_map(|resource| Some((resource.id, resource.migrations?))).collect()
}
