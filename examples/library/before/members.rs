//! Members.

use super::{AppState, Desk};
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{get, post};
use std::collections::BTreeMap;

/// A member, by name.
pub struct Member {
    street: String,
}

pub fn router() -> Router<AppState> {
    Router::new().route("/", post(join)).route("/{name}", get(show))
}

async fn join(
    _desk: Desk,
    State(state): State<AppState>,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Redirect, StatusCode> {
    let (Some(name), Some(street)) = (form.get("name"), form.get("street")) else {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    };
    state.shelves().members.insert(name.clone(), Member { street: street.clone() });
    Ok(Redirect::to(&format!("/members/{name}")))
}

async fn show(_desk: Desk, State(state): State<AppState>, Path(name): Path<String>) -> Result<String, StatusCode> {
    state.shelves().members.get(&name).map(|member| format!("{name}, {}", member.street)).ok_or(StatusCode::NOT_FOUND)
}
