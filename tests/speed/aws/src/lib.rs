//! Writes to a table and sends to a queue, as often as it is asked to: what is measured is AWS's client.

use updraft::prelude::*;

/// What is written and sent.
#[updraft::data]
pub struct Item {
    /// Its number.
    pub number: u32,
    /// What it is.
    pub name: String,
}

/// Items, by their numbers.
#[store(key = u32, value = Item, external = "read")]
pub struct Items;

/// What is to be done.
#[queue(message = Item)]
pub struct Jobs;

fn item(number: u32) -> Item {
    Item { number, name: format!("item {number}") }
}

/// Puts so many, one after the other.
#[http(post, "/items/{count}")]
async fn put(Path(count): Path<u32>, items: Store<Items, WriteOnly>) -> Result<String> {
    for number in 0..count {
        items.put(&number, &item(number)).await?;
    }
    Ok(count.to_string())
}

/// Sends so many, one after the other.
#[http(post, "/jobs/{count}")]
async fn send(Path(count): Path<u32>, jobs: Queue<Jobs>) -> Result<String> {
    for number in 0..count {
        jobs.send(&item(number)).await?;
    }
    Ok(count.to_string())
}

/// Takes them.
#[consumer(Jobs)]
async fn work(job: Item) -> Result<()> {
    let _ = job;
    Ok(())
}
