//! Beyond what a parameter says: writing through `ReadOnly`, reading through `WriteOnly`.
use updraft::prelude::*;

#[store(key = String, value = u32)]
struct Stock;

#[bucket]
struct Reports;

#[http(post, "/")]
async fn writes(stock: Store<Stock, ReadOnly>) -> Result<()> {
    stock.put("tea", &1).await?; //~ [put] this is taken as `updraft::ReadOnly`: it can't be written
    Ok(())
}

#[http(get, "/")]
async fn reads(reports: Bucket<Reports, WriteOnly>) -> Result<()> {
    reports.get("today").await?; //~ [get] this is taken as `updraft::WriteOnly`: it can't be read
    Ok(())
}
