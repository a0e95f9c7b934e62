//! `Queue<Stock>`, where `Stock` is a store.
use updraft::prelude::*;

#[store(key = String, value = u32)]
struct Stock;

#[http(post, "/")]
async fn http(_stock: Queue<Stock>) -> Result<()> { //~ [Queue<Stock>] `Stock` is no queue
    Ok(())
}

#[schedule("0 3 * * *")]
async fn schedule(_stock: Bucket<Stock>) -> Result<()> { //~ [Bucket<Stock>] `Stock` is no bucket
    Ok(())
}

#[http(post, "/access")]
async fn access(_stock: Store<Stock, Read>) -> Result<()> { //~ [Read] `Read` is no access; did you mean `ReadOnly`? There are `ReadOnly`, `WriteOnly` and `ReadWrite`
    Ok(())
}
