//! Books.

use super::{AppState, Desk};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// A book, by its number.
#[derive(Clone, Deserialize)]
pub struct Book {
    title: String,
    author: String,
}

fn shown(number: &str, book: &Book) -> Value {
    json!({ "number": number, "title": book.title, "author": book.author })
}

pub fn router() -> Router<AppState> {
    Router::new().route("/", get(list)).route("/{number}", get(show).put(shelve).delete(discard))
}

async fn list(State(state): State<AppState>) -> Json<Value> {
    let shelves = state.shelves();
    Json(shelves.books.iter().map(|(number, book)| shown(number, book)).collect())
}

async fn show(State(state): State<AppState>, Path(number): Path<String>) -> Result<Json<Value>, StatusCode> {
    let shelves = state.shelves();
    shelves.books.get(&number).map(|book| Json(shown(&number, book))).ok_or(StatusCode::NOT_FOUND)
}

async fn shelve(
    _desk: Desk,
    State(state): State<AppState>,
    Path(number): Path<String>,
    Json(book): Json<Book>,
) -> StatusCode {
    let before = state.shelves().books.insert(number, book);
    if before.is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED }
}

async fn discard(_desk: Desk, State(state): State<AppState>, Path(number): Path<String>) -> StatusCode {
    let mut shelves = state.shelves();
    if shelves.loans.contains_key(&number) {
        return StatusCode::CONFLICT;
    }
    match shelves.books.remove(&number) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
