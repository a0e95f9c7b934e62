//! The library's application as it was: axum alone, with a state, a middleware and an extractor of its own. The tests send
//! the same requests to it and to what became of it.

mod books;
mod loans;
mod members;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all routes share.
#[derive(Clone)]
pub struct AppState {
    token: String,
    shelves: Arc<Mutex<Shelves>>,
}

#[derive(Default)]
pub struct Shelves {
    books: BTreeMap<String, books::Book>,
    loans: BTreeMap<String, String>,
    members: BTreeMap<String, members::Member>,
}

impl AppState {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone at the desk: the request has the desk's token.
pub struct Desk;

impl FromRequestParts<AppState> for Desk {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match given.and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if token == state.token => Ok(Desk),
            _ => Err((StatusCode::UNAUTHORIZED, "only at the desk")),
        }
    }
}

async fn polite(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-library", HeaderValue::from_static("open"));
    response
}

/// The whole application.
pub fn app(token: &str) -> Router {
    let state = AppState { token: token.to_owned(), shelves: Arc::default() };
    Router::new()
        .route("/", get(async || "Welcome to the library"))
        .nest("/books", books::router())
        .nest("/loans", loans::router())
        .nest("/members", members::router())
        .route("/statistics", get(statistics))
        .layer(from_fn(polite))
        .with_state(state)
}

async fn statistics(_desk: Desk, State(state): State<AppState>) -> String {
    let shelves = state.shelves();
    format!("{} books, {} on loan, {} members", shelves.books.len(), shelves.loans.len(), shelves.members.len())
}
