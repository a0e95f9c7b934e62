//! What `#[object]` needs: a bucket, an event, an `Object`.
use updraft::prelude::*;

#[bucket]
struct Uploads;

#[queue(message = String)]
struct Orders;

#[object(Uploads, deleted)] //~ [deleted] `deleted` is nothing that happens to an object; it is `created` or `removed`
async fn gone(object: Object) -> Result<()> {
    Ok(())
}

#[object(Uploads)] //~ [#[object(Uploads)]] `#[object]` needs an event
async fn always(object: Object) -> Result<()> {
    Ok(())
}

#[object(Uploads, created)]
async fn nothing() -> Result<()> { //~ [nothing] the message is the first parameter; it tells of the blob, and its type is `Object`
    Ok(())
}

#[object(Uploads, created)] //~ [Uploads] `Uploads` does not tell of its objects by a `String`
async fn key(object: String) -> Result<()> {
    let _ = object;
    Ok(())
}

#[object(Orders, created)] //~ [Orders] `Orders` does not tell of its objects by a `updraft::Object`
async fn ordered(object: Object) -> Result<()> {
    let _ = object;
    Ok(())
}
