//! What is retried or told to a caller has to say whether it failed.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[consumer(Orders)]
async fn ship(_order: String) {} //~ [ship] a handler with `#[consumer]` returns a `Result`; write `-> Result<()>`, with an error type of your own as the second if you like

#[schedule("0 3 * * *")]
async fn nightly() -> Option<()> { //~ [Option<()>] a handler with `#[schedule]` returns a `Result`
    None
}

#[function]
async fn quote(quantity: u32) -> u32 { //~ [u32] a handler with `#[function]` returns a `Result`
    quantity
}
