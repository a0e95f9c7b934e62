//! A consumer of a topic, of a store, and of another message than its queue's; a subscriber of a queue.
use updraft::prelude::*;

#[store(key = String, value = u32)]
struct Stock;

#[queue(message = String)]
struct Orders;

#[topic(message = String)]
struct Shipped;

#[consumer(Shipped)] //~ [Shipped] `Shipped` is no queue of `String` messages
async fn of_a_topic(_message: String) -> Result<()> {
    Ok(())
}

#[consumer(Stock)] //~ [Stock] `Stock` is no queue of `String` messages
async fn of_a_store(_message: String) -> Result<()> {
    Ok(())
}

#[consumer(Orders)] //~ [Orders] `Orders` is no queue of `u32` messages
async fn of_another_message(_message: u32) -> Result<()> {
    Ok(())
}

#[subscriber(Orders)] //~ [Orders] `Orders` is no topic of `String` messages
async fn of_a_queue(_message: String) -> Result<()> {
    Ok(())
}
