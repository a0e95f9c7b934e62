//! Reports: what was left at the end of each day.

use crate::warehouse::Stock;
use updraft::prelude::*;

/// One file a night, for whoever orders new stock.
#[bucket(external = "read")]
pub struct Reports;

/// Writes down what is left of each item.
#[schedule("0 3 * * *", timezone = "Europe/Berlin")]
async fn nightly_report(tick: Tick, stock: Store<Stock, ReadOnly>, reports: Bucket<Reports, WriteOnly>) -> Result<()> {
    let mut report = String::from("sku,left\n");
    let mut shelves = stock.scan(()).all().await?;
    shelves.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (sku, shelf) in shelves {
        report.push_str(&format!("{sku},{}\n", shelf.left));
    }
    let day = tick.scheduled.strftime("%Y-%m-%d");
    reports.put_as(&format!("stock/{day}.csv"), "text/csv", report).await?;
    Ok(())
}
