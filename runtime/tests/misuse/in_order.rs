//! A store that was not declared with a partition, nor with a life for its entries.
use std::time::Duration;
use updraft::prelude::*;

#[store(key = String, value = u32)]
struct Stock;

#[http(get, "/")]
async fn list(stock: Store<Stock>) -> Result<()> {
    stock.in_order("room").all().await?; //~ [in_order] `Stock` has no partitions to be in order
    Ok(())
}

#[http(post, "/")]
async fn lend(stock: Store<Stock>) -> Result<()> {
    stock.put_for("tea", &1, Duration::from_secs(60)).await?; //~ [put_for] entries of `Stock` live for ever
    Ok(())
}
