//! A queue that was not declared to hold messages back.
use std::time::Duration;
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[http(post, "/")]
async fn later(orders: Queue<Orders>) -> Result<()> {
    orders.send_after(&String::new(), Duration::from_secs(60)).await?; //~ [send_after] `Orders` does not hold messages back
    Ok(())
}
