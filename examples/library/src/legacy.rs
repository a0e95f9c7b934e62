//! What is left of the old application: its router, with handlers as they were. Their state was made in `main`, of maps
//! behind a lock; now it is made of what `legacy` takes, which is all that they reach.

use crate::books::Books;
use crate::desk::Guard;
use crate::loans::Loans;
use std::collections::BTreeMap;
use updraft::axum::Router;
use updraft::axum::extract::{Form, FromRequestParts, Path, State};
use updraft::axum::http::request::Parts;
use updraft::axum::response::Redirect;
use updraft::axum::routing::{get, post};
use updraft::{IntoResponse, ReadOnly, Result, Shared, StatusCode, Store, routes, store};

/// Members, by name: their street.
#[store(key = String, value = String)]
pub struct Members;

#[derive(Clone)]
struct AppState {
    guard: Shared<Guard>,
    books: Store<Books, ReadOnly>,
    loans: Store<Loans>,
    members: Store<Members>,
}

/// Someone at the desk: the old extractor, which takes what it needs from the state.
struct Desk;

impl FromRequestParts<AppState> for Desk {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let admitted = state.guard.admits(&parts.headers).await;
        admitted.map(|()| Desk).map_err(|_| (StatusCode::UNAUTHORIZED, "only at the desk"))
    }
}

/// Everything that no handler has taken over.
#[routes("/")]
fn legacy(guard: Shared<Guard>, books: Store<Books, ReadOnly>, loans: Store<Loans>, members: Store<Members>) -> Router {
    Router::new()
        .route("/", get(async || "Welcome to the library"))
        .route("/loans/{number}", post(lend).delete(take_back))
        .route("/members", post(join))
        .route("/members/{name}", get(show))
        .route("/statistics", get(statistics))
        .with_state(AppState { guard, books, loans, members })
}

/// The body is the member's name.
async fn lend(
    _desk: Desk,
    State(state): State<AppState>,
    Path(number): Path<String>,
    member: String,
) -> Result<impl IntoResponse> {
    if state.books.get(&number).await?.is_none() || state.members.get(&member).await?.is_none() {
        return Ok(StatusCode::NOT_FOUND);
    }
    let lent = state.loans.insert_new(&number, &member).await?;
    Ok(if lent { StatusCode::CREATED } else { StatusCode::CONFLICT })
}

async fn take_back(_desk: Desk, State(state): State<AppState>, Path(number): Path<String>) -> Result<StatusCode> {
    let was_away = state.loans.get(&number).await?.is_some();
    state.loans.delete(&number).await?;
    Ok(if was_away { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

async fn join(
    _desk: Desk,
    State(state): State<AppState>,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<impl IntoResponse> {
    let (Some(name), Some(street)) = (form.get("name"), form.get("street")) else {
        return Ok(Err(StatusCode::UNPROCESSABLE_ENTITY));
    };
    state.members.put(name, street).await?;
    Ok(Ok(Redirect::to(&format!("/members/{name}"))))
}

async fn show(_desk: Desk, State(state): State<AppState>, Path(name): Path<String>) -> Result<impl IntoResponse> {
    let street = state.members.get(&name).await?;
    Ok(street.map(|street| format!("{name}, {street}")).ok_or(StatusCode::NOT_FOUND))
}

async fn statistics(_desk: Desk, State(state): State<AppState>) -> Result<String> {
    let (books, loans, members) =
        (state.books.scan("").all().await?, state.loans.scan("").all().await?, state.members.scan("").all().await?);
    Ok(format!("{} books, {} on loan, {} members", books.len(), loans.len(), members.len()))
}
