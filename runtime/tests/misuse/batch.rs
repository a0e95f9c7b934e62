//! Batches of another queue's messages, where one message is taken, with one delivery for all, and of nothing.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[topic(message = String)]
struct Shipped;

#[consumer(Orders)] //~ [Orders] `Orders` is no queue of `u32` messages
async fn of_another_message(batch: Batch<u32>) -> Result<()> {
    batch.done();
    Ok(())
}

#[consumer(Orders, window = "1s")] //~ [window] this consumer takes one message at a time
async fn one(_message: String) -> Result<()> {
    Ok(())
}

#[consumer(Orders, batch = 0)] //~ [batch] `batch` can't be 0; it is a whole number from 1 to 1000
async fn nothing(batch: Batch<String>) -> Result<()> {
    batch.done();
    Ok(())
}

#[consumer(Orders)]
async fn delivered(batch: Batch<String>, _delivery: Delivery) -> Result<()> { //~ [Delivery] each message of a batch has a delivery of its own
    batch.done();
    Ok(())
}

#[subscriber(Shipped)]
async fn several(batch: Batch<String>) -> Result<()> { //~ [Batch<String>] a subscriber takes one message at a time
    batch.done();
    Ok(())
}
