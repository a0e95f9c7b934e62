//! Orders: placed over HTTP, shipped from a queue.

use crate::warehouse::{Stock, Warehouse, reserve};
use audit::{Shipment, Shipped};
use updraft::prelude::*;

/// What a customer wants.
#[updraft::data]
pub struct Order {
    /// Chosen by the customer, so that placing it twice is placing it once.
    pub id: String,
    pub sku: String,
    pub quantity: u32,
}

/// How far an order has come. It only goes forwards, from each to one below: what failed may be shipped after all, and what
/// is shipped stays so.
#[updraft::data]
#[derive(PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Placed,
    Failed,
    Shipped,
}

/// What a customer is told.
#[updraft::data]
pub struct Receipt {
    pub id: String,
    pub status: Status,
}

/// Orders that wait to be shipped.
#[queue(message = Order)]
pub struct Orders;

/// How far each order has come, by its id.
#[store(key = String, value = Status)]
pub struct Progress;

/// Takes an order; shipping it is the queue's business.
#[http(post, "/orders")]
async fn place_order(
    orders: Queue<Orders>,
    progress: Store<Progress, WriteOnly>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Receipt>)> {
    progress.insert_new(&order.id, &Status::Placed).await?;
    orders.send(&order).await?;
    Ok((StatusCode::ACCEPTED, Json(Receipt { id: order.id, status: Status::Placed })))
}

/// Tells how far an order has come.
#[http(get, "/orders/{id}")]
async fn get_order(Path(id): Path<String>, progress: Store<Progress, ReadOnly>) -> Result<Json<Receipt>> {
    let status = progress.get(&id).await?;
    let status = status.ok_or_else(|| Error::new("no such order").with_status(StatusCode::NOT_FOUND))?;
    Ok(Json(Receipt { id, status }))
}

/// Ships an order, at least once: a message may come again, so each step does no harm the second time.
#[consumer(Orders, retries = 5, timeout = "30s")]
async fn ship(
    order: Order,
    progress: Store<Progress>,
    stock: Store<Stock>,
    shipped: Topic<Shipped>,
    warehouse: Config<Warehouse>,
) -> Result<()> {
    if progress.get(&order.id).await? == Some(Status::Shipped) {
        return Ok(());
    }
    if !reserve(&stock, &order, warehouse.initial).await? {
        if advance(&progress, &order.id, Status::Failed).await? == Status::Shipped {
            return Ok(());
        }
        let Order { id, sku, quantity } = order;
        return Err(Error::permanent(format!("order {id}: {quantity} × {sku} are more than there are")));
    }
    let shipment = Shipment { order: order.id.clone(), sku: order.sku, quantity: order.quantity };
    shipped.publish(&shipment).await?;
    advance(&progress, &order.id, Status::Shipped).await?;
    Ok(())
}

/// Notes that an order has come so far, unless it is further already; where it is then.
///
/// A delivery may be slow, and another one of the same message overtake it: by the time that this one has found too little
/// on the shelf, there was more and the other has shipped the order. So it doesn't write what it thinks, but what follows
/// from what is there.
async fn advance(progress: &Store<Progress>, order: &String, to: Status) -> Result<Status> {
    Ok(progress.update(order, |now| now.map_or(to.clone(), |now| now.max(to.clone()))).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft::test;

    /// A handler is a function: a test calls it, with capabilities of its own.
    #[tokio::test]
    async fn an_order_that_comes_again_is_not_shipped_again() {
        let (progress, stock) = (test::store::<Progress>(), test::store::<Stock>());
        let (shipped, published) = test::topic::<Shipped>();
        let warehouse = test::config(Warehouse { initial: 5 });
        let order = Order { id: "1".into(), sku: "tea".into(), quantity: 2 };
        for _ in 0..2 {
            ship(order.clone(), progress.clone(), stock.clone(), shipped.clone(), warehouse.clone()).await.unwrap();
        }
        assert_eq!(published.messages().len(), 1);
        assert_eq!(stock.get("tea").await.unwrap().unwrap().left, 3);
    }

    /// Which chaos finds too, and this shows.
    #[tokio::test]
    async fn a_delivery_that_comes_too_late_takes_nothing_back() {
        let progress = test::store::<Progress>();
        for (to, now) in [
            (Status::Placed, Status::Placed),
            (Status::Failed, Status::Failed),
            (Status::Shipped, Status::Shipped),
            (Status::Failed, Status::Shipped),
        ] {
            assert!(advance(&progress, &"1".into(), to).await.unwrap() == now);
            assert!(progress.get("1").await.unwrap() == Some(now));
        }
    }
}
