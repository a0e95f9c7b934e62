//! Queues: a declared one, the inbox of a handler that something else than a queue runs, and both's dead letters.

use super::iam::{Document, Statement, from_source};
use crate::capabilities::MOST_RECEIVES;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_model::Resource;

/// The longest that SQS keeps a message, in seconds: 14 days.
const RETENTION_SECONDS: u32 = 14 * 86_400;
/// A message is hidden for so many times as long as the function may take: AWS's advice, since a batch may wait for a free
/// invocation first.
const VISIBILITY_TIMEOUTS: u32 = 6;

/// `AWS::SQS::Queue`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Queue {
    message_retention_period: u32,
    sqs_managed_sse_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility_timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive_policy: Option<Redrive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fifo_queue: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_based_deduplication: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fifo_throughput_limit: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: Text,
    max_receive_count: u32,
}

/// What a queue promises beyond delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    None,
    /// The messages of a group one at a time, in order.
    Groups,
    /// No id twice within five minutes, in the whole queue; and what [`Order::Groups`] does.
    Ids,
    /// One message at a time, and none of the same contents within five minutes.
    Ticks,
}

impl Order {
    /// Of a declared queue.
    pub(crate) fn of(queue: &Resource) -> Self {
        let has = |option: &str| queue.options.get(option).is_some_and(|value| value != "false");
        if has("dedup") {
            Order::Ids
        } else if has("ordered") {
            Order::Groups
        } else {
            Order::None
        }
    }

    /// Whether the queue is a FIFO queue.
    pub(crate) fn is_fifo(self) -> bool {
        self != Order::None
    }
}

impl Properties for Queue {
    const TYPE: &'static str = "AWS::SQS::Queue";
}

impl Queue {
    /// For dead letters of a queue: SQS wants both to be of one type.
    pub(crate) fn dead_letters(order: Order) -> Self {
        let order = if order.is_fifo() { Order::Groups } else { Order::None };
        Queue::new(order)
    }

    /// One that nobody in the application takes from.
    pub(crate) fn new(order: Order) -> Self {
        let fifo = order.is_fifo();
        Queue {
            message_retention_period: RETENTION_SECONDS,
            sqs_managed_sse_enabled: true,
            visibility_timeout: None,
            redrive_policy: None,
            fifo_queue: fifo.then_some(true),
            content_based_deduplication: fifo.then_some(order == Order::Ticks),
            deduplication_scope: fifo.then_some(if order == Order::Ids { "queue" } else { "messageGroup" }),
            fifo_throughput_limit: fifo.then_some(if order == Order::Ids { "perQueue" } else { "perMessageGroupId" }),
        }
    }

    /// One that a function takes from, `batch` messages at a time. It may take `timeout` seconds and waits `window` seconds
    /// for them.
    ///
    /// What a message of a FIFO queue's batch holds back is received with it and not tried, so SQS must bear that many more
    /// receives before it takes a message away that the runtime has not given up.
    pub(crate) fn taken(
        self,
        timeout: u32,
        (batch, window): (u32, u32),
        retries: u32,
        dead_letters: &Id<Queue>,
    ) -> Self {
        let held_back = if self.fifo_queue == Some(true) { batch } else { 1 };
        Queue {
            visibility_timeout: Some(timeout * VISIBILITY_TIMEOUTS + window),
            redrive_policy: Some(Redrive {
                dead_letter_target_arn: dead_letters.arn(),
                max_receive_count: retries.saturating_add(1).saturating_mul(held_back).min(MOST_RECEIVES),
            }),
            ..self
        }
    }
}

impl Id<Queue> {
    pub(crate) fn url(&self) -> Text {
        self.reference()
    }

    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}

/// `AWS::SQS::QueuePolicy`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueuePolicy {
    queues: [Text; 1],
    policy_document: Document,
}

impl Properties for QueuePolicy {
    const TYPE: &'static str = "AWS::SQS::QueuePolicy";
}

impl QueuePolicy {
    /// Lets a service of AWS's send to the queue for one source.
    pub(crate) fn new(queue: &Id<Queue>, service: &'static str, source: Text) -> Self {
        let statement = Statement::service(service, "sqs:SendMessage", Some(queue.arn()), from_source(source));
        QueuePolicy { queues: [queue.url()], policy_document: Document::new(vec![statement]) }
    }
}
