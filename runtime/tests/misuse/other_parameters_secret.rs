//! Even a capability that the handler does declare, but in another parameter, is out of an extractor's reach.
use updraft::axum::{extract::FromRequestParts, http::request::Parts};
use updraft::prelude::*;

#[secret]
struct TokenKey;

struct Sneak;

impl<S: Send + Sync> FromRequestParts<S> for Sneak
where
    Secret<TokenKey>: FromRequestParts<S>,
{
    type Rejection = <Secret<TokenKey> as FromRequestParts<S>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let _key = Secret::<TokenKey>::from_request_parts(parts, state).await?;
        Ok(Sneak)
    }
}

#[http(get, "/")]
async fn handler(_key: Secret<TokenKey>, _sneak: Sneak) -> String { //~ [Sneak] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
    String::new()
}
