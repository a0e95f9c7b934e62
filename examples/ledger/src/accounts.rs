//! Opening accounts and looking at them.

use crate::Ledger;
use updraft::prelude::*;
use updraft::sqlx;

/// An account as its owner sees it.
#[updraft::data]
pub struct Account {
    /// Chosen by whoever opens it.
    pub id: String,
    /// What is on it.
    #[serde(default)]
    pub cents: i64,
}

/// What this is: needs no database, so it answers whatever becomes of one.
#[http(get, "/")]
pub(crate) async fn about() -> &'static str {
    "Money only moves."
}

/// Opens an account; one that is there stays as it is.
#[http(put, "/accounts/{id}")]
pub(crate) async fn open(ledger: Database<Ledger>, Path(id): Path<String>) -> Result<StatusCode> {
    let opened = sqlx::query("INSERT INTO account (id) VALUES ($1) ON CONFLICT DO NOTHING").bind(&id);
    let opened = opened.execute(ledger.pool()).await?;
    Ok(if opened.rows_affected() == 1 { StatusCode::CREATED } else { StatusCode::OK })
}

/// What is on an account.
#[http(get, "/accounts/{id}")]
pub(crate) async fn balance(ledger: Database<Ledger, ReadOnly>, Path(id): Path<String>) -> Result<Json<Account>> {
    let cents = sqlx::query_scalar::<_, i64>("SELECT cents FROM account WHERE id = $1").bind(&id);
    match cents.fetch_optional(ledger.pool()).await? {
        Some(cents) => Ok(Json(Account { id, cents })),
        None => Err(Error::new("no such account").with_status(StatusCode::NOT_FOUND)),
    }
}

/// What holds at any time: money only moves, so all accounts together hold nothing.
#[schedule("0 4 * * *")]
pub(crate) async fn audit(_tick: Tick, ledger: Database<Ledger, ReadOnly>) -> Result<()> {
    let sum = sqlx::query_scalar::<_, i64>("SELECT sum(cents)::bigint FROM account").fetch_one(ledger.pool()).await?;
    if sum == 0 { Ok(()) } else { Err(Error::permanent(format!("the accounts hold {sum} cents together"))) }
}
