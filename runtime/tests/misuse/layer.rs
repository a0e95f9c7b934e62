//! A layer tries to draw a capability from the request that passes through it. (axum's method is
//! async, so rustc says it thrice.)
use updraft::axum::{RequestExt, extract::Request, middleware::Next};
use updraft::prelude::*;

#[secret]
struct TokenKey;

pub async fn layer(mut request: Request, next: Next) -> Response {
    let _key = request.extract_parts::<Secret<TokenKey>>().await;
    //~^ [extract_parts] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
    //~^ [request.extract_parts::<Secret<TokenKey>>()] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
    //~^ [await] `updraft::Secret<TokenKey>` is reached here, but no handler's parameter declares it
    next.run(request).await
}
