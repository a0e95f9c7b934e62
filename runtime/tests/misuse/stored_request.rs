//! A helper gets the whole request and tries to draw a capability from it. (rustc says it twice.)
use updraft::axum::extract::{FromRequestParts, Request};
use updraft::prelude::*;

#[secret]
struct TokenKey;

async fn helper(request: Request) {
    let (mut parts, _body) = request.into_parts();
    let Ok(_key) = Secret::<TokenKey>::from_request_parts(&mut parts, &()).await;
    //~^ [Secret::<TokenKey>] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
    //~^ [Secret::<TokenKey>::from_request_parts(&mut parts, &())] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
}

#[http(get, "/")]
async fn handler(request: Request) -> String {
    helper(request).await;
    String::new()
}
