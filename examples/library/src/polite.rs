//! What was a middleware round the whole router is a layer round the whole application, old routes and new.

use updraft::axum::extract::Request;
use updraft::axum::http::HeaderValue;
use updraft::axum::middleware::{Next, from_fn};
use updraft::prelude::*;

async fn polite(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-library", HeaderValue::from_static("open"));
    response
}

#[layer("/")]
fn politeness() -> impl Layer {
    from_fn(polite)
}
