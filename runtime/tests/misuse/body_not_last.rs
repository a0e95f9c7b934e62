//! The parameter that reads the body comes last: by name where syntax can tell, by type where it can't.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[http(post, "/")]
async fn named(Json(order): Json<String>, orders: Queue<Orders>) -> String { //~ [Json<String>] `Json` reads the request's body, so it comes last
    let _ = orders.send(&order).await;
    order
}

type Body = Json<String>;

#[http(post, "/alias")]
async fn alias(order: Body, orders: Queue<Orders>) -> String { //~ [Body] `updraft::Json<String>` can't be a parameter of an `#[http]` handler here
    let _ = orders.send(&order).await;
    order.0
}
