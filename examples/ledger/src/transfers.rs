//! Moving money.

use crate::{Ledger, Transfer};
use updraft::prelude::*;
use updraft::sqlx;

/// Transfers that were made.
#[topic(message = Transfer)]
pub struct Transferred;

/// Transfers so large that somebody looks at them.
#[queue(message = Transfer)]
pub struct Reviews;

/// What is reviewed, in cents.
const LARGE: i64 = 1_000_000;

/// Moves money from one account to another, once for each id. The transfer, its announcement and its review commit together.
#[http(post, "/transfers")]
pub(crate) async fn transfer(
    ledger: Database<Ledger>,
    transferred: Topic<Transferred>,
    reviews: Queue<Reviews>,
    Json(transfer): Json<Transfer>,
) -> Result<StatusCode> {
    let Transfer { id, source, target, cents } = &transfer;
    if *cents <= 0 || source == target {
        return Err(Error::new("a transfer moves some cents between two accounts").with_status(StatusCode::BAD_REQUEST));
    }
    let mut tx = ledger.begin().await?;
    // Both are locked in one order, whichever pays: two transfers never wait for each other.
    let there = sqlx::query_as::<_, (String, i64, bool)>(
        "SELECT id, cents, outside FROM account WHERE id IN ($1, $2) ORDER BY id FOR UPDATE",
    );
    let there = there.bind(source).bind(target).fetch_all(&mut *tx).await?;
    if there.len() < 2 {
        return Err(Error::new("no such account").with_status(StatusCode::NOT_FOUND));
    }
    let insert = "INSERT INTO transfer (id, source, target, cents) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let inserted = sqlx::query(insert).bind(id).bind(source).bind(target).bind(cents).execute(&mut *tx).await?;
    if inserted.rows_affected() == 0 {
        return Ok(StatusCode::OK); // asked for a second time
    }
    if there.iter().any(|(account, has, outside)| account == source && has < cents && !outside) {
        return Err(Error::new("too little on the account").with_status(StatusCode::CONFLICT));
    }
    for (account, change) in [(source, -cents), (target, *cents)] {
        let update = sqlx::query("UPDATE account SET cents = cents + $2 WHERE id = $1").bind(account).bind(change);
        update.execute(&mut *tx).await?;
    }
    transferred.publish_in(&mut tx, &transfer).await?;
    if *cents >= LARGE {
        reviews.send_in(&mut tx, &transfer).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::CREATED)
}

/// Marks a large transfer as looked at. (A person would, in a bank.)
#[consumer(Reviews)]
pub(crate) async fn review(transfer: Transfer, ledger: Database<Ledger>) -> Result<()> {
    let update = sqlx::query("UPDATE transfer SET reviewed = true WHERE id = $1").bind(&transfer.id);
    update.execute(ledger.pool()).await?;
    Ok(())
}
