//! Numbers and texts that AWS does not take, or that do not do what was meant.

use crate::{By, Damage};
use serde_json::json;

pub(crate) fn damages() -> Vec<Damage> {
    let queue = |fifo: bool| json!({ "FifoQueue": fifo });
    vec![
        ("too much memory", "ShopOrdersShipFunction/MemorySize", Some(json!(20_000)), By::Us("values/memory")),
        ("a batch without a window", "OrdersQueueMapping/BatchSize", Some(json!(100)), By::Us("values/batch")),
        (
            "an hour that there is not",
            "{NIGHT}Schedule/ScheduleExpression",
            Some(json!("cron(0 25 * * ? *)")),
            By::Us("values/schedule"),
        ),
        (
            "two days at once",
            "{NIGHT}Schedule/ScheduleExpression",
            Some(json!("cron(0 3 1 * 1 *)")),
            By::Us("values/schedule"),
        ),
        (
            "a plural of one",
            "{NIGHT}Schedule/ScheduleExpression",
            Some(json!("rate(1 minutes)")),
            By::Us("values/schedule"),
        ),
        (
            "too many tries",
            "{NIGHT}Schedule/Target/RetryPolicy/MaximumRetryAttempts",
            Some(json!(1_000)),
            By::Us("values/schedule"),
        ),
        (
            "a method that there is not",
            "PostOrdersXba02d310Route/RouteKey",
            Some(json!("GETT /x")),
            By::Us("values/route"),
        ),
        (
            "a rest in the middle",
            "PostOrdersXba02d310Route/RouteKey",
            Some(json!("GET /{a+}/x")),
            By::Us("values/route"),
        ),
        ("a route twice", "PostOrdersXba02d310Route/RouteKey", Some(json!("GET /orders/{id}")), By::Us("values/route")),
        (
            "hidden for five times as long",
            "OrdersQueue/VisibilityTimeout",
            Some(json!(150)),
            By::Us("values/visibility"),
        ),
        ("no receives", "OrdersQueue/RedrivePolicy/maxReceiveCount", Some(json!(0)), By::Us("values/redrive")),
        ("a queue in the clear", "OrdersQueue/SqsManagedSseEnabled", Some(json!(false)), By::Us("values/encryption")),
        ("dead letters of another kind", "{SHIP}DeadLetters", Some(queue(true)), By::Us("values/fifo")),
        ("ticks without a group", "{NIGHT}Schedule/Target/SqsParameters", None, By::Us("values/fifo")),
        ("a topic's queue with an order", "{MAIL}Inbox/FifoQueue", Some(json!(true)), By::Us("values/fifo")),
        ("lost ticks in order", "UndeliveredTicks/FifoQueue", Some(json!(true)), By::Us("values/fifo")),
        ("all of a batch again", "OrdersQueueMapping/FunctionResponseTypes", None, By::Us("values/batch")),
        (
            "an envelope round a message",
            "{MAIL}Subscription/RawMessageDelivery",
            Some(json!(false)),
            By::Us("values/subscription"),
        ),
        (
            "another payload",
            "ShopOrdersPlaceOrderIntegration/PayloadFormatVersion",
            Some(json!("1.0")),
            By::Us("values/payload"),
        ),
        (
            "an API that waits a minute",
            "ShopOrdersPlaceOrderIntegration/TimeoutInMillis",
            Some(json!(60_000)),
            By::Us("values/timeout"),
        ),
        ("a table that goes", "/Resources/StockTable/DeletionPolicy", None, By::Us("values/kept")),
        (
            "a bucket that goes",
            "/Resources/ReportsBucket/UpdateReplacePolicy",
            Some(json!("Delete")),
            By::Us("values/kept"),
        ),
        (
            "a function that knows no unit",
            "ShopOrdersShipFunction/Environment/Variables/UPDRAFT_UNIT",
            None,
            By::Us("values/environment"),
        ),
        (
            "too large an environment",
            "ShopOrdersShipFunction/Environment/Variables/X",
            Some(json!("x".repeat(4_000))),
            By::Us("limits/environment"),
        ),
        (
            "a policy of too many words",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Sid",
            Some(json!("x".repeat(8_192))),
            By::Us("limits/policy"),
        ),
        (
            "a role of too many words",
            "ShopOrdersShipRole/Policies/0/PolicyDocument/Statement/@Logs/Sid",
            Some(json!("x".repeat(10_000))),
            By::Us("limits/policy"),
        ),
    ]
}
