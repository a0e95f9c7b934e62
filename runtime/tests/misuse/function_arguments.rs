//! `#[function]` knows capabilities by name; an alias looks like an argument that callers send. And what can't travel.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

type Outgoing = Queue<Orders>;

#[function]
async fn aliased(sku: String, _outgoing: Outgoing) -> Result<String> { //~ [Outgoing] `updraft::Queue<Orders>` can't travel as an argument of a `#[function]`
    Ok(sku)
}

#[function]
async fn pattern((sku, _count): (String, u32)) -> Result<String> { //~ [(String, u32)] an argument of a function has a plain name
    Ok(sku)
}
