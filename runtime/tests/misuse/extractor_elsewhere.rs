//! An `#[extractor]`'s type is for `#[http]` handlers: a message has no request to read.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

struct User;

#[extractor]
async fn user(headers: HeaderMap) -> Result<User> {
    let _ = headers;
    Ok(User)
}

#[consumer(Orders)]
async fn consume(_order: String, _user: User) -> Result<()> { //~ [User] `User` can't be a parameter here
    Ok(())
}
