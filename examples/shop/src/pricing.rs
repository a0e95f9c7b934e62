//! Prices: a function that other handlers call, and a route that does.

use crate::warehouse::Stock;
use std::fmt;
use updraft::prelude::*;

/// What an order would cost.
#[updraft::data]
pub struct Price {
    pub cents: u64,
}

/// Why there is no price.
#[updraft::data]
#[derive(PartialEq)]
pub enum QuoteError {
    /// There are not as many.
    SoldOut { left: u32 },
    /// The store did not answer.
    Later,
}

impl fmt::Display for QuoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuoteError::SoldOut { left } => write!(f, "only {left} left"),
            QuoteError::Later => f.write_str("no quote can be made now"),
        }
    }
}

impl std::error::Error for QuoteError {}

/// What `quantity` pieces cost: scarce items cost more.
#[function]
pub async fn quote(sku: String, quantity: u32, stock: Store<Stock, ReadOnly>) -> Result<Price, QuoteError> {
    let each = match stock.get(&sku).await.map_err(|_| QuoteError::Later)? {
        Some(shelf) if shelf.left < quantity => return Err(QuoteError::SoldOut { left: shelf.left }),
        Some(shelf) if shelf.left < 10 => 1_990,
        _ => 990,
    };
    Ok(Price { cents: each * u64::from(quantity) })
}

/// How many.
#[updraft::data]
pub struct Wanted {
    pub quantity: Option<u32>,
}

/// Quotes a price.
#[http(get, "/quotes/{sku}")]
async fn get_quote(
    Path(sku): Path<String>,
    Query(wanted): Query<Wanted>,
    quote: Function<quote>,
) -> Result<Json<Price>> {
    match quote.call(sku, wanted.quantity.unwrap_or(1)).await {
        Ok(price) => Ok(Json(price)),
        Err(sold_out @ CallError::Failed(QuoteError::SoldOut { .. })) => Err(sold_out).status(StatusCode::CONFLICT),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft::test;

    #[tokio::test]
    async fn a_single_piece_is_quoted_unless_more_are_wanted() {
        let each = test::function::<quote>(|_sku, quantity| Ok(Price { cents: 5 * u64::from(quantity) }));
        let one = get_quote(Path("tea".into()), Query(Wanted { quantity: None }), each.clone()).await.unwrap();
        let three = get_quote(Path("tea".into()), Query(Wanted { quantity: Some(3) }), each).await.unwrap();
        assert_eq!((one.0.cents, three.0.cents), (5, 15));
    }

    #[tokio::test]
    async fn a_price_that_is_not_to_be_had_is_a_conflict() {
        let sold_out = test::function::<quote>(|_sku, _quantity| Err(QuoteError::SoldOut { left: 0 }));
        let error = get_quote(Path("tea".into()), Query(Wanted { quantity: None }), sold_out).await.unwrap_err();
        assert_eq!((error.status(), error.to_string()), (StatusCode::CONFLICT, "only 0 left".to_owned()));
    }
}
