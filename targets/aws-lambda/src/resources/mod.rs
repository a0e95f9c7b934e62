//! What is emitted, one file per service: AWS's types, and how a plan becomes them.

pub(crate) mod api;
pub(crate) mod binding;
pub(crate) mod dynamodb;
pub(crate) mod iam;
pub(crate) mod lambda;
pub(crate) mod logs;
pub(crate) mod rollout;
pub(crate) mod s3;
pub(crate) mod scheduler;
pub(crate) mod secrets;
pub(crate) mod sns;
pub(crate) mod sqs;
pub(crate) mod ssm;
