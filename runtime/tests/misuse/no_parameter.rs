//! `u32` is neither a capability nor an extractor: in the middle, last, in a consumer, in a schedule.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[http(post, "/middle")]
async fn middle(count: u32, _orders: Queue<Orders>) -> String { //~ [u32] `u32` can't be a parameter of an `#[http]` handler here
    count.to_string()
}

#[http(post, "/last")]
async fn last(_orders: Queue<Orders>, count: u32) -> String { //~ [u32] `u32` can't be the last parameter of an `#[http]` handler
    count.to_string()
}

#[consumer(Orders)]
async fn consume(_message: String, _count: u32) -> Result<()> { //~ [u32] `u32` can't be a parameter here
    Ok(())
}

#[schedule("0 3 * * *")]
async fn nightly(_count: u32) -> Result<()> { //~ [u32] `u32` can't be a parameter here
    Ok(())
}
