//! The warehouse: what is left of each item.

use crate::orders::Order;
use std::collections::BTreeSet;
use updraft::prelude::*;

/// Settings, from `[config.warehouse]`.
#[config]
pub struct Warehouse {
    /// Pieces of an item that was never counted.
    #[default(0)]
    pub initial: u32,
}

/// A shelf.
#[updraft::data]
pub struct Shelf {
    /// Pieces left.
    pub left: u32,
    /// Orders that have taken theirs already.
    pub taken: BTreeSet<String>,
}

/// A shelf for each item, by its SKU.
#[store(key = String, value = Shelf)]
pub struct Stock;

/// Takes an order's pieces from their shelf, once however often it is asked; whether there were enough.
///
/// A helper takes a capability by reference: what it may do is what the handler that calls it has declared.
pub async fn reserve(stock: &Store<Stock>, order: &Order, initial: u32) -> Result<bool> {
    let shelf = stock.update(&order.sku, |shelf| {
        let mut shelf = shelf.unwrap_or(Shelf { left: initial, taken: BTreeSet::new() });
        let enough = order.quantity <= shelf.left;
        if enough && shelf.taken.insert(order.id.clone()) {
            shelf.left -= order.quantity;
        }
        shelf
    });
    Ok(shelf.await?.taken.contains(&order.id))
}
