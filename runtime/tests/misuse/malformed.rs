//! Values that can't be read, each at its own tokens, all at once.
use updraft::prelude::*;

#[schedule("0 25 * * *", timezone = "Berlin")]
//~^ ["0 25 * * *"] `25` is no hour; it is a number from 0 to 23
//~^ ["Berlin"] there is no time zone `Berlin`
async fn nightly() -> Result<()> {
    Ok(())
}

#[schedule("0 0 30 2 *")] //~ ["0 0 30 2 *"] there is no such day: `30 2`
async fn never() -> Result<()> {
    Ok(())
}

#[http(get, "/orders/:id", timeout = "30")]
//~^ ["/orders/:id"] parts of a route are written in braces; write `{id}`
//~^ ["30"] `30` is no duration
async fn order(Path(_id): Path<String>) -> String {
    String::new()
}
