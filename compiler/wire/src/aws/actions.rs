//! What a unit's role may do, by what it uses and how: one table, which the engines keep to and the target writes into IAM
//! statements. An action stands here because an engine makes the call beside it; nothing else is granted.

use super::Known;

/// How a unit uses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// A grant that covers reading.
    Read,
    /// A grant that covers writing; of a queue or topic, sending.
    Write,
    /// Reading in the order of keys: of a store that is declared with a partition, beside [`Use::Read`].
    Order,
    /// Calling: of a function.
    Call,
    /// Taking messages, by Lambda's poller in the function's name.
    Consume,
}

/// Which ARN an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The resource's own.
    Itself,
    /// Everything in it, `<ARN>/*`: a bucket's objects.
    Objects,
}

/// An IAM action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// `sqs:SendMessage`.
    pub name: &'static str,
    /// The calls of the API that need it.
    pub calls: &'static [&'static str],
    /// What it is about.
    pub part: Part,
}

const fn action(name: &'static str, calls: &'static [&'static str]) -> Action {
    Action { name, calls, part: Part::Itself }
}

const fn object(name: &'static str, calls: &'static [&'static str]) -> Action {
    Action { name, calls, part: Part::Objects }
}

const SEND: &[Action] = &[action("sqs:SendMessage", &["SendMessage", "SendMessageBatch"])];
const CONSUME: &[Action] = &[
    action("sqs:ReceiveMessage", &["ReceiveMessage"]),
    action("sqs:DeleteMessage", &["DeleteMessage", "DeleteMessageBatch"]),
    action("sqs:GetQueueAttributes", &["GetQueueAttributes"]),
    // The runtime's pause before the next attempt.
    action("sqs:ChangeMessageVisibility", &["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"]),
    // A newer version's message is sent again, so that it spends no attempt.
    action("sqs:SendMessage", &["SendMessage"]),
];
const PUBLISH: &[Action] = &[action("sns:Publish", &["Publish", "PublishBatch"])];
const STORE_READ: &[Action] = &[
    action("dynamodb:GetItem", &["GetItem"]),
    action("dynamodb:BatchGetItem", &["BatchGetItem"]),
    action("dynamodb:Scan", &["Scan"]),
];
const STORE_WRITE: &[Action] = &[
    action("dynamodb:PutItem", &["PutItem"]),
    action("dynamodb:DeleteItem", &["DeleteItem"]),
    action("dynamodb:BatchWriteItem", &["BatchWriteItem"]),
];
const STORE_ORDER: &[Action] = &[action("dynamodb:Query", &["Query"])];
const BUCKET_READ: &[Action] = &[
    object("s3:GetObject", &["GetObject", "HeadObject"]),
    // Without it S3 answers 403 where there is no object, and nobody can tell that from a missing grant.
    action("s3:ListBucket", &["ListObjectsV2"]),
];
const BUCKET_WRITE: &[Action] = &[
    object("s3:PutObject", &["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]),
    object("s3:AbortMultipartUpload", &["AbortMultipartUpload"]),
    object("s3:DeleteObject", &["DeleteObject"]),
];
const SECRET_READ: &[Action] = &[action("secretsmanager:GetSecretValue", &["GetSecretValue"])];
/// The same where secrets are parameters. AWS's own key for them is open to all of the account that may read them there.
pub const PARAMETER_READ: &[Action] = &[action("ssm:GetParameter", &["GetParameter"])];
const CALL: &[Action] = &[action("lambda:InvokeFunction", &["Invoke"])];

/// A function's own log group, whose ARN ends with `:*`: its streams.
pub const LOGS: &[Action] =
    &[action("logs:CreateLogStream", &["CreateLogStream"]), action("logs:PutLogEvents", &["PutLogEvents"])];

/// Tracing by X-Ray. It has no ARN for what is sent to it: these and [`NETWORK`]'s are the only actions that a role has on `*`.
pub const TRACES: &[Action] = &[
    action("xray:PutTraceSegments", &["PutTraceSegments"]),
    action("xray:PutTelemetryRecords", &["PutTelemetryRecords"]),
];

/// What Lambda does, in a function's name, to put it into a network. It knows no ARNs of interfaces that it has yet to make. The
/// function's own code is refused all of it ([`NETWORK_SOURCE`]).
pub const NETWORK: &[Action] = &[
    action("ec2:CreateNetworkInterface", &["CreateNetworkInterface"]),
    action("ec2:DescribeNetworkInterfaces", &["DescribeNetworkInterfaces"]),
    action("ec2:DescribeSubnets", &["DescribeSubnets"]),
    action("ec2:DeleteNetworkInterface", &["DeleteNetworkInterface"]),
    action("ec2:AssignPrivateIpAddresses", &["AssignPrivateIpAddresses"]),
    action("ec2:UnassignPrivateIpAddresses", &["UnassignPrivateIpAddresses"]),
];

/// The key of a condition that is there where a function's code asks, with the function's ARN, and not where Lambda does.
pub const NETWORK_SOURCE: &str = "lambda:SourceFunctionArn";

/// What such a use of such a resource needs; nothing for a use that it does not have.
pub fn actions(known: Known, used: Use) -> &'static [Action] {
    match (known, used) {
        (Known::Queue | Known::DeadLetters | Known::Unsent, Use::Write) => SEND,
        (Known::Queue, Use::Consume) => CONSUME,
        (Known::Topic, Use::Write) => PUBLISH,
        (Known::Store | Known::Once, Use::Read) => STORE_READ,
        (Known::Store | Known::Once, Use::Write) => STORE_WRITE,
        (Known::Store, Use::Order) => STORE_ORDER,
        (Known::Bucket, Use::Read) => BUCKET_READ,
        (Known::Bucket, Use::Write) => BUCKET_WRITE,
        (Known::Secret | Known::Database, Use::Read) => SECRET_READ,
        (Known::Function, Use::Call) => CALL,
        (
            Known::Queue
            | Known::Topic
            | Known::Store
            | Known::Bucket
            | Known::Secret
            | Known::Function
            | Known::DeadLetters
            | Known::Consumes
            | Known::Once
            | Known::Database
            | Known::Unsent,
            Use::Read | Use::Write | Use::Order | Use::Call | Use::Consume,
        ) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USES: [Use; 5] = [Use::Read, Use::Write, Use::Order, Use::Call, Use::Consume];

    #[test]
    fn actions_are_single_and_stand_for_calls() {
        let all = Known::ALL.iter().flat_map(|known| USES.iter().flat_map(|used| actions(*known, *used)));
        for action in all.chain(PARAMETER_READ).chain(LOGS).chain(TRACES).chain(NETWORK) {
            let (service, name) = action.name.split_once(':').unwrap();
            assert!(!service.is_empty() && name.starts_with(|c: char| c.is_ascii_uppercase()), "{}", action.name);
            assert!(!action.name.contains('*'), "{}", action.name);
            assert!(!action.calls.is_empty(), "{}", action.name);
        }
    }

    #[test]
    fn reading_writes_nothing() {
        for known in Known::ALL {
            for read in actions(known, Use::Read) {
                assert!(actions(known, Use::Write).iter().all(|write| write.name != read.name), "{}", read.name);
            }
        }
    }
}
