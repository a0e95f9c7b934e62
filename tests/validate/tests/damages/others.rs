//! What other people's programs know better, and what one would think they do.

use crate::{By, Damage, get};
use serde_json::json;

pub(crate) fn damages() -> Vec<Damage> {
    vec![
        ("too long a timeout", "ShopOrdersShipFunction/Timeout", Some(json!(2_000)), By::Lint("E3717")),
        ("no such architecture", "ShopOrdersShipFunction/Architectures/0", Some(json!("arm")), By::Lint("E3030")),
        ("no such runtime", "ShopOrdersShipFunction/Runtime", Some(json!("provided.al2024")), By::Lint("E3030")),
        (
            "a variable of Lambda's own",
            "ShopOrdersShipFunction/Environment/Variables/AWS_REGION",
            Some(json!("x")),
            By::Lint("E3663"),
        ),
        ("a misspelt property", "ShopOrdersShipFunction/Timeou", Some(json!(3)), By::Lint("E3002")),
        ("no code", "ShopOrdersShipFunction/Code", None, By::Lint("E3003")),
        (
            "hidden for less than it takes",
            "OrdersQueue/VisibilityTimeout",
            Some(json!(10)),
            By::Us("values/visibility"),
        ),
        (
            "one at a time",
            "OrdersQueueMapping/ScalingConfig",
            Some(json!({ "MaximumConcurrency": 1 })),
            By::Lint("E3034"),
        ),
        (
            "a window of an hour",
            "OrdersQueueMapping/MaximumBatchingWindowInSeconds",
            Some(json!(3_600)),
            By::Lint("E3034"),
        ),
        ("logs for ten days", "ShopOrdersShipLogs/RetentionInDays", Some(json!(10)), By::Lint("E3030")),
        ("a bill of another kind", "StockTable/BillingMode", Some(json!("FREE")), By::Lint("E3030")),
        ("a key that is not described", "StockTable/KeySchema/0/AttributeName", Some(json!("q")), By::Lint("E3039")),
        (
            "a protocol that there is not",
            "{MAIL}Subscription/Protocol",
            Some(json!("queue")),
            By::Us("values/subscription"),
        ),
        ("no such type", "/Resources/OrdersQueue/Type", Some(json!("AWS::SQS::Queues")), By::Lint("E3006")),
        ("kept for ever", "OrdersQueue/MessageRetentionPeriod", Some(json!(2_000_000)), By::Lint("E3034")),
        ("a function without traces", "ShopOrdersShipFunction/TracingConfig", None, By::Lint("WS1000")),
        ("an API without an access log", "HttpStage/AccessLogSettings", None, By::Lint("ES2000")),
        ("an API without a throttle", "HttpStage/DefaultRouteSettings", None, By::Lint("ES2003")),
        ("a table without backups", "StockTable/PointInTimeRecoverySpecification", None, By::Checkov("CKV_AWS_28")),
        ("a bucket for everybody", "ReportsBucket/PublicAccessBlockConfiguration", None, By::Checkov("CKV_AWS_53")),
        ("a bucket that forgets", "ReportsBucket/VersioningConfiguration", None, By::Checkov("CKV_AWS_21")),
        ("a topic in the clear", "ShippedTopic/KmsMasterKeyId", None, By::Checkov("CKV_AWS_26")),
        ("logs for ever", "ShopOrdersShipLogs/RetentionInDays", None, By::Checkov("CKV_AWS_66")),
        (
            "an action that there is not",
            "{ship}/@OrdersQueueConsume/Action/0",
            Some(json!("sqs:TakeMessage")),
            By::Parliament("UNKNOWN_ACTION"),
        ),
        (
            "objects of no bucket",
            "{ship}/@ShippedTopicWrite",
            Some(json!({ "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [get("ReportsBucket", "Arn")] })),
            By::Parliament("RESOURCE_MISMATCH"),
        ),
        (
            "a condition that there is not",
            "{inbox}/Statement/0/Condition/ArnIs",
            Some(json!({ "aws:SourceArn": "x" })),
            By::Parliament("UNKNOWN_OPERATOR"),
        ),
        ("a policy's language", "{inbox}/Version", Some(json!("2020-01-01")), By::Parliament("INVALID_VERSION")),
    ]
}
