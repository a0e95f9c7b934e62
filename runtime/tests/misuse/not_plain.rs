//! Handlers that are sync, generic, borrowing, or methods.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[http(get, "/sync")]
fn sync() -> String { //~ [fn] a handler is an `async fn`
    String::new()
}

#[consumer(Orders)]
async fn generic<T: Into<String>>(_order: T) -> Result<()> { //~ [<T: Into<String>>] a handler has no generics: nobody would choose them
    Ok(())
}

#[consumer(Orders)]
async fn opaque(_order: impl Into<String>) -> Result<()> { //~ [impl Into<String>] a handler has no generics: nobody would choose the type
    Ok(())
}

#[consumer(Orders)]
async fn borrowed(_order: &str) -> Result<()> { //~ [&str] a handler owns its parameters: there is nobody to borrow from
    Ok(())
}

struct Shop;

impl Shop {
    #[http(get, "/method")]
    async fn method(&self) -> String { //~ [&self] a handler is a free function
        String::new()
    }
}

#[consumer(Orders)]
async fn late(_orders: Queue<Orders>, _order: String) -> Result<()> { //~ [Queue<Orders>] the message is the first parameter
    Ok(())
}

#[consumer(Orders)]
async fn none() -> Result<()> { //~ [none] the message is the first parameter
    Ok(())
}
