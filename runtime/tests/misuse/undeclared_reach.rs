//! A user's own extractor reaches for a secret that no handler declares. (rustc says it twice.)
use updraft::axum::{extract::FromRequestParts, http::request::Parts};
use updraft::prelude::*;

#[secret]
struct TokenKey;

struct Sneak;

impl<S: Send + Sync> FromRequestParts<S> for Sneak {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let _key = Secret::<TokenKey>::from_request_parts(parts, state).await?;
        //~^ [Secret::<TokenKey>] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
        //~^ [Secret::<TokenKey>::from_request_parts(parts, state)] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
        Ok(Sneak)
    }
}

#[http(get, "/")]
async fn handler(_sneak: Sneak) -> String {
    String::new()
}
