//! Writes down for good what left the house. It says what it wants to hear; whoever ships publishes it.
#![forbid(unsafe_code)]
#![deny(warnings)]

use updraft::prelude::*;

/// An order on its way to the customer.
#[updraft::data]
pub struct Shipment {
    /// The order's id.
    pub order: String,
    pub sku: String,
    pub quantity: u32,
}

/// Shipments, as they leave.
#[topic(message = Shipment)]
pub struct Shipped;

/// One file a shipment, for the auditors.
#[bucket(external = "read")]
pub struct Trail;

/// Writes a shipment down. A second delivery writes the same file again.
#[subscriber(Shipped)]
async fn record(shipment: Shipment, trail: Bucket<Trail, WriteOnly>) -> Result<()> {
    let Shipment { order, sku, quantity } = shipment;
    trail.put_as(&format!("shipments/{order}.txt"), "text/plain", format!("{quantity} × {sku}\n")).await?;
    Ok(())
}
