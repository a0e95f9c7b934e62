//! Buckets.

use super::iam::{Document, Statement};
use super::sqs::Queue;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_model::ObjectEvent;

/// `AWS::S3::Bucket`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Bucket {
    bucket_name: Text,
    bucket_encryption: Encryption,
    public_access_block_configuration: Block,
    ownership_controls: Ownership,
    versioning_configuration: Versioning,
    lifecycle_configuration: Lifecycle,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_configuration: Option<Notifications>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Encryption {
    server_side_encryption_configuration: [Default; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Default {
    server_side_encryption_by_default: Algorithm,
}

#[derive(Debug, Serialize)]
struct Algorithm {
    #[serde(rename = "SSEAlgorithm")]
    algorithm: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    block_public_acls: bool,
    block_public_policy: bool,
    ignore_public_acls: bool,
    restrict_public_buckets: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ownership {
    rules: [Owner; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Owner {
    object_ownership: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versioning {
    status: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Lifecycle {
    rules: [Rule; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    id: &'static str,
    status: &'static str,
    abort_incomplete_multipart_upload: Abort,
    noncurrent_version_expiration: Expiration,
    expired_object_delete_marker: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Abort {
    days_after_initiation: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    noncurrent_days: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Notifications {
    queue_configurations: Vec<Notification>,
}

/// What a queue is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Notification {
    event: &'static str,
    queue: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    s3_key: KeyFilter,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyFilter {
    rules: Vec<FilterRule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FilterRule {
    name: &'static str,
    value: String,
}

impl Notification {
    pub(crate) fn new(event: ObjectEvent, queue: &Id<Queue>, prefix: &str, suffix: &str) -> Self {
        let rules: Vec<FilterRule> = [("prefix", prefix), ("suffix", suffix)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| FilterRule { name, value: value.to_owned() })
            .collect();
        Notification {
            event: match event {
                ObjectEvent::Created => "s3:ObjectCreated:*",
                ObjectEvent::Removed => "s3:ObjectRemoved:*",
            },
            queue: queue.arn(),
            filter: (!rules.is_empty()).then_some(Filter { s3_key: KeyFilter { rules } }),
        }
    }
}

impl Properties for Bucket {
    const TYPE: &'static str = "AWS::S3::Bucket";
}

impl Bucket {
    /// Nobody outside the account gets in, and what is overwritten or deleted can be had back for a month.
    pub(crate) fn new(bucket_name: Text, notifications: Vec<Notification>) -> Self {
        Bucket {
            bucket_name,
            bucket_encryption: Encryption {
                server_side_encryption_configuration: [Default {
                    server_side_encryption_by_default: Algorithm { algorithm: "AES256" },
                }],
            },
            public_access_block_configuration: Block {
                block_public_acls: true,
                block_public_policy: true,
                ignore_public_acls: true,
                restrict_public_buckets: true,
            },
            ownership_controls: Ownership { rules: [Owner { object_ownership: "BucketOwnerEnforced" }] },
            versioning_configuration: Versioning { status: "Enabled" },
            lifecycle_configuration: Lifecycle {
                rules: [Rule {
                    id: "leftovers",
                    status: "Enabled",
                    abort_incomplete_multipart_upload: Abort { days_after_initiation: 7 },
                    noncurrent_version_expiration: Expiration { noncurrent_days: 30 },
                    expired_object_delete_marker: true,
                }],
            },
            notification_configuration: (!notifications.is_empty())
                .then_some(Notifications { queue_configurations: notifications }),
        }
    }
}

impl Id<Bucket> {
    pub(crate) fn name(&self) -> Text {
        self.reference()
    }

    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}

/// `AWS::S3::BucketPolicy`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BucketPolicy {
    bucket: Text,
    policy_document: Document,
}

impl Properties for BucketPolicy {
    const TYPE: &'static str = "AWS::S3::BucketPolicy";
}

impl BucketPolicy {
    /// TLS alone.
    pub(crate) fn only_by_tls(bucket: &Id<Bucket>) -> Self {
        let statement = Statement::only_by_tls("s3:*", vec![bucket.arn(), bucket.arn().then("/*")]);
        BucketPolicy { bucket: bucket.name(), policy_document: Document::new(vec![statement]) }
    }
}
