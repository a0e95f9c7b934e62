//! What owners read: a line for each transfer, in another store than the database.

use crate::transfers::Transferred;
use crate::{Ledger, Transfer};
use updraft::prelude::*;

/// The lines of all statements, by account and transfer.
#[store(key = (String, String), value = i64)]
pub struct Lines;

/// Writes both accounts' lines. A transfer that comes twice writes the same again.
#[subscriber(Transferred)]
pub(crate) async fn write(transfer: Transfer, lines: Store<Lines, WriteOnly>) -> Result<()> {
    let Transfer { id, source, target, cents } = transfer;
    lines.put(&(source, id.clone()), &-cents).await?;
    lines.put(&(target, id), &cents).await?;
    Ok(())
}

/// An account's lines, and whether there is such an account at all.
#[http(get, "/accounts/{id}/statement")]
pub(crate) async fn read(
    lines: Store<Lines, ReadOnly>,
    ledger: Database<Ledger, ReadOnly>,
    Path(id): Path<String>,
) -> Result<Json<Vec<i64>>> {
    let there = updraft::sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM account WHERE id = $1)").bind(&id);
    if !there.fetch_one(ledger.pool()).await? {
        return Err(Error::new("no such account").with_status(StatusCode::NOT_FOUND));
    }
    let mut lines = lines.scan((id,)).all().await?;
    lines.sort();
    Ok(Json(lines.into_iter().map(|(_, cents)| cents).collect()))
}
