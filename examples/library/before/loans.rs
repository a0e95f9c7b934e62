//! Loans: who has which book.

use super::{AppState, Desk};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;

pub fn router() -> Router<AppState> {
    Router::new().route("/{number}", get(borrower).post(lend).delete(take_back))
}

async fn borrower(
    _desk: Desk,
    State(state): State<AppState>,
    Path(number): Path<String>,
) -> Result<String, StatusCode> {
    state.shelves().loans.get(&number).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// The body is the member's name.
async fn lend(_desk: Desk, State(state): State<AppState>, Path(number): Path<String>, member: String) -> StatusCode {
    let mut shelves = state.shelves();
    if !shelves.books.contains_key(&number) || !shelves.members.contains_key(&member) {
        return StatusCode::NOT_FOUND;
    }
    if shelves.loans.contains_key(&number) {
        return StatusCode::CONFLICT;
    }
    shelves.loans.insert(number, member);
    StatusCode::CREATED
}

async fn take_back(_desk: Desk, State(state): State<AppState>, Path(number): Path<String>) -> StatusCode {
    match state.shelves().loans.remove(&number) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
