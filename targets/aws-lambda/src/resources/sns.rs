//! Topics and their subscriptions.

use super::sqs::Queue;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use std::collections::BTreeMap;

/// `AWS::SNS::Topic`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Topic {
    kms_master_key_id: &'static str,
    tracing_config: &'static str,
}

impl Properties for Topic {
    const TYPE: &'static str = "AWS::SNS::Topic";
}

impl Topic {
    /// Encrypted by the key that AWS keeps for SNS in the account, which all who may publish may use.
    pub(crate) fn new() -> Self {
        Topic { kms_master_key_id: "alias/aws/sns", tracing_config: "PassThrough" }
    }
}

impl Id<Topic> {
    pub(crate) fn arn(&self) -> Text {
        self.reference()
    }
}

/// `AWS::SNS::Subscription`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Subscription {
    topic_arn: Text,
    protocol: &'static str,
    endpoint: Text,
    raw_message_delivery: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filter_policy: BTreeMap<String, [String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_policy_scope: Option<&'static str>,
    redrive_policy: Redrive,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: Text,
}

impl Properties for Subscription {
    const TYPE: &'static str = "AWS::SNS::Subscription";
}

impl Subscription {
    /// Of a queue. What does not get there becomes a dead letter too.
    pub(crate) fn new(
        topic: &Id<Topic>,
        inbox: &Id<Queue>,
        dead_letters: &Id<Queue>,
        when: &BTreeMap<String, String>,
    ) -> Self {
        let name = |name: &String| updraft_wire::aws::attribute_name(name).into_owned();
        Subscription {
            topic_arn: topic.arn(),
            protocol: "sqs",
            endpoint: inbox.arn(),
            raw_message_delivery: true,
            filter_policy: when.iter().map(|(attribute, value)| (name(attribute), [value.clone()])).collect(),
            filter_policy_scope: (!when.is_empty()).then_some("MessageAttributes"),
            redrive_policy: Redrive { dead_letter_target_arn: dead_letters.arn() },
        }
    }
}
