//! A small application: as few engines as there can be, so that what is measured is the way of a request and of a call.

use std::time::Instant;
use updraft::prelude::*;

/// What is echoed.
#[updraft::data]
pub struct Job {
    /// Its name.
    pub name: String,
    /// What to do.
    pub act: String,
    /// Where.
    pub region: String,
}

/// Words.
#[config]
pub struct Words {
    /// Said first.
    #[default("hello".to_owned())]
    pub greeting: String,
}

/// A plain answer.
#[http(get, "/hello/{name}")]
async fn hello(Path(name): Path<String>, words: Config<Words>) -> String {
    format!("{}, {name}", words.greeting)
}

/// Gives a job back.
#[http(post, "/echo")]
async fn echo(Json(job): Json<Job>) -> Json<Job> {
    Json(job)
}

/// One more.
#[function]
async fn next(number: u64) -> Result<u64, Error> {
    Ok(plainly(number).await)
}

#[inline(never)]
async fn plainly(number: u64) -> u64 {
    std::hint::black_box(number.wrapping_add(1))
}

/// Nanoseconds that a function call in this process takes, and a plain one: means over so many of each.
#[http(get, "/calls/{times}")]
async fn calls(Path(times): Path<u64>, next: Function<next>) -> Result<String, Error> {
    let (started, mut number) = (Instant::now(), 0);
    for _ in 0..times {
        number = next.call(number).await?;
    }
    let called = started.elapsed();
    let started = Instant::now();
    for _ in 0..times {
        number = plainly(number).await;
    }
    let plain = started.elapsed();
    let each = |all: std::time::Duration| all.as_nanos() as f64 / times.max(1) as f64;
    Ok(format!("{:.1} {:.1}", each(called), each(plain)))
}
