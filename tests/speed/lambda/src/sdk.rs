//! The routes of tests/speed/aws by hand: `lambda_runtime`, and AWS's own clients with as few features as there can be.

mod gateway;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use gateway::{Answer, Request};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use serde::Serialize;

#[derive(Serialize)]
struct Item {
    number: u32,
    name: String,
}

struct Clients {
    items: aws_sdk_dynamodb::Client,
    table: String,
    jobs: aws_sdk_sqs::Client,
    queue: String,
}

fn json(number: u32) -> Result<String, Error> {
    Ok(serde_json::to_string(&Item { number, name: format!("item {number}") })?)
}

async fn answer(clients: &Clients, request: &Request) -> Result<Answer, Error> {
    let mut path = request.raw_path.trim_start_matches('/').split('/');
    let (what, count) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    let count: u32 = count.parse()?;
    for number in 0..count {
        match what {
            "items" => {
                let put = clients.items.put_item().table_name(&clients.table);
                let put = put.item("p", AttributeValue::B(Blob::new([&b"k"[..], &number.to_be_bytes()].concat())));
                let put = put.item("v", AttributeValue::B(Blob::new(json(number)?)));
                put.send().await?;
            }
            "jobs" => {
                clients.jobs.send_message().queue_url(&clients.queue).message_body(json(number)?).send().await?;
            }
            _ => return Ok(Answer::not_found()),
        }
    }
    Ok(Answer::text(count.to_string()))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::from_env().http_client(http).load().await;
    let name = |variable: &str| std::env::var(variable).unwrap_or_default();
    let clients = Clients {
        items: aws_sdk_dynamodb::Client::new(&config),
        table: name("TABLE"),
        jobs: aws_sdk_sqs::Client::new(&config),
        queue: name("QUEUE"),
    };
    let clients = &clients;
    run(service_fn(|event: LambdaEvent<Request>| async move { answer(clients, &event.payload).await })).await
}
