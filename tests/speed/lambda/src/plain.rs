//! The routes of tests/speed by hand on `lambda_runtime`: the least that answers them. With `CAREFUL=1` also an end with a
//! signal, which Updraft has anyway.

mod gateway;

use gateway::{Answer, Request};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Job {
    name: String,
    act: String,
    region: String,
}

fn answer(greeting: &str, request: &Request) -> Result<Answer, Error> {
    let path = request.raw_path.as_str();
    match (request.method(), path.strip_prefix("/hello/")) {
        ("GET", Some(name)) => Ok(Answer::text(format!("{greeting}, {name}"))),
        ("POST", None) if path == "/echo" => {
            let job: Job = serde_json::from_str(request.body.as_deref().unwrap_or_default())?;
            Ok(Answer::json(serde_json::to_string(&job)?))
        }
        _ => Ok(Answer::not_found()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    if std::env::var_os("CAREFUL").is_some() {
        lambda_runtime::spawn_graceful_shutdown_handler(|| async {}).await;
    }
    let greeting = "hello".to_owned();
    run(service_fn(|event: LambdaEvent<Request>| {
        let greeting = greeting.as_str();
        async move { answer(greeting, &event.payload) }
    }))
    .await
}
