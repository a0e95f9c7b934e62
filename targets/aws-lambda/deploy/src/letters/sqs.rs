//! What is asked of SQS.

use super::HIDDEN;
use super::letter::Letter;
use crate::client::{Client, Service};
use crate::error::Result;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Messages of one request: SQS's limit.
const BATCH: usize = 10;
/// For so long SQS waits for a message, in seconds: with none it looks at a part of its servers alone.
const WAIT_SECONDS: u32 = 1;

/// SQS, by the URLs of queues.
pub(super) struct Sqs<'a>(pub(super) &'a Client);

impl Sqs<'_> {
    async fn ask(&self, action: &'static str, content: Value) -> Result<Value> {
        self.0.json(Service::Sqs, action, &content).await
    }

    /// Some of what is in a queue, hidden from others.
    pub(super) async fn receive(&self, url: &str, fifo: bool) -> Result<Vec<Letter>> {
        let mut content = json!({
            "QueueUrl": url, "MaxNumberOfMessages": BATCH, "VisibilityTimeout": HIDDEN.as_secs(),
            "WaitTimeSeconds": WAIT_SECONDS, "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        if fifo {
            // Asked again, it hands out the same ones.
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            content["ReceiveRequestAttemptId"] = format!("updraft-{}-{}", std::process::id(), now.as_nanos()).into();
        }
        let answer = self.ask("ReceiveMessage", content).await?;
        Ok(answer["Messages"].as_array().into_iter().flatten().map(Letter::of).collect())
    }

    /// Puts a message into a queue.
    pub(super) async fn send(&self, url: &str, message: &Value) -> Result<()> {
        let mut content = message.clone();
        content["QueueUrl"] = url.into();
        self.ask("SendMessage", content).await.map(drop)
    }

    /// Deletes what was received.
    pub(super) async fn delete(&self, url: &str, receipt: &str) -> Result<()> {
        self.ask("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": receipt })).await.map(drop)
    }

    /// Lets others see what was received. What can't be is seen when its time is over.
    pub(super) async fn show_again(&self, url: &str, letters: &[Letter]) {
        for batch in letters.chunks(BATCH) {
            let entry = |(at, letter): (usize, &Letter)| json!({ "Id": at.to_string(), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0 });
            let entries: Vec<Value> = batch.iter().enumerate().map(entry).collect();
            let shown = self.ask("ChangeMessageVisibilityBatch", json!({ "QueueUrl": url, "Entries": entries })).await;
            drop(shown);
        }
    }

    /// How many messages a queue has that are not hidden, about.
    pub(super) async fn waiting(&self, url: &str) -> Result<u64> {
        let name = "ApproximateNumberOfMessages";
        let answer = self.ask("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": [name] })).await?;
        Ok(answer["Attributes"][name].as_str().and_then(|number| number.parse().ok()).unwrap_or_default())
    }
}
