//! A queue without a message type.
use updraft::prelude::*;

#[queue] //~ [#[queue]] `#[queue]` needs `message = …`; write `#[queue(message = Order)]`
struct Orders;

#[topic(attributes(region))] //~ [#[topic(attributes(region))]] `#[topic]` needs `message = …`; write `#[topic(message = Shipment)]`
struct Shipped;

#[store(key = String)] //~ [#[store(key = String)]] `#[store]` needs `value = …`; write `#[store(key = String, value = u32)]`
struct Stock;
