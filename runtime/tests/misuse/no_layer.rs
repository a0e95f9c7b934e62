//! Layers and adopted routers that are none, and a layer that reaches more than it takes.
use updraft::axum::extract::{Request, State};
use updraft::axum::middleware::{Next, from_fn_with_state};
use updraft::prelude::*;

#[secret]
struct Own;
#[secret]
struct Foreign;

#[layer("/number")]
pub fn number() -> u32 {
//~^ [u32] `u32` can't stand round routes
    1
}

#[routes("/text")]
pub fn text() -> String {
//~^ [String] mismatched types
    String::new()
}

#[layer("/nothing")]
pub fn nothing() {}
//~^ [nothing] `#[layer]` makes a tower layer; write `-> impl Layer`, or the layer's type

#[layer("/later")]
pub async fn later() -> u32 {
//~^ [async] a function with `#[layer]` is a plain `fn`: it makes something and does not wait; leave `async` away; what has to be waited for is made by a `#[shared]` function and taken as `Shared<…>`
    1
}

#[layer("/users/{id}")]
//~^ ["/users/{id}"] `/users/{id}` is no plain path: it has a parameter in it; write text alone: `/admin`, or `/` for the whole application
pub fn some(_own: Secret<Own>) -> u32 {
    1
}

#[routes("/borrowed")]
pub fn borrowed(_own: &Secret<Own>) -> updraft::axum::Router {
//~^ [&Secret<Own>] a function with `#[routes]` owns its parameters: there is nobody to borrow from; take the type itself: capabilities are cheap to clone, and a message is yours
    updraft::axum::Router::new()
}

#[routes("/extracted")]
pub fn extracted(_own: HeaderMap) -> updraft::axum::Router {
//~^ [HeaderMap] `updraft::HeaderMap` can't be a parameter here
    updraft::axum::Router::new()
}

async fn curious(_own: State<Secret<Own>>, _foreign: Secret<Foreign>, request: Request, next: Next) -> Response {
    next.run(request).await
}

#[layer("/curious")]
pub fn reaching(own: Secret<Own>) -> impl Layer {
//~^ [impl Layer] the trait bound `FromFn<..., ..., ..., _>: Service<...>` is not satisfied
    from_fn_with_state(own, curious)
}
