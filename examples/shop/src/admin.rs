//! The back door, for those who hold the key.

use crate::warehouse::{Shelf, Stock};
use std::collections::BTreeSet;
use updraft::prelude::*;

/// Opens the back door.
#[secret]
pub struct AdminKey;

/// Someone who holds the key. A handler that takes one has the key's grant too.
pub struct Admin;

/// Lets in whoever shows the key as a bearer token.
#[extractor]
async fn admin(headers: HeaderMap, key: Secret<AdminKey>) -> Result<Admin> {
    let expected = format!("Bearer {}", key.expose().await?.expose_secret());
    match headers.get("authorization") {
        Some(shown) if shown == expected.as_str() => Ok(Admin),
        _ => Err(Error::new("the admin's key is missing or wrong").with_status(StatusCode::UNAUTHORIZED)),
    }
}

/// How many pieces there are now.
#[updraft::data]
pub struct Count {
    pub left: u32,
}

/// Puts a number of pieces on a shelf.
#[http(put, "/admin/stock/{sku}")]
async fn count_stock(
    _admin: Admin,
    Path(sku): Path<String>,
    stock: Store<Stock>,
    Json(count): Json<Count>,
) -> Result<Json<Count>> {
    let shelf = stock.update(&sku, |shelf| {
        let taken = shelf.map_or_else(BTreeSet::new, |shelf| shelf.taken);
        Shelf { left: count.left, taken }
    });
    Ok(Json(Count { left: shelf.await?.left }))
}
