//! A generic wrapper round an `#[extractor]`'s type: the handler never names `User`, nor its secret.
use updraft::axum::{extract::FromRequestParts, http::request::Parts};
use updraft::prelude::*;

#[secret]
struct TokenKey;

struct User;

#[extractor]
async fn user(key: Secret<TokenKey>) -> Result<User> {
    key.expose().await?;
    Ok(User)
}

struct Wrapper<T>(T);

impl<S: Send + Sync, T: FromRequestParts<S>> FromRequestParts<S> for Wrapper<T> {
    type Rejection = T::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Wrapper(T::from_request_parts(parts, state).await?))
    }
}

#[http(get, "/")]
async fn handler(wrapper: Wrapper<User>, _last: String) -> String { //~ [Wrapper<User>] `User` is reached here, but no handler's parameter declares it
    let _ = wrapper.0;
    String::new()
}
