//! Accounts and transfers. Money moves in one transaction of the database, and what others are told of it commits with it.

pub mod accounts;
pub mod statements;
pub mod transfers;

use updraft::prelude::*;

/// Accounts and the transfers between them.
#[database]
pub struct Ledger;

/// A transfer that was made.
#[updraft::data]
#[derive(PartialEq, Eq)]
pub struct Transfer {
    /// Chosen by whoever asks for it: the same id is the same transfer.
    pub id: String,
    /// The account that pays.
    pub source: String,
    /// The account that is paid.
    pub target: String,
    /// How much.
    pub cents: i64,
}
