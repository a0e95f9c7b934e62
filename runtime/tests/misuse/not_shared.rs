//! Shared values that nobody makes, or that a handler's signature does not name.
use updraft::axum::extract::{FromRef, FromRequestParts, State};
use updraft::axum::http::request::Parts;
use updraft::prelude::*;

#[secret]
struct Key;

#[derive(Clone)]
pub struct Client;
#[shared]
async fn client(_key: Secret<Key>) -> Result<Client> {
    Ok(Client)
}

pub struct Unmade;
#[http(get, "/unmade")]
async fn unmade(_unmade: Shared<Unmade>) {}
//~^ [Shared<Unmade>] `Unmade` is no shared value

/// Not `Clone`, so axum's `State` can't copy it.
pub struct Single;
#[shared]
async fn single() -> Result<Single> {
    Ok(Single)
}
#[http(get, "/single")]
async fn copied(_single: State<Single>) {}
//~^ [State<Single>] the trait bound `Single: Clone` is not satisfied
#[http(get, "/shared")]
async fn taken(_single: Shared<Single>) {}

/// Draws the shared value out of whatever state there is.
pub struct Thief;
impl<S: Send + Sync> FromRequestParts<S> for Thief
where
    Client: FromRef<S>,
{
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let _client = Client::from_ref(state);
        Ok(Thief)
    }
}
#[http(get, "/thief")]
async fn stolen(_thief: Thief) {}
//~^ [Thief] the trait bound `Client: FromRef<Tag<Thief>>` is not satisfied
