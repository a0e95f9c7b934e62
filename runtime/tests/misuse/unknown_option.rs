//! A misspelt option is refused, with what was probably meant; and nothing else is reported.
use updraft::prelude::*;

#[queue(message = String)]
struct Orders;

#[consumer(Orders, retires = 3)] //~ [retires] `#[consumer]` has no option `retires`; did you mean `retries`?
async fn ship(_order: String) -> Result<()> {
    Ok(())
}

#[http(get, "/", retries = 3)] //~ [retries] `#[http]` has no option `retries`; the options here are `timeout`, `body` and `name`
async fn index() -> String {
    String::new()
}

#[queue(mesage = String)] //~ [mesage] `#[queue]` has no option `mesage`; did you mean `message`?
struct Misspelt;

#[http(post, "/misspelt")]
async fn send(queue: Queue<Misspelt>) -> Result<()> {
    queue.send(&String::new()).await?;
    Ok(())
}
