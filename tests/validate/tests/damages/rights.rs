//! Rights that are missing, and others that nobody needs.

use crate::{By, Damage, KEY, get, named};
use serde_json::{Value, json};

pub(crate) fn damages() -> Vec<Damage> {
    let send = |arn: Value| json!({ "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": [arn] });
    let allow = |action: &str, arn: Value| json!({ "Effect": "Allow", "Action": [action], "Resource": [arn] });
    let trust = |service: &str| {
        json!({ "Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": { "Service": service },
            "Condition": { "StringEquals": { "aws:SourceAccount": named("AWS::AccountId") } } })
    };
    let rule = json!({ "Type": "AWS::Events::Rule", "Properties": { "ScheduleExpression": "rate(5 minutes)", "Targets": [
        { "Id": "a", "Arn": get("ShopOrdersShipAlias", "Arn"), "DeadLetterConfig": { "Arn": get("UndeliveredTicks", "Arn") } }] } });
    let told =
        json!({ "QueueConfigurations": [{ "Event": "s3:ObjectCreated:*", "Queue": get("OrdersQueue", "Arn") }] });
    vec![
        ("a poller that may not receive", "{ship}/@OrdersQueueConsume", None, By::Us("grants/poller")),
        ("a poller that may not hide", "{ship}/@OrdersQueueConsume/Action/3", None, By::Us("grants/poller")),
        (
            "a poller of the dead letters",
            "{ship}/@OrdersQueueConsume/Resource/0",
            Some(get("{SHIP}DeadLetters", "Arn")),
            By::Us("grants/poller"),
        ),
        (
            "a poller of every queue",
            "{ship}/@OrdersQueueConsume/Resource/0",
            Some(json!("*")),
            By::Us("grants/wildcard"),
        ),
        ("all that SQS can", "{ship}/@OrdersQueueConsume/Action/0", Some(json!("sqs:*")), By::Us("grants/wildcard")),
        (
            "all that begins so",
            "{ship}/@StockTableWrite/Action/0",
            Some(json!("dynamodb:Put*")),
            By::Us("grants/wildcard"),
        ),
        (
            "any table",
            "{ship}/@StockTableWrite/Resource/0",
            Some(json!({ "Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*" })),
            By::Us("grants/wildcard"),
        ),
        ("a topic that it may not publish to", "{ship}/@ShippedTopicWrite", None, By::Us("grants/told")),
        ("dead letters that it may not keep", "{ship}/@{SHIP}DeadLettersWrite", None, By::Us("grants/told")),
        (
            "a secret that it may not read",
            "ShopMailEmailCustomerRole/Policies/0/PolicyDocument/Statement/@MailerKeySecretRead",
            None,
            By::Us("grants/told"),
        ),
        (
            "a call past the alias",
            "ShopPricingGetQuoteRole/Policies/0/PolicyDocument/Statement/@ShopPricingQuoteAliasCall/Resource/0",
            Some(get("ShopPricingQuoteFunction", "Arn")),
            By::Us("grants/told"),
        ),
        (
            "a right that nobody uses",
            "{ship}/-",
            Some(allow("s3:PutObject", json!({ "Fn::Sub": "${TrailBucket.Arn}/*" }))),
            By::Us("grants/unneeded"),
        ),
        (
            "a right to delete the table",
            "{ship}/-",
            Some(allow("dynamodb:DeleteTable", get("StockTable", "Arn"))),
            By::Us("grants/unneeded"),
        ),
        (
            "a right of another service",
            "{ship}/@StockTableWrite/Resource/0",
            Some(get("OrdersQueue", "Arn")),
            By::Us("grants/service"),
        ),
        (
            "everything there is",
            "ShopOrdersShipRole/ManagedPolicyArns",
            Some(json!(["arn:aws:iam::aws:policy/AdministratorAccess"])),
            By::Us("grants/unneeded"),
        ),
        (
            "a role for two",
            "ShopOrdersShipFunction/Role",
            Some(get("ShopPricingQuoteRole", "Arn")),
            By::Us("grants/unneeded"),
        ),
        ("no line in the log", "{ship}/@Logs", None, By::Us("grants/logs")),
        (
            "lines in another's log",
            "{ship}/@Logs/Resource/0",
            Some(get("AuditRecordLogs", "Arn")),
            By::Us("grants/logs"),
        ),
        ("a log that nobody made", "ShopOrdersShipFunction/LoggingConfig", None, By::Us("grants/logs")),
        (
            "an access log in a table",
            "HttpStage/AccessLogSettings/DestinationArn",
            Some(get("StockTable", "Arn")),
            By::Us("arn"),
        ),
        ("no traces", "{ship}/@Traces", None, By::Us("grants/traces")),
        (
            "a role that Lambda may not take on",
            "ShopOrdersShipRole/AssumeRolePolicyDocument/Statement/0",
            Some(trust("scheduler.amazonaws.com")),
            By::Us("grants/trust"),
        ),
        ("a queue without dead letters", "OrdersQueue/RedrivePolicy", None, By::Us("grants/dead-letters")),
        (
            "where failures may not go",
            "OrdersQueueMapping/DestinationConfig",
            Some(json!({ "OnFailure": { "Destination": get("UndeliveredTicks", "Arn") } })),
            By::Us("grants/destination"),
        ),
        ("an API that is not let in", "/Resources/ShopOrdersPlaceOrderPermission", None, By::Us("grants/invoke")),
        (
            "an API let in past the alias",
            "ShopOrdersPlaceOrderPermission/FunctionName",
            Some(named("ShopOrdersPlaceOrderFunction")),
            By::Us("grants/invoke"),
        ),
        (
            "another service let in",
            "ShopOrdersPlaceOrderPermission/Principal",
            Some(json!("sns.amazonaws.com")),
            By::Us("grants/invoke"),
        ),
        (
            "any API let in",
            "ShopOrdersPlaceOrderPermission/SourceArn",
            Some(json!("arn:aws:execute-api:*")),
            By::Us("grants/wildcard"),
        ),
        ("whoever asks by the API", "ShopOrdersPlaceOrderPermission/SourceArn", None, By::Us("grants/source")),
        (
            "more than to invoke",
            "ShopOrdersPlaceOrderPermission/Action",
            Some(json!("lambda:*")),
            By::Us("grants/wildcard"),
        ),
        ("a topic that is not let in", "/Resources/{MAIL}InboxPolicy", None, By::Us("grants/delivery")),
        ("dead letters of a topic not let in", "/Resources/{MAIL}DeadLettersPolicy", None, By::Us("grants/delivery")),
        (
            "another service let in to a queue",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Principal/Service",
            Some(json!("events.amazonaws.com")),
            By::Us("grants/delivery"),
        ),
        (
            "another topic let in",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Condition/ArnEquals/aws:SourceArn",
            Some(get("OrdersQueue", "Arn")),
            By::Us("grants/delivery"),
        ),
        (
            "to take and not to send",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Action",
            Some(json!("sqs:ReceiveMessage")),
            By::Us("grants/delivery"),
        ),
        (
            "every topic there is",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Condition",
            None,
            By::Us("grants/source"),
        ),
        (
            "topics of any account",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Condition/StringEquals",
            None,
            By::Us("grants/source"),
        ),
        (
            "anyone",
            "{MAIL}InboxPolicy/PolicyDocument/Statement/0/Principal",
            Some(json!("*")),
            By::Us("grants/wildcard"),
        ),
        (
            "a bucket whose queue lets it not in",
            "ReportsBucket/NotificationConfiguration",
            Some(told),
            By::Us("grants/delivery"),
        ),
        (
            "a scheduler that may not send",
            "{NIGHT}SchedulerRights/Policies/0/PolicyDocument/Statement/@Tick",
            None,
            By::Us("grants/scheduler"),
        ),
        (
            "a scheduler that may not keep",
            "{NIGHT}SchedulerRights/Policies/0/PolicyDocument/Statement/@Undelivered",
            None,
            By::Us("grants/scheduler"),
        ),
        (
            "a scheduler that hands on roles",
            "{NIGHT}SchedulerRights/Policies/0/PolicyDocument/Statement/-",
            Some(allow("iam:PassRole", get("ShopOrdersShipRole", "Arn"))),
            By::Us("grants/unneeded"),
        ),
        (
            "a scheduler that sends elsewhere",
            "{NIGHT}SchedulerRights/Policies/0/PolicyDocument/Statement/-",
            Some(send(get("OrdersQueue", "Arn"))),
            By::Us("grants/unneeded"),
        ),
        (
            "a role that the scheduler may not take on",
            "{NIGHT}SchedulerRights/AssumeRolePolicyDocument/Statement/0",
            Some(trust("lambda.amazonaws.com")),
            By::Us("grants/trust"),
        ),
        (
            "schedulers of any account",
            "{NIGHT}SchedulerRights/AssumeRolePolicyDocument/Statement/0/Condition",
            None,
            By::Us("grants/trust"),
        ),
        ("a queue with a key", "{MAIL}Inbox/KmsMasterKeyId", Some(json!(KEY)), By::Us("grants/key")),
        ("a secret with a key", "MailerKeySecret/KmsKeyId", Some(json!(KEY)), By::Us("grants/key")),
        (
            "a table with a key",
            "StockTable/SSESpecification",
            Some(json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": KEY })),
            By::Us("grants/key"),
        ),
        ("variables with a key", "ShopOrdersShipFunction/KmsKeyArn", Some(json!(KEY)), By::Us("grants/key")),
        ("a rule whose dead letters are not let in", "/Resources/Rule", Some(rule), By::Us("grants/unknown-type")),
    ]
}
