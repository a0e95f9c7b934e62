//! Loans: `GET` is taken over; lending and taking back are the old router's still, on the same path.

use crate::books::missing;
use crate::desk::Desk;
use updraft::prelude::*;

/// The number of a book that is away → who has it.
#[store(key = String, value = String)]
pub struct Loans;

/// Who has it.
#[http(get, "/loans/{number}")]
async fn borrower(_desk: Desk, loans: Store<Loans, ReadOnly>, Path(number): Path<String>) -> Result<String> {
    loans.get(&number).await?.ok_or_else(|| missing("nobody has it"))
}
